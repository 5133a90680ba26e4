"""Stored logits as teacher: read without trusting the file, matched by id or path."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TRAIN, Manifest
from tlcli.contracts.distillation import Outputs
from tlcli.contracts.teacher import Target
from tlcli.distill import reading
from tlcli.errors import ConfigError, DataError
from tlcli.system import files

SMALLEST = 1e-12
# Rows in a wrong order have a kappa near 0; a teacher worth its name has far more.
LEAST_KAPPA = 0.1


@dataclass
class Stored:
    """What a file holds, checked.

    Attributes:
        path: The file.
        ids: str (images,), all different.
        logits: float32 (images, classes), in the student's class order.
        classes: How its columns became the student's classes, in words.
    """

    path: Path
    ids: Any
    logits: Any
    classes: str

    def refuse_missing(self, wanted: Any) -> None:
        """Say which images the file lacks.

        Raises:
            DataError: Always.
        """
        held = set(self.ids.tolist())
        missing = [i for i in wanted.tolist() if i not in held]
        raise DataError(
            str(self.path),
            f"lacks {len(missing)} of {len(wanted)} training images: {shown(missing)}; "
            f"its {len(self.ids)} rows are called {shown(self.ids, 2)}",
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
    remedy = "Check that each row stands beside its own id, and the order of the columns."

    def __init__(self, stored: Stored, target: Target) -> None:
        self.stored, self.target = stored, target
        self.label, self.classes = f"file {stored.path}", stored.classes
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


def read(option: Any, target: Target) -> Stored:
    """Read and check a file of logits or probabilities.

    Args:
        option: The teacher `file`.
        target: The student's data.

    Raises:
        ConfigError: Options that do not fit the file.
        DataError: It is unreadable, its parts do not fit, numbers are not what they are called, or
            it does not belong to the data.
    """
    path, manifest = Path(option.path).expanduser(), target.manifest
    held = reading.arrays(path, "logits" if option.kind == "auto" else option.kind)
    _check_origin(path, option.sha256, held.get("data_fingerprint"), manifest)
    kind = _kind(path, option.kind, held)
    values = held[kind]
    ids = matched(_ids(path, option, held, manifest), manifest)
    check_shape(path, ids, values)
    check_numbers(path, ids, values, kind, manifest.multi_label)
    names = _class_names(path, option.class_names, held.get("class_names"))
    values, classes = _ordered(path, names, values, manifest.class_names)
    if kind == "probabilities":
        values = as_logits(values.astype(np.float64), manifest.multi_label)
    found = Stored(path, ids, values.astype(np.float32), classes)
    if "ids" not in held and option.ids is None:
        check_order(found, manifest)
    return found


def _check_origin(path: Path, sha256: str | None, fingerprint: Any, manifest: Manifest) -> None:
    """Refuse a file that is another than was asked for, or that tells of other data.

    Raises:
        DataError: Naming both hashes.
    """
    if sha256 is not None and (found := files.sha256(path)) != sha256:
        raise DataError(
            str(path), f"has SHA-256 {found}, and teacher.sha256 is {sha256}",
            "Give the file that was meant, or null.",
        )  # fmt: skip
    mine = {manifest.fingerprint, manifest.own}
    if fingerprint is not None and str(fingerprint) not in mine:
        raise DataError(
            str(path), f"was made for data with the fingerprint {str(fingerprint)[:12]}…, and this "
            f"has {manifest.fingerprint[:12]}…",
            "Compute the outputs for these images, splits and labels.",
        )  # fmt: skip


def _kind(path: Path, wanted: str, held: dict[str, Any]) -> str:
    """The array that is meant.

    Raises:
        DataError: The file has none, or two of which none was chosen.
    """
    kinds = [kind for kind in reading.KINDS if kind in held]
    if wanted in kinds:
        return wanted
    if wanted == "auto" and len(kinds) == 1:
        return kinds[0]
    names = ", ".join(sorted(held)) or "nothing"
    remedy = "Store either logits or probabilities, or give teacher.kind."
    raise DataError(str(path), f"holds {names}", remedy)


def _ids(path: Path, option: Any, held: dict[str, Any], manifest: Manifest) -> Any:
    """What the rows are called, str (rows,).

    Raises:
        ConfigError: The file and the options both tell, or neither.
        DataError: Rows without ids that are not as many as the images.
    """
    if "ids" in held:
        for name in ("ids", "rows"):
            if getattr(option, name) is not None:
                problem = f"got {getattr(option, name)!r}, and {path} has ids of its own"
                raise ConfigError(f"teacher.{name}", problem, "Leave it out.")
        return held["ids"].astype(str)
    if option.ids is not None:
        return _lines(Path(option.ids).expanduser())
    if option.rows is None:
        raise ConfigError(
            "teacher.ids", f"{path} does not say which image a row belongs to",
            "Store ids; or give teacher.ids=FILE, a text file with the id of each row, or "
            "teacher.rows=train or all if the rows are those of split.csv in its order.",
        )  # fmt: skip
    chosen = manifest.ids[manifest.rows(TRAIN)] if option.rows == "train" else manifest.ids
    count = len(next(held[kind] for kind in reading.KINDS if kind in held))
    if count != len(chosen):
        raise DataError(
            str(path), f"has {count} rows, and teacher.rows={option.rows} means {len(chosen)} "
            "images", "Compute all of them again, in the order of split.csv; or store ids.",
        )  # fmt: skip
    return chosen.astype(str)


def _lines(path: Path) -> Any:
    try:
        return np.array(path.read_text(encoding="utf-8").splitlines(), str)
    except (OSError, ValueError) as error:
        raise DataError(str(path), f"cannot be read ({error})", "Give a text file.") from None


def matched(keys: Any, manifest: Manifest) -> Any:
    """Ids of rows that are called by id or by path; what fits no image stays as it is.

    Args:
        keys: str (rows,).
        manifest: The student's data.
    """
    known = set(map(str, manifest.ids))
    root = os.path.realpath(manifest.root)

    def named(key: str) -> str:
        if key in known:
            return key
        path = os.path.normpath(key.replace("\\", "/"))
        below = os.path.relpath(os.path.realpath(path), root)
        return next((name for name in (path, below) if name in known), key)

    return np.array([named(str(key)) for key in keys], str)


def check_order(stored: Stored, manifest: Manifest) -> None:
    """Refuse rows that stand in another order than the images, as far as labels can tell.

    Cohen's kappa (1960) is 0 where rows are as good in any order. Rows that were swapped within
    their class, or a few among many, stay unseen: ids are the safe way.

    Raises:
        ConfigError: No labels to tell by.
        DataError: The rows do not fit the labels.
    """
    place = {name: row for row, name in enumerate(map(str, manifest.ids))}
    rows = np.array([place[name] for name in stored.ids.tolist()])
    if manifest.multi_label or not (manifest.labels[rows] >= 0).any():
        raise ConfigError(
            "teacher.rows", "the order of rows is checked by one label an image, and there is none",
            "Store the ids.",
        )  # fmt: skip
    known = manifest.labels[rows] >= 0
    labels, guesses = manifest.labels[rows][known], stored.logits.argmax(-1)[known]
    right, any_order = float((labels == guesses).mean()), shuffled_accuracy(labels, guesses)
    if right - any_order <= LEAST_KAPPA * (1 - any_order):
        raise DataError(
            str(stored.path), f"is right on {right:.4f} of the labelled images, and in any other "
            f"order it would be on {any_order:.4f}: its rows are not in the order of split.csv",
            "Store the ids beside the rows.",
        )  # fmt: skip


def shuffled_accuracy(labels: Any, guesses: Any) -> float:
    """Expected accuracy of guesses that are dealt out to the images by chance."""
    classes = int(max(labels.max(), guesses.max())) + 1
    shares = [np.bincount(x, minlength=classes) / len(x) for x in (labels, guesses)]
    return float(shares[0] @ shares[1])


def check_shape(path: Path, ids: Any, values: Any) -> None:
    """Refuse what is no table of numbers with one row an id.

    Raises:
        DataError: Naming the shapes, or the ids that stand twice.
    """
    if values.ndim != 2 or ids.shape != (len(values),) or values.dtype.kind not in "fiu":
        raise DataError(
            str(path), f"has ids {ids.shape} and {values.dtype} values {values.shape}",
            "Give numbers (images, classes) and as many ids.",
        )  # fmt: skip
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise DataError(
            str(path), f"has {shown(unique[counts > 1])} more than once", "Give each id one row."
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
            str(path), f"has numbers that are not finite for {shown(ids[bad])}",
            "Compute these rows again.",
        )  # fmt: skip
    inside = bool(((values >= 0) & (values <= 1)).all())
    sums = np.abs(values.astype(np.float64).sum(-1) - 1) < 1e-2
    if kind == "logits" and inside and not multi_label and sums.all() and len(values):
        raise DataError(
            str(path), "calls probabilities logits: every row is from 0 to 1 and sums to 1",
            "Name the array probabilities, or give teacher.kind=probabilities.",
        )  # fmt: skip
    if kind == "probabilities" and not (inside and (multi_label or sums.all())):
        wrong = ids[~sums] if inside else ids[((values < 0) | (values > 1)).any(-1)]
        raise DataError(
            str(path), f"has probabilities that do not sum to 1 or leave [0, 1]: {shown(wrong)}",
            "Name the array logits if it holds logits.",
        )  # fmt: skip


def _class_names(path: Path, given: Sequence[str] | None, told: Any) -> list[str] | None:
    """Class of each column by the configuration or the file.

    Raises:
        ConfigError: They differ.
    """
    if told is None:
        return None if given is None else list(given)
    names = [str(name) for name in np.ravel(told)]
    if given is not None and list(given) != names:
        raise ConfigError(
            "teacher.class_names", f"got {', '.join(given)}, and {path} says {shown(names)}",
            "Leave it out.",
        )  # fmt: skip
    return names


def _ordered(
    path: Path, names: list[str] | None, values: Any, wanted: tuple[str, ...]
) -> tuple[Any, str]:
    """Columns in the student's class order, and how they were found."""
    from tlcli.distill.class_places import class_places, mapping_text

    if names is None:
        if values.shape[1] != len(wanted):
            raise DataError(
                str(path), f"has {values.shape[1]} classes, and the data has {len(wanted)}",
                "Store class_names, so that columns can be chosen by name.",
            )  # fmt: skip
        return values, f"{len(wanted)} classes by position, for it tells no names"
    if len(names) != values.shape[1]:
        raise DataError(
            str(path), f"has {len(names)} class_names and {values.shape[1]} columns",
            "Give each column a name.",
        )  # fmt: skip
    places = class_places(wanted, names, str(path))
    return values[:, places], mapping_text(wanted, names, places)


def as_logits(probabilities: Any, multi_label: bool) -> Any:
    """Logits whose softmax, or sigmoid, gives the probabilities."""
    kept = np.clip(probabilities, SMALLEST, 1.0 - SMALLEST if multi_label else 1.0)
    return np.log(kept) - np.log1p(-kept) if multi_label else np.log(kept)


def shown(ids: Any, most: int = 5) -> str:
    """Names for a message: the first few, and how many there are."""
    ids = [str(i) for i in ids]
    return ", ".join(ids[:most]) + (f", … ({len(ids)} in all)" if len(ids) > most else "")
