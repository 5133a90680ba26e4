"""The table of commands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One word after `tl`.

    Attributes:
        module: Of tlcli.commands, with its `run(checked)`.
        help: First line of its help.
        example: A line to copy.
        settings: Class in config.settings of its own keys; empty where those of a training are all.
        config: Its primary YAML.
        trains: Whether it takes all of `tl train` too (its YAML names train.yaml in its defaults).
        needs: Groups of which it must have an option, where it does not train.
        changes: Groups of which keys may be given without an option: they change the checkpoint's.
        words: The key that words without "=" are for.
        verb: The word that must follow.
        needs_tensorflow: Whether it is imported before the command runs.
        light: Whether the command's `is_light(checked)` may say that it is not needed then.
        named: Whether a word may be NAME=FOLDER.
        lists: Keys whose values may be typed as 1,2,3.
    """

    module: str
    help: str
    example: str
    settings: str
    config: str
    trains: bool = False
    needs: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    words: str = ""
    verb: str = ""
    needs_tensorflow: bool = True
    light: bool = False
    named: bool = False
    lists: tuple[str, ...] = ()


# A command may be two words.
COMMANDS = {
    "train": Command(
        "train", "Transfer a pretrained network to new classes.",
        "tl train photos", "", "train", trains=True,
    ),
    "init": Command(
        "init", "Write a commented recipe for the data at hand, to edit.", "tl init mine photos",
        "Init", "init", trains=True, words="recipe",
    ),
    "eval": Command(
        "evaluate", "Measure a run, the newest one if none is named.", "tl eval", "Eval", "eval",
        changes=("data",),
    ),
    "predict": Command(
        "predict", "Name what pictures show.", "tl predict photo.jpg",
        "Predict", "predict", words="images", light=True,
    ),
    "gather": Command(
        "gather", "Join the shares of a prediction: all of one, each once, in order.",
        "tl gather part-*.jsonl output=all.jsonl", "Gather", "gather",
        words="parts", needs_tensorflow=False,
    ),
    "explain": Command(
        "explain", "Show where in pictures a class was read from.",
        "tl explain photo.jpg output=why", "Explain", "explain", words="images",
    ),
    "report": Command(
        "report", "Write one page of a run, or of several beside each other.",
        "tl report runs/train/TIME", "Report", "report", words="runs",
    ),
    "export": Command(
        "export", "Write a run as other programs run it, proved equal.",
        "tl export format=litert", "Export", "export",
    ),
    "pack": Command(
        "pack", "Make one file of a run or an export, to carry to another machine.",
        "tl pack runs/train/TIME", "Pack", "pack", words="folder", needs_tensorflow=False,
    ),
    "clean": Command(
        "clean", "Take away what finished runs keep without need.",
        "tl clean runs", "Clean", "clean", words="runs", needs_tensorflow=False,
    ),
    "serve": Command(
        "serve", "Answer over HTTP what runs and exports say of pictures.",
        "tl serve runs/train/TIME", "Serve", "serve", words="models", light=True, named=True,
    ),
    "compare": Command(
        "compare", "Put several runs into one table.", "tl compare runs/sweep/TIME",
        "Compare", "compare", words="runs", needs_tensorflow=False,
    ),
    "teacher": Command(
        "verify", "Recompute stored teacher outputs and compare.",
        "tl teacher verify checkpoint=RUN", "Verify", "teacher", trains=True, verb="verify",
    ),
    "prepare": Command(
        "prepare", "Pack many pictures into shards that trainings start from in seconds.",
        "tl prepare photos output=shards", "Prepare", "prepare",
        needs=("data",),
    ),
    "audit": Command(
        "audit", "Look through labelled pictures before a training: wrong labels, copies, traps.",
        "tl audit photos", "Audit", "audit", needs=("data", "backbone"),
    ),
    "preview": Command(
        "preview", "Show the training images as the network will see them.",
        "tl preview photos", "Preview", "preview",
        trains=True,
    ),
    "bench": Command(
        "bench", "Time this machine on a configuration, against plain Keras.",
        "tl bench photos", "Bench", "bench",
        trains=True,
    ),
    "bench export": Command(
        "bench_export", "Time exports beside each other and their run.",
        "tl bench export RUN RUN/export/litert", "BenchExport", "bench-export", words="exports",
        needs_tensorflow=False,
    ),
    "bench scale": Command(
        "bench_scale", "Train on 1, 2, … workers: what steps go to, and a forecast for more.",
        "tl bench scale workers=1,2 -- train photos", "BenchScale", "bench-scale", words="words",
        needs_tensorflow=False, lists=("workers", "forecast"),
    ),
    "find-lr": Command(
        "find_lr", "Find a learning rate: raise it step by step until the loss diverges.",
        "tl find-lr photos", "FindLr", "find-lr",
        trains=True,
    ),
    "launch": Command(
        "launch", "Train, measure or predict in several processes, here or on hosts.",
        "tl launch 2 -- train photos", "Launch", "launch",
        words="words", needs_tensorflow=False,
    ),
    "doctor": Command(
        "doctor", "Look at this machine, and say what to do.", "tl doctor", "Doctor", "doctor",
        needs_tensorflow=False,
    ),
    "list": Command(
        "listing", "List options and where they come from.", "tl list backbone sort=top1",
        "Listing", "list", words="groups", needs_tensorflow=False,
    ),
    "weights": Command(
        "weights", "Keep published weights at hand: list, fetch NAME, verify, add FILE.",
        "tl weights fetch mobilenet", "Weights", "weights", words="words", needs_tensorflow=False,
    ),
}  # fmt: skip
