"""What a network said of each labelled image: enough for every figure without the data.

`predictions.npz` holds plain arrays: `ids`, `splits`, `class_names` (texts of fixed width),
`labels` (class indices, or multi-hot), `logits` and `probabilities` (float32), and of several
labels the `thresholds`. NumPy reads it: `numpy.load("RUN/predictions.npz")`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tlcli.contracts.data import SPLIT_NAMES, Manifest
from tlcli.errors import DataError
from tlcli.runs.archive import save_npz
from tlcli.system import files
from tlcli.system.array_file import load_npz

FILE = "predictions.npz"
REMEDY = "Restore it, or write it again: tl eval checkpoint=RUN predictions=FILE.npz."
# Numbers of images times classes that are turned into probabilities at a time.
PIECE = 1 << 22
NEEDED = ("ids", "splits", "labels", "logits", "probabilities", "class_names")
# Numbers hardly become smaller, and reading them is to cost no more than the disk does.
PACKED = ("ids", "splits", "labels", "class_names")


@dataclass(frozen=True)
class Predictions:
    """Rows of labelled images, those of a split together.

    Attributes:
        ids: Sample ids, str (samples,).
        splits: "train", "validation", "test" or "", str (samples,).
        labels: Class indices, int32 (samples,); or multi-hot, uint8 (samples, classes).
        logits: As the network gives them, float32 (samples, classes).
        probabilities: Calibrated, float32 (samples, classes).
        class_names: In index order, str (classes,).
        thresholds: Of several labels, float64 (classes,); else None.
    """

    ids: Any
    splits: Any
    labels: Any
    logits: Any
    probabilities: Any
    class_names: Any
    thresholds: Any = None

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several classes."""
        return bool(self.labels.ndim == 2)

    def of(self, split: str) -> "Predictions":
        """Those of one split."""
        chosen = self.splits == split
        return Predictions(
            self.ids[chosen], self.splits[chosen], self.labels[chosen], self.logits[chosen],
            self.probabilities[chosen], self.class_names, self.thresholds,
        )  # fmt: skip

    def arrays(self) -> dict[str, Any]:
        """All by name, as the file has them."""
        found = {name: getattr(self, name) for name in NEEDED}
        return found if self.thresholds is None else {**found, "thresholds": self.thresholds}


def made(
    manifest: Manifest, rows: Any, logits: Any, calibrated: Callable[[Any], Any],
    thresholds: Any = None,
) -> Predictions:  # fmt: skip
    """The predictions of some labelled rows.

    Args:
        manifest: Of the images.
        rows: Integers (samples,).
        logits: float32 (samples, classes).
        calibrated: Gives the probabilities of logits.
        thresholds: Of several labels: one, or one a class.
    """
    names = np.array([*SPLIT_NAMES, ""])
    labels, several = manifest.labels[rows], manifest.multi_label
    shares = np.empty(logits.shape, np.float32)
    step = max(1, PIECE // max(1, logits.shape[1]))
    for start in range(0, len(rows), step):
        shares[start : start + step] = calibrated(logits[start : start + step])
    least = np.broadcast_to(np.asarray(thresholds, float), logits.shape[1:]) if several else None
    return Predictions(
        np.array(list(map(str, manifest.ids[rows])), str),
        names[np.minimum(manifest.splits[rows], len(SPLIT_NAMES))],
        labels.astype(np.uint8 if several else np.int32), np.asarray(logits, np.float32),
        shares, np.array(list(manifest.class_names), str), least,
    )  # fmt: skip


def save(file: BinaryIO, found: Predictions) -> None:
    """Write the arrays of an .npz; the same predictions give the same bytes."""
    save_npz(file, found.arrays(), PACKED)


def write(folder: Path, found: Predictions) -> None:
    """Write predictions.npz of a run.

    Raises:
        WriteError: It cannot be written.
    """
    size = sum(array.nbytes for name, array in found.arrays().items() if name not in PACKED)
    files.write(folder / FILE, lambda file: save(file, found), size)


def read(path: Path) -> Predictions:
    """Predictions of a file, checked.

    Args:
        path: An .npz as `save` writes it, or a run folder that has one.

    Raises:
        DataError: It is missing, damaged, or its arrays do not belong together.
    """
    path = path / FILE if path.is_dir() else path
    arrays = load_npz(path, {*NEEDED, "thresholds"}, REMEDY)
    if problem := wrong(arrays):
        raise DataError(str(path), problem, REMEDY)
    return Predictions(**arrays)


def wrong(arrays: Mapping[str, Any]) -> str | None:
    """What is wrong with the arrays of a file, or None."""
    if missing := [name for name in NEEDED if name not in arrays]:
        return f"lacks the array {missing[0]}"
    texts = [arrays[name] for name in ("ids", "splits", "class_names")]
    if not all(one.dtype.kind == "U" and one.ndim == 1 for one in texts):
        return "ids, splits or class_names are no list of texts"
    count, classes = len(arrays["ids"]), len(arrays["class_names"])
    for name in ("logits", "probabilities"):
        if arrays[name].shape != (count, classes) or arrays[name].dtype != np.float32:
            return f"{name} are not {count:,} rows of {classes:,} numbers of 32 bits"
        if not np.isfinite(arrays[name]).all():
            return f"{name} are not all finite"
    if len(arrays["splits"]) != count:
        return f"splits are not {count:,}"
    least = arrays.get("thresholds", np.zeros(classes))
    if least.shape != (classes,) or least.dtype.kind != "f":
        return f"thresholds are not {classes:,} numbers"
    return _wrong_labels(arrays["labels"], count, classes)


def _wrong_labels(labels: Any, count: int, classes: int) -> str | None:
    several = labels.ndim == 2
    if labels.dtype.kind not in "iu" or labels.shape != ((count, classes) if several else (count,)):
        return f"labels are not those of {count:,} images"
    most = 1 if several else classes - 1
    if labels.size and not (labels.min() >= 0 and labels.max() <= most):
        return f"labels are not from 0 to {most:,}"
    return None
