"""What a training goes on from: arrays and facts on disk, and what the bits depend on.

A state is a pair of files named by the steps done: NUMBER.npz, then NUMBER.json with its SHA-256.
The JSON comes last, so its presence says that the pair is whole.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import DataError
from tlcli.runs.schema import each, mapping, number, of, or_none, text, values_of, whole
from tlcli.system import files, opened
from tlcli.system.array_file import load_npz

KEPT_STATES = 2
MOST_STEPS = 10**15
_COUNT = whole(0, MOST_STEPS)
# What NUMBER.json must hold, and what of its facts every training reads.
DESCRIPTION = {"sha256": text, "names": each(text), "facts": mapping}
FACTS = {
    "phase": _COUNT, "step": _COUNT, "epoch": _COUNT, "waited": _COUNT, "averaged": _COUNT,
    "halvings": _COUNT, "sums": each(of(float, "a number")), "best": or_none(number()),
    "best_epoch": each(_COUNT), "plateau": or_none(mapping), "rows": each(mapping),
    "peers": each(or_none(of((int, float), "a number"))), "fingerprint": text,
    "listed": text, "config_hash": text, "surroundings": mapping, "good": mapping,
}  # fmt: skip


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
    described = description(hashlib.sha256(content).hexdigest(), list(arrays), facts)
    files.write_json(data.with_suffix(".json"), described)
    _prune(folder, number)
    return content.nbytes


def description(digest: str, names: list[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What NUMBER.json holds, with a hash of itself.

    Args:
        digest: Hash of NUMBER.npz.
        names: Of its arrays.
        facts: Everything else.
    """
    found = {"sha256": digest, "names": names, "facts": _encoded(dict(facts))}
    return {**found, "own": _own(found)}


def _own(found: Mapping[str, Any]) -> str:
    """Hash of a description without its hash."""
    text = json.dumps(found, sort_keys=True, default=files.plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _encoded(value: Any) -> Any:
    """Plain values in which a number that is not finite, which JSON lacks, is a mapping."""
    if isinstance(value, Mapping):
        return {str(key): _encoded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    return value


def _decoded(value: dict[str, Any]) -> Any:
    """The number that `_encoded` made a mapping of; other mappings as they are."""
    return float(value["float"]) if value.keys() == {"float"} else value


def _prune(folder: Path, number: int) -> None:
    """Keep the state just written and those before it; later ones were damaged."""
    ours = [p for kind in ("*.json", "*.npz") for p in folder.glob(kind) if p.stem.isdecimal()]
    whole = sorted(p.stem for p in ours if p.suffix == ".json" and int(p.stem) <= number)
    for path in ours:
        if path.stem not in whole[-KEPT_STATES:]:
            path.unlink()


def load(folder: Path) -> State | None:
    """The newest whole state; None when none was ever written."""
    skipped: list[str] = []
    found = {
        p.stem for kind in ("*.json", "*.npz") for p in folder.glob(kind) if p.stem.isdecimal()
    }
    for stem in sorted(found, reverse=True):
        try:
            arrays, facts = _read(folder / f"{stem}.npz")
        # A border: whatever a damaged file can raise means that the state is not whole.
        except Exception as error:
            skipped.append(f"{folder / stem}.npz ({opened.reason(error)})")
        else:
            return State(arrays, facts, skipped)
    return State({}, {}, skipped) if skipped else None


def _read(data: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    described = data.with_suffix(".json")
    if not described.is_file():
        raise ValueError("its description is missing, so it was not saved to the end")
    if not data.is_file():
        raise ValueError("it is missing")
    words = opened.read_text(described, "json")
    content = json.loads(words)
    # States of old have no hash of their description.
    if "own" in content and _own({k: content[k] for k in content if k != "own"}) != content["own"]:
        raise ValueError("the hash of its description differs")
    content = json.loads(words, object_hook=_decoded)
    try:
        values_of(content, DESCRIPTION, tuple(DESCRIPTION))
        values_of(content["facts"], FACTS)
    except ValueError as problem:
        raise ValueError(f"in its description {problem}") from None
    if files.sha256(data) != content["sha256"]:
        raise ValueError("its hash differs")
    found = load_npz(data)
    arrays = {name: found[f"a{i}"] for i, name in enumerate(content["names"])}
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
