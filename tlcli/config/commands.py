"""The table of commands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One word after `tl`.

    Attributes:
        module: Of tlcli.commands, with its `run(config)`.
        help: First line of its help.
        example: A line to copy.
        schema: "train"; the name of its class in config.settings; or "train+" and that name for a
            command that takes all of `tl train` and keys of its own (its YAML names train.yaml in
            its defaults).
        config: Its primary YAML.
        needs_tensorflow: Whether it is imported before the command runs.
    """

    module: str
    help: str
    example: str
    schema: str
    config: str
    needs_tensorflow: bool = True


COMMANDS = {
    "train": Command(
        "train", "Transfer a pretrained network to new classes.",
        "tl train data=folder data.path=photos backbone=mobilenet", "train", "train",
    ),
    "eval": Command(
        "evaluate", "Measure a checkpoint.", "tl eval checkpoint=RUN", "Eval", "eval",
    ),
    "predict": Command(
        "predict", "Name what pictures show.", "tl predict photo.jpg checkpoint=RUN",
        "Predict", "predict",
    ),
    "compare": Command(
        "compare", "Put several runs into one table.", "tl compare runs/sweep/TIME",
        "Compare", "compare", needs_tensorflow=False,
    ),
    "teacher": Command(
        "verify", "Recompute stored teacher outputs and compare.",
        "tl teacher verify checkpoint=RUN", "verify", "teacher",
    ),
    "prepare": Command(
        "prepare", "Pack many pictures into shards that trainings start from in seconds.",
        "tl prepare data=folder data.path=photos output=shards", "Prepare", "prepare",
    ),
    "preview": Command(
        "preview", "Show the training images as the network will see them.",
        "tl preview data=folder data.path=photos augmentation=standard", "train+Preview", "preview",
    ),
    "bench": Command(
        "bench", "Time this machine on a configuration, against plain Keras.",
        "tl bench data=folder data.path=photos backbone=mobilenet", "train+Bench", "bench",
    ),
    "find-lr": Command(
        "find_lr", "Find a learning rate: raise it step by step until the loss diverges.",
        "tl find-lr data=folder data.path=photos backbone=mobilenet", "train+FindLr", "find-lr",
    ),
    "launch": Command(
        "launch", "Train one model in several processes of this machine.",
        "tl launch 2 -- train data=folder data.path=photos", "Launch", "launch",
        needs_tensorflow=False,
    ),
    "list": Command(
        "listing", "List options and where they come from.", "tl list backbone", "", "",
    ),
}  # fmt: skip
