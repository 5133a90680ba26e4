"""Namers that are Keras networks: a run, or a backbone's own ImageNet head."""

from tlcli.commands.namer import Namer, limit_of
from tlcli.commands.sharing import identity
from tlcli.config.checking import Checked
from tlcli.config.settings import Predict
from tlcli.contracts.backbone import Classifier
from tlcli.data import named
from tlcli.data.resize import Resize
from tlcli.errors import ConfigError
from tlcli.evaluation.classifier import watcher
from tlcli.evaluation.tta import Kind
from tlcli.lazy import keras
from tlcli.models import imagenet
from tlcli.models.graph.trace import rerun
from tlcli.runs import checkpoint, latest, strangers
from tlcli.runs.checkpoint import Checkpoint
from tlcli.system import console

OTHERWISE = (
    "Train one, give checkpoint=RUN, or backbone=NAME for a network's own 1,000 ImageNet classes."
)


def namer_of(checked: Checked[Predict, None]) -> Namer:
    """The checkpoint, the backbone's own head, or the newest finished run."""
    settings = checked.settings
    if "backbone" in checked.options:
        if settings.checkpoint:
            raise ConfigError("backbone", "a checkpoint is given too", "Give one of them.")
        return own_head(checked)
    given = latest.chosen(settings.checkpoint, settings.runs, OTHERWISE)
    with console.Stage("reading the checkpoint"):
        return of_run(given, settings.tta)[0]


def of_run(given: str, tta: Kind) -> tuple[Namer, Checkpoint]:
    """What names pictures by a run, and the run."""
    found = checkpoint.read_run(given)
    known = strangers.read(found.path)
    namer = Namer(
        lambda many: watcher(found.model, known, tta, many),
        named.reader(found.resize, limit_of(found.config.get("data"))), found.class_names,
        found.scaling, found.facts.conformal, known, found.multi_label, found.thresholds,
        found.facts.abstain_below, identity(found.path),
    )  # fmt: skip
    return namer, found


def own_head(checked: Checked[Predict, None]) -> Namer:
    """A pretrained network with its own 1,000 ImageNet classes."""
    backbone = checked.options["backbone"]
    if not isinstance(backbone, Classifier):
        name = checked.config["backbone"]["name"]
        raise ConfigError("backbone", f"{name} has no head of its own",
                          "Give checkpoint=RUN, or a network of keras.applications.")  # fmt: skip
    size = checked.settings.image_size or backbone.default_image_size
    resize = Resize(size, "crop", 0.875, True)
    inputs = keras.Input((resize.size, resize.size, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(inputs)
    # Built on an input of its own: Keras follows other tensors back to theirs.
    own = keras.Input((resize.size, resize.size, 3), dtype="float32", name="body_images")
    body = backbone.build_classifier(own)
    model = keras.Model(inputs, rerun(body, pixels))
    backbone.load_classifier(model)
    tta = checked.settings.tta
    return Namer(
        lambda many: watcher(model, None, tta, many),
        named.reader(resize),
        imagenet.class_names(),
        identity=f"{checked.config['backbone']} {size}",
    )
