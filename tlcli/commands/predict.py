"""`tl predict`: name what pictures show, by a run or by a backbone's own ImageNet head."""

import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from tlcli.config.checking import Checked
from tlcli.config.settings import Predict
from tlcli.contracts.backbone import Classifier
from tlcli.data import named
from tlcli.data.header import MAX_PIXELS
from tlcli.data.resize import Resize
from tlcli.data.views import worker_count
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError, TlError
from tlcli.evaluation.classifier import watcher
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.metrics import probabilities
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.evaluation.strangers import Strangers
from tlcli.lazy import keras, tf
from tlcli.models import imagenet
from tlcli.models.graph.trace import rerun
from tlcli.runs import checkpoint, latest, strangers
from tlcli.system import console
from tlcli.system.shown import CsvWriter, escaped, json_line, shown

OTHERWISE = (
    "Train one, give checkpoint=RUN, or backbone=NAME for a network's own 1,000 ImageNet classes."
)


@dataclass
class Namer:
    """What names a picture.

    Attributes:
        model: uint8 images to logits.
        class_names: In index order.
        resize: How pictures become squares.
        scaling: What calibrates the logits.
        sets: What decides which classes the set of a picture holds, or None.
        strangers: What tells pictures unlike the validation images, or None.
        multi_label: Whether a picture may have several classes.
        thresholds: Of a multi-label model.
        abstain_below: Least probability of an answer, or None.
        max_pixels: Width times height above which a picture is refused.
    """

    model: Any
    class_names: tuple[str, ...]
    resize: Resize
    scaling: Scaling = PLAIN
    sets: Sets | None = None
    strangers: Strangers | None = None
    multi_label: bool = False
    thresholds: Any = 0.5
    abstain_below: float | None = None
    max_pixels: int = MAX_PIXELS

    @property
    def told(self) -> list[str]:
        """What it tells of a picture beside its label."""
        return ["set"] * (self.sets is not None) + ["stranger"] * (self.strangers is not None)


def run(checked: Checked[Predict, None]) -> int:
    """Name pictures as configured; 1 when any picture could not be read."""
    console.start_log(None)
    settings = checked.settings
    left_out = LeftOut()
    paths = named.expand(settings.images, left_out)
    with contextlib.redirect_stdout(sys.stderr):  # Keras tells of downloads there
        namer = namer_of(checked)
    failed = count = 0
    writer = WRITERS[settings.format](sys.stdout, namer.told)
    found = rows(namer, paths, settings)
    # Where the rows themselves are seen, they tell how far it is.
    if not sys.stdout.isatty():
        found = console.staged(found, "naming pictures", None, "pictures")
    for row in found:
        failed += "error" in row
        count += 1
        writer.add(row)
    writer.close()
    for note in left_out.notes():
        sys.stderr.write(f"tl predict: {note}\n")
    if failed:
        sys.stderr.write(f"tl predict: {failed} of {count} pictures could not be read\n")
    return 1 if failed else 0


def namer_of(checked: Checked[Predict, None]) -> Namer:
    """The checkpoint, the backbone's own head, or the newest finished run."""
    given = checked.settings.checkpoint
    if "backbone" in checked.options:
        if given:
            raise ConfigError("backbone", "a checkpoint is given too", "Give one of them.")
        return own_head(checked)
    given = latest.chosen(given, checked.settings.runs, OTHERWISE)
    with console.Stage("reading the checkpoint"):
        found = checkpoint.read_run(given)
        known = strangers.read(found.path)
    return Namer(
        found.model, found.class_names, found.resize, found.scaling, found.facts.conformal,
        known, found.multi_label, found.thresholds, found.facts.abstain_below,
        limit_of(found.config.get("data")),
    )  # fmt: skip


def limit_of(data: Any) -> int:
    """Pixels that a picture may have, as in the run's own data."""
    given = data.get("max_pixels") if isinstance(data, Mapping) else None
    return given if isinstance(given, int) and given > 0 else MAX_PIXELS


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
    return Namer(model, imagenet.class_names(), resize)


def rows(namer: Namer, paths: Iterable[str], settings: Predict) -> Iterator[dict[str, Any]]:
    """One row a picture, in the order given; memory holds a few batches, whatever their number."""
    size, workers = settings.batch_size, worker_count(settings.workers)
    decoded = named.ahead(
        named.reader(namer.resize, namer.max_pixels), paths, workers, 2 * size + workers
    )
    call = None
    while part := list(itertools.islice(decoded, size)):
        if call is None:
            call = watcher(namer.model, namer.strangers, settings.tta, len(part) == size)
        images = [found for _, found in part if not isinstance(found, TlError)]
        logits, scores = call(tf.stack(images)) if images else ((), None)
        said = zip(logits, itertools.repeat(None) if scores is None else scores, strict=False)
        for path, found in part:
            if isinstance(found, TlError):
                yield {"path": path, "error": getattr(found, "problem", str(found))}
            else:
                yield {"path": path, **answer(namer, *next(said), settings.top)}


def answer(namer: Namer, logits: Any, strange: Any, top: int) -> dict[str, Any]:
    """Label, probability and the best classes of one picture, and what else is told of it."""
    shares = probabilities(logits[None], namer.multi_label, namer.scaling)[0]
    order = np.argsort(-shares, kind="stable")
    best = [{"label": namer.class_names[i], "probability": float(shares[i])} for i in order[:top]]
    found: dict[str, Any] = {**best[0], "top": best}
    if namer.multi_label:
        chosen = shares >= namer.thresholds
        found["labels"] = [namer.class_names[i] for i in order if chosen[i]]
    elif namer.abstain_below is not None and shares[order[0]] < namer.abstain_below:
        found["label"] = "uncertain"
    if namer.sets is not None:
        held = namer.sets.members(shares[None])[0]
        found["set"] = [namer.class_names[i] for i in order if held[i]]
    if namer.strangers is not None:
        found["stranger"] = bool(namer.strangers.are(strange))
    return found


def text_of(row: Mapping[str, Any]) -> str:
    """A row as JSON in one line, which gives back each name to the byte."""
    return json_line(json.dumps(row, ensure_ascii=False))


class _Json:
    """One JSON list."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out, self.first = out, True
        out.write("[")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self.out.write(("\n" if self.first else ",\n") + text_of(row))
        self.first = False

    def close(self) -> None:
        """End the list."""
        self.out.write("\n]\n")


class _Jsonl:
    """A JSON object a line, as soon as it is known."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out = out

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self.out.write(text_of(row) + "\n")
        self.out.flush()

    def close(self) -> None:
        """Nothing is open."""


class _Csv:
    """path,label,probability, then set and stranger as far as the run tells them, and error."""

    def __init__(self, out: TextIO, told: Sequence[str] = ()) -> None:
        self.writer = CsvWriter(out)
        self.columns = ["path", "label", "probability", *told, "error"]
        self.writer.row(self.columns)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        values = dict(row)
        if "labels" in row:
            values["label"] = "|".join(row["labels"])
        if "set" in row:
            values["set"] = "|".join(row["set"])
        if "stranger" in row:
            values["stranger"] = str(row["stranger"]).lower()
        self.writer.row([values.get(column, "") for column in self.columns])

    def close(self) -> None:
        """Nothing is open."""


class _Table:
    """Columns for a person."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out = out

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        if "error" in row:
            self.out.write(f"{escaped(row['path'])}  error: {shown(row['error'])}\n")
            return
        best = ", ".join(f"{shown(t['label'])} {t['probability']:.2f}" for t in row["top"])
        doubt = "" if row["label"] != "uncertain" else "uncertain: "
        held = f"  set: {', '.join(map(shown, row['set']))}" if "set" in row else ""
        unlike = "  unlike the training images" if row.get("stranger") else ""
        self.out.write(f"{escaped(row['path'])}  {doubt}{best}{held}{unlike}\n")

    def close(self) -> None:
        """Nothing is open."""


WRITERS: dict[str, Any] = {"json": _Json, "jsonl": _Jsonl, "csv": _Csv, "table": _Table}
