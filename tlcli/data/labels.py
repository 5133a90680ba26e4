"""Labels that come as number arrays: check them, bring them into one form."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np, tf
from tlcli.system.opened import read_text
from tlcli.system.shown import shown

_MOST_CLASSES = 100_000


def checked_labels(place: str, labels: Any, count: int) -> Any:
    """Labels as int32 (samples,) or 0 and 1, uint8 (samples, classes)."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or len(labels) != count:
        raise DataError(
            place,
            f"has {count} pictures and labels of the shape {labels.shape}",
            "Give one row of labels a picture.",
        )
    if labels.dtype.kind not in "iufb" or (labels != np.floor(labels)).any():
        raise DataError(place, "has labels that are no whole numbers", "Give class numbers from 0.")
    low, high = (-1, 2**31 - 1) if labels.ndim == 1 else (0, 1)
    if labels.min(initial=0) < low or labels.max(initial=0) > high:
        wanted = "class numbers from 0, or -1 for no label" if labels.ndim == 1 else "0 or 1"
        raise DataError(
            place, f"has labels from {labels.min()} to {labels.max()}", f"Give {wanted}."
        )
    return labels.astype(np.int32 if labels.ndim == 1 else np.uint8)


def same_form(
    where: str, labels: list[Any], names: tuple[str, ...] | None
) -> tuple[list[Any], tuple[str, ...]]:
    """Labels of all splits in one form, one-hot as numbers; and the class names."""
    if len({block.shape[1:] for block in labels}) > 1:
        shapes = ", ".join(str(block.shape) for block in labels)
        raise DataError(where, f"has labels of the shapes {shapes}", "Give one form to all.")
    if labels[0].ndim == 2:
        count = labels[0].shape[1]
        if all((block.sum(1) == 1).all() for block in labels):
            labels = [block.argmax(1).astype(np.int32) for block in labels]
    else:
        count = max(int(block.max(initial=-1)) for block in labels) + 1
    if names is not None and len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            "data.class_names",
            f"{shown(twice)!r} stands twice",
            "Give each class a name of its own.",
        )
    if names is None:
        if count > _MOST_CLASSES:
            raise DataError(where, f"has labels up to {count - 1}", "Number classes from 0.")
        return labels, tuple(map(str, range(count)))
    if len(names) != count:
        first = min(int(block.min(initial=count)) for block in labels) if count else 0
        from_1 = len(names) == count - 1 and first > 0
        raise ConfigError(
            "data.class_names",
            f"has {len(names)} names for {count} classes" + ", for labels begin at 1" * from_1,
            "Number the classes from 0 (data=tfrecord has data.label_offset=1)." * from_1
            or "Give one name a class.",
        )
    return labels, tuple(names)


def from_zero(
    where: str, labels: list[Any], names: tuple[str, ...] | None
) -> tuple[list[Any], tuple[str, ...] | None, list[str]]:
    """Class numbers of all splits from 0, where they begin at 1; names and notes with them.

    Raises:
        DataError: Some numbers below the largest are used by no image.
    """
    if any(block.ndim == 2 for block in labels):
        return labels, names, []
    used = np.unique(np.concatenate(labels))
    used = used[used >= 0]
    if not len(used) or used[-1] > _MOST_CLASSES:
        return labels, names, []
    missing = np.setdiff1d(np.arange(used[-1] + 1), used)
    if missing.tolist() == [0] and len(used) > 1 and (names is None or len(names) == len(used)):
        moved = [np.where(block > 0, block - 1, block).astype(np.int32) for block in labels]
        note = f"labels begin at 1 and go to {used[-1]}: class numbers are one less"
        return moved, names or tuple(map(str, used.tolist())), [note]
    if len(missing) and names is None:
        gaps = ", ".join(map(str, missing[:8].tolist())) + (", …" if len(missing) > 8 else "")
        raise DataError(
            where, f"has labels up to {used[-1]}, and no image of {gaps}",
            "Number the classes from 0 without a gap.",
        )  # fmt: skip
    return labels, names, []


def labels_file(folder: Path) -> tuple[str, ...] | None:
    """Class names of labels.txt: a name a line, or NUMBER:NAME in order; None without the file."""
    path = folder / "labels.txt"
    if not path.is_file():
        return None
    text = unicodedata.normalize("NFC", read_text(path, "csv"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [re.fullmatch(r"(\d+):\s*(.+)", line) for line in lines]
    if all(match and int(match[1]) == row for row, match in enumerate(numbered)):
        return tuple(match[2] for match in numbered if match)
    return tuple(lines)


def label_lookup(labels: Any, classes: int) -> Callable[[Any], Any]:
    """A function from rows (...) to labels float32 (..., classes), for graphs.

    A table of a million images and a thousand classes would take 4 GB; their indices take 4 MB.

    Args:
        labels: Class indices int32 (samples,), -1 where unlabelled; or a table (samples, classes).
        classes: Their number.
    """
    held = held_tensor(np.asarray(labels))
    if held.ndim == 1:
        return lambda rows: tf.one_hot(tf.gather(held, rows), classes)
    return lambda rows: tf.cast(tf.gather(held, rows), tf.float32)


def held_tensor(array: Any) -> Any:
    """A host tensor that graphs capture; an array would be copied into each of them."""
    with tf.init_scope(), tf.device("/CPU:0"):
        return tf.constant(array)


def label_table(manifest: Manifest, rows: Any) -> Any:
    """Labels of some rows, float32 (rows, classes): one-hot or multi-hot; unlabelled rows are 0."""
    labels = manifest.labels[rows]
    if manifest.multi_label:
        return labels.astype(np.float32)
    table = np.zeros((len(rows), len(manifest.class_names)), np.float32)
    known = np.flatnonzero(labels >= 0)
    table[known, labels[known]] = 1
    return table
