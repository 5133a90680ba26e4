"""What a training goes on from: arrays and facts on disk, and what the bits depend on.

A state is a pair of files named by the steps done: NUMBER.npz, then NUMBER.json with its SHA-256.
The JSON comes last, so its presence says that the pair is whole.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import DataError
from tlcli.system import files

KEPT_STATES = 2


@dataclass
class State:
    """What a training goes on from.

    Attributes:
        arrays: By name; empty when no state was whole.
        facts: The rest.
        skipped: Files that were torn or damaged, each with its reason.
    """

    arrays: dict[str, Any]
    facts: dict[str, Any]
    skipped: list[str]


def save(folder: Path, number: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    """Write one state and drop all but the last two; gives its size in bytes.

    Args:
        folder: `state` in the run folder.
        number: Steps done in all; names the files.
        arrays: Arrays by name.
        facts: Everything else, as JSON.

    Raises:
        WriteError: It cannot be written; earlier states stay.
    """
    files.make_folder(folder)
    files.remove_torn(folder)
    buffer = io.BytesIO()
    np.savez(buffer, **{f"a{i}": a for i, a in enumerate(arrays.values())})
    content = buffer.getbuffer()
    data = folder / f"{number:010d}.npz"
    files.write_bytes(data, content)
    described = {
        "sha256": hashlib.sha256(content).hexdigest(), "names": list(arrays), "facts": dict(facts),
    }  # fmt: skip
    files.write_json(data.with_suffix(".json"), described)
    _prune(folder, number)
    return content.nbytes


def _prune(folder: Path, number: int) -> None:
    """Keep the state just written and those before it; later ones were damaged."""
    whole = [p for p in sorted(folder.glob("*.json")) if int(p.stem) <= number]
    kept = {p.stem for p in whole[-KEPT_STATES:]}
    for path in [*folder.glob("*.json"), *folder.glob("*.npz")]:
        if path.stem not in kept:
            path.unlink()


def load(folder: Path) -> State | None:
    """The newest whole state; None when none was ever written."""
    skipped: list[str] = []
    found = {p.stem for kind in ("*.json", "*.npz") for p in folder.glob(kind)}
    for stem in sorted(found, reverse=True):
        try:
            arrays, facts = _read(folder / f"{stem}.npz")
        except (OSError, ValueError, KeyError, TypeError) as error:
            skipped.append(f"{folder / stem}.npz ({error})")
        else:
            return State(arrays, facts, skipped)
    return State({}, {}, skipped) if skipped else None


def _read(data: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    described = data.with_suffix(".json")
    if not described.is_file():
        raise ValueError("its description is missing, so it was not saved to the end")
    if not data.is_file():
        raise ValueError("it is missing")
    content = json.loads(described.read_text(encoding="utf-8"))
    if files.sha256(data) != content["sha256"]:
        raise ValueError("its hash differs")
    with np.load(data, allow_pickle=False) as file:
        arrays = {name: file[f"a{i}"] for i, name in enumerate(content["names"])}
    return arrays, dict(content["facts"])


def put(variables: Mapping[str, Any], arrays: Mapping[str, Any], where: Path) -> None:
    """Set variables from a state.

    Raises:
        DataError: A name, shape or type differs: the state belongs to another model.
    """
    for name, variable in variables.items():
        array = arrays.get(name)
        shape = tuple(int(s) for s in variable.shape)
        if array is None or array.shape != shape:
            found = "nothing" if array is None else f"shape {array.shape}"
            raise DataError(
                str(where), f"has {found} for {name}, which needs {shape}",
                "The state belongs to another configuration; train anew in another run_dir.",
            )  # fmt: skip
        variable.assign(array)


# ---- what the bits depend on ---------------------------------------------------------------
