"""Stored logits as teacher: read without trusting the file, matched by id."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli import files
from tlcli.distillation import Outputs
from tlcli.errors import DataError
from tlcli.teacher import Target

SMALLEST = 1e-12


@dataclass
class Stored:
    """What a file holds, checked.

    Attributes:
        path: The file.
        ids: str (images,), all different.
        logits: float32 (images, classes), in the student's class order.
    """

    path: Path
    ids: Any
    logits: Any

    def refuse_missing(self, wanted: Any) -> None:
        """Say which images the file lacks.

        Raises:
            DataError: Always.
        """
        missing = [i for i in wanted.tolist() if i not in set(self.ids.tolist())]
        raise DataError(
            str(self.path),
            f"lacks {len(missing)} of {len(wanted)} training images: {_shown(missing)}",
            "Give a row for each id that split.csv calls train.",
        )

    def rows(self, ids: Any) -> Any:
        """Logits of some ids, or None where one is missing."""
        place = {name: index for index, name in enumerate(self.ids.tolist())}
        found = [place.get(str(name)) for name in ids]
        return None if None in found else self.logits[found]


class TableTeacher:
    """Gives each training image its stored logits.

    Attributes:
        names: `teacher_logits`.
        tabular: True: it is a table.
    """

    names = ("teacher_logits",)
    norms: tuple[Any, ...] = ()
    tabular = True
    kept = None

    def __init__(self, stored: Stored, target: Target) -> None:
        self.stored, self.target = stored, target
        self.label = f"file {stored.path}"
        self.shapes = {"teacher_logits": stored.logits.shape[1:]}
        self.table = stored.rows(target.manifest.ids[target.rows])

    def outputs(self, batch: dict[str, Any]) -> Outputs:
        """Logits of a batch, by training row."""
        if "teacher_logits" in batch:
            return Outputs(batch["teacher_logits"])
        return Outputs(tf.gather(tf.constant(self.table), batch["rows"]))

    def compute(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """The table of some rows, arrays (rows, classes); there is one view."""
        return {"teacher_logits": self.logits(views, rows)}

    def feed(self) -> Any:
        """None: a step finds its rows."""
        return None

    def logits(self, views: Any, rows: Any) -> Any:
        """float32 (rows, classes), or None where the file lacks a row."""
        return self.stored.rows(views.manifest.ids[rows])

    def reference(self) -> dict[str, Any]:
        """Where it came from."""
        path = self.stored.path
        return {"file": str(path.resolve()), "sha256": files.sha256(path)}


def read(path: Path, ids_path: Path | None, target: Target) -> Stored:
    """Read and check a file of logits or probabilities.

    Raises:
        DataError: It is unreadable, its parts do not fit, or numbers are not what they are called.
    """
    arrays = _arrays(path, ids_path)
    if "ids" not in arrays:
        raise DataError(str(path), "has no array ids", "Store the id of each row as text.")
    kinds = [kind for kind in ("logits", "probabilities") if kind in arrays]
    if len(kinds) != 1:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(str(path), f"holds {held}", "Store either logits or probabilities.")
    ids, values = arrays["ids"].astype(str), arrays[kinds[0]]
    _check_shape(path, ids, values)
    check_numbers(path, ids, values, kinds[0], target.manifest.multi_label)
    values = _ordered(path, arrays.get("class_names"), values, target.manifest.class_names)
    if kinds[0] == "probabilities":
        values = as_logits(values.astype(np.float64), target.manifest.multi_label)
    return Stored(path, ids, values.astype(np.float32))


def _arrays(path: Path, ids_path: Path | None) -> dict[str, Any]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        assert ids_path is not None
        lines = ids_path.read_text(encoding="utf-8").splitlines()
        return {"logits": np.load(path, allow_pickle=False), "ids": np.array(lines, str)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise DataError(
            str(path), f"cannot be read ({error})", "Give a whole .npz or .npy without objects."
        ) from None


def _check_shape(path: Path, ids: Any, values: Any) -> None:
    if values.ndim != 2 or ids.shape != (len(values),) or values.dtype.kind not in "fiu":
        raise DataError(
            str(path), f"has ids {ids.shape} and {values.dtype} values {values.shape}",
            "Give numbers (images, classes) and as many ids.",
        )  # fmt: skip
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise DataError(
            str(path), f"has {_shown(unique[counts > 1])} more than once", "Give each id one row."
        )


def check_numbers(path: Path, ids: Any, values: Any, kind: str, multi_label: bool) -> None:
    """Refuse numbers that are not finite, or not what they are called.

    Args:
        path: In messages.
        ids: str (images,).
        values: (images, classes).
        kind: "logits" or "probabilities".
        multi_label: Whether classes are independent.

    Raises:
        DataError: Naming the images.
    """
    bad = ~np.isfinite(values).all(-1)
    if bad.any():
        raise DataError(
            str(path), f"has numbers that are not finite for {_shown(ids[bad])}",
            "Compute these rows again.",
        )  # fmt: skip
    inside = bool(((values >= 0) & (values <= 1)).all())
    sums = np.abs(values.astype(np.float64).sum(-1) - 1) < 1e-2
    if kind == "logits" and inside and not multi_label and sums.all() and len(values):
        raise DataError(
            str(path), "calls probabilities logits: every row is from 0 to 1 and sums to 1",
            "Name the array probabilities.",
        )  # fmt: skip
    if kind == "probabilities" and not (inside and (multi_label or sums.all())):
        wrong = ids[~sums] if inside else ids[((values < 0) | (values > 1)).any(-1)]
        raise DataError(
            str(path), f"has probabilities that do not sum to 1 or leave [0, 1]: {_shown(wrong)}",
            "Name the array logits if it holds logits.",
        )  # fmt: skip


def _ordered(path: Path, names: Any, values: Any, wanted: tuple[str, ...]) -> Any:
    """Columns in the student's class order."""
    from tlcli.teacher._network import class_places

    if names is None:
        if values.shape[1] != len(wanted):
            raise DataError(
                str(path), f"has {values.shape[1]} classes, and the data has {len(wanted)}",
                "Store class_names, so that columns can be chosen by name.",
            )  # fmt: skip
        return values
    names = [str(name) for name in np.ravel(names)]
    if len(names) != values.shape[1]:
        raise DataError(
            str(path), f"has {len(names)} class_names and {values.shape[1]} columns",
            "Give each column a name.",
        )  # fmt: skip
    return values[:, class_places(wanted, names, str(path))]


def as_logits(probabilities: Any, multi_label: bool) -> Any:
    """Logits whose softmax, or sigmoid, gives the probabilities."""
    kept = np.clip(probabilities, SMALLEST, 1.0 - SMALLEST if multi_label else 1.0)
    return np.log(kept) - np.log1p(-kept) if multi_label else np.log(kept)


def _shown(ids: Any) -> str:
    ids = [str(i) for i in ids]
    return ", ".join(ids[:5]) + (f", … ({len(ids)} in all)" if len(ids) > 5 else "")
