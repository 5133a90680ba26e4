"""Read stored logits without trusting the file, and match them by id or path."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.contracts.data import TRAIN, Manifest
from tlcli.contracts.teacher import Target
from tlcli.distill import reading
from tlcli.distill.class_places import class_places, mapping_text
from tlcli.distill.table import Stored, shown
from tlcli.distill.table_checks import check_numbers, check_order, check_shape
from tlcli.errors import ConfigError, DataError
from tlcli.system import files
from tlcli.system.files import expanded
from tlcli.system.opened import read_text
from tlcli.system.shown import fused

SMALLEST = 1e-12


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
    path, manifest = expanded(option.path, "teacher.path"), target.manifest
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
    given = None if fingerprint is None else str(fingerprint)
    if given not in (None, manifest.fingerprint, manifest.own) and not manifest.same_data(given):
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
        return _lines(expanded(option.ids, "teacher.ids"))
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
    return np.array(read_text(path, "csv").splitlines(), str)


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
        if fused(key) in known:  # as split.csv writes it
            return fused(key)
        path = os.path.normpath(key.replace("\\", "/"))
        below = os.path.relpath(os.path.realpath(path), root)
        return next((name for name in (path, below) if name in known), key)

    return np.array([named(str(key)) for key in keys], str)


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
