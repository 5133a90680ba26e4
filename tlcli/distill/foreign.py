"""Models of other programs as teachers: pixels in, logits or probabilities out."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.contracts.distillation import Outputs
from tlcli.contracts.teacher import BuiltTeacher, Target
from tlcli.distill.class_places import class_places, imagenet_places, mapping_text
from tlcli.distill.kept import Kept
from tlcli.distill.table_checks import check_numbers
from tlcli.distill.table_reading import as_logits
from tlcli.errors import ConfigError, DataError
from tlcli.models.imagenet import class_names
from tlcli.models.layers import ResizeImages
from tlcli.system.files import expanded


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A model that was opened.

    Attributes:
        shape: Of its input with batch; None or text where any size is taken.
        run: float32 pixels in its layout to float (batch, its classes).
        sha256: Of its file or files.
    """

    shape: tuple[Any, ...]
    run: Callable[[Any], Any]
    sha256: str


class ForeignTeacher(BuiltTeacher):
    """A frozen model that runs beside TensorFlow's graph; it has logits alone.

    Attributes:
        names: `teacher_logits`.
        classes: How its outputs became the student's classes, in words.
        kept: Its outputs over finite views.
        tabular: Whether they are worth being computed once.
    """

    names = ("teacher_logits",)

    kept: Kept

    def __init__(self, option: Any, target: Target, model: Foreign) -> None:
        inside = target.needs - {"indices"}
        if inside:
            raise ConfigError(
                "teacher", f"a foreign model has logits alone, and the method needs {min(inside)}",
                "Give teacher=run, or a method on logits as kd.",
            )  # fmt: skip
        self.option, self.target, self.model = option, target, model
        self.label = f"{type(option).__module__.rpartition('.')[2]} {option.path}"
        self.places: list[int] = []
        self.classes = ""
        self.channels_first = _channels_first(option.layout, model.shape)
        side = _side(option.image_size, model.shape, self.channels_first, target.side)
        self.resize = None if side == target.side else ResizeImages(target.side, side)
        shapes = {"teacher_logits": (len(target.manifest.class_names),)}
        self._check()
        self.shapes = shapes
        self.kept = Kept(option, target, shapes, self.call, self._identity())
        self.tabular = option.cache != "off" and self.kept.worth
        self.table_bytes = self.kept.size

    def _check(self) -> None:
        """Look at some outputs: their classes, and whether they are what they are called."""
        rows, views = self.target.rows[:64], self.target.views
        images = next(views.batches(rows, np.zeros(len(rows)), len(rows)))
        values = self._raw(images)
        if values.ndim != 2 or len(values) != len(rows):
            raise ConfigError(
                "teacher.output", f"has shape {values.shape} for {len(rows)} images",
                "Name the output that is (images, classes).",
            )  # fmt: skip
        ids, kind = views.manifest.ids[rows].astype(str), self.option.kind
        try:
            multi_label = self.target.manifest.multi_label
            check_numbers(Path(self.option.path), ids, values, kind, multi_label)
        except DataError as error:
            other = "probabilities" if kind == "logits" else "logits"
            raise ConfigError(
                "teacher.kind", error.problem, f"Give teacher.kind={other}, or check the model."
            ) from None
        self.places = self._places(values.shape[1])

    def _places(self, columns: int) -> list[int]:
        names, option = self.target.manifest.class_names, self.option
        known: Sequence[str] = names
        self.classes = f"{len(names)} classes by position, for teacher.class_names is null"
        if option.class_names == "imagenet":
            known, places = class_names(), imagenet_places(option.classes, names)
        elif option.class_names is not None:
            wanted = [(option.classes or {}).get(name, name) for name in names]
            known = option.class_names
            places = class_places(wanted, known, "teacher.class_names")
        else:
            places = list(range(len(names)))
        if option.class_names is not None:
            self.classes = mapping_text(names, known, places)
        if len(known) != columns:
            raise ConfigError(
                "teacher.class_names", f"{len(known)} classes, and the model has {columns} outputs",
                "List the class of each output in order, or give imagenet.",
            )  # fmt: skip
        return places

    def _identity(self) -> str:
        aside = {"path", "minimum_accuracy", "trust"}
        facts = {k: v for k, v in dataclasses.asdict(self.option).items()
                 if k not in aside and not k.startswith("cache")}  # fmt: skip
        text = f"{self.model.sha256}{sorted(facts.items())}{self.places}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _raw(self, images: Any) -> Any:
        """What the model says of uint8 images, float (batch, its classes)."""
        shown = images if self.resize is None else self.resize(images)
        pixels = np.asarray(shown, np.float32) * np.float32(self.option.scale)
        pixels = (pixels - np.float32(self.option.mean)) / np.float32(self.option.std)
        if self.channels_first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        batch = self.model.shape[0]
        if not isinstance(batch, int):
            return np.asarray(self.model.run(pixels))
        # A model of a fixed batch is shown full ones; what fills the last is dropped.
        short = -len(pixels) % batch
        padded = np.concatenate([pixels, np.repeat(pixels[-1:], short, axis=0)])
        parts = [self.model.run(padded[i : i + batch]) for i in range(0, len(padded), batch)]
        return np.concatenate(parts)[: len(pixels)]

    def call(self, images: Any) -> list[Any]:
        """Logits of the student's classes, one array float32 (batch, classes)."""
        values = self._raw(tf.convert_to_tensor(images))[:, self.places]
        if self.option.kind == "probabilities":
            values = as_logits(values.astype(np.float64), self.target.manifest.multi_label)
        return [values.astype(np.float32)]

    def outputs(self, batch: Mapping[str, Any]) -> Outputs:
        """Logits that a table or `feed` put into the batch; asked for where neither did."""
        found = batch if "teacher_logits" in batch else self._asked(dict(batch))
        return Outputs(found["teacher_logits"])

    def compute(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """Tables of all signals by name, arrays (count * rows, ...)."""
        return self.kept.table(views, rows, count)

    @property
    def on_disk(self) -> bool:  # type: ignore[override]
        """Whether its outputs are, or will be, on disk."""
        return self.kept.store is not None

    def feed(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """What adds stored logits, or logits of the batch's images, inside tf.data."""
        return self.kept.lookup() or self._asked

    def _asked(self, batch: dict[str, Any]) -> dict[str, Any]:
        logits = tf.numpy_function(
            lambda i: self.call(i)[0], [batch["images"]], tf.float32, stateful=False
        )
        shape = (batch["images"].shape[0], *self.shapes["teacher_logits"])
        return {**batch, "teacher_logits": tf.ensure_shape(logits, shape)}

    def check(self) -> None:
        """Refuse stored outputs that were cut off; see BuiltTeacher."""
        if self.kept.store is not None:
            self.kept.store.check()

    def logits(self, views: Any, rows: Any) -> Any:
        """float32 (rows, classes)."""
        return self.kept.table(views, rows, 1)["teacher_logits"] if views.finite == 1 else None

    def reference(self) -> dict[str, Any]:
        """Where it came from."""
        path = str(expanded(self.option.path, "teacher.path").resolve())
        return {"file": path, "sha256": self.model.sha256}


def _channels_first(layout: str, shape: tuple[Any, ...]) -> bool:
    """Whether colours come before pixels in an input (batch, ., ., .).

    Raises:
        ConfigError: The input is no picture, or its shape does not tell.
    """
    if len(shape) != 4:
        raise ConfigError("teacher.path", f"its input has shape {shape}", "Give an image model.")
    if layout != "auto":
        return layout == "nchw"
    if (shape[1] == 3) == (shape[3] == 3):
        raise ConfigError(
            "teacher.layout", f"the input's shape {shape} does not tell where the colours are",
            "Give teacher.layout=nchw or nhwc.",
        )  # fmt: skip
    return bool(shape[1] == 3)


def _side(given: int | None, shape: tuple[Any, ...], channels_first: bool, student: int) -> int:
    """Pixels of a side that the model sees: as given, as it asks for, or as the student's."""
    sides = shape[2:4] if channels_first else shape[1:3]
    fixed = [side for side in sides if isinstance(side, int)]
    if len(set(fixed)) > 1 or (given and fixed and fixed[0] != given):
        raise ConfigError(
            "teacher.image_size", f"got {given}, and the model wants {sides}",
            "Give its square size, or null.",
        )  # fmt: skip
    return given or (fixed[0] if fixed else student)
