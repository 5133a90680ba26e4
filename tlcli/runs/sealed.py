"""The files of a finished run are those that were written: a hash of each, checked when it is read.

metadata.json holds the hash of every other file; run.sha256 holds all of them and its own, in the
form that `sha256sum --check` reads. Logs are left out, for they are still written to.
"""

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from tlcli.errors import DataError
from tlcli.runs.facts import Facts
from tlcli.system import console, files, opened

WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
SEAL = "run.sha256"
# A run cannot do without the first two; one that was carried elsewhere may lack the others.
NEEDED = ("config.json", WEIGHTS)
FILES = (*NEEDED, "metrics.json", "metrics.csv", "split.csv", "auto.yaml",
         "predictions.npz", "strangers.npz")  # fmt: skip
REMEDY = "Restore or train again."


def hashes(path: Path, weights: Path) -> dict[str, str]:
    """Hash of each file that a run has, by name; metadata.json is still to be written.

    Args:
        path: The run folder.
        weights: Where its weights lie until they get their name.
    """
    there = {name: weights if name == WEIGHTS else path / name for name in FILES}
    return {name: files.sha256(file) for name, file in there.items() if file.is_file()}


def seal(path: Path, found: Mapping[str, str]) -> None:
    """Write run.sha256 of hashes and of metadata.json.

    Raises:
        WriteError: It cannot be written.
    """
    files.write_text(path / SEAL, _text(files.sha256(path / METADATA), found))


def _text(metadata: str, found: Mapping[str, str]) -> str:
    """Content of run.sha256."""
    return "".join(f"{h}  {name}\n" for name, h in {METADATA: metadata, **found}.items())


def check(path: Path, facts: Facts) -> None:
    """Make sure that the files of a run are those that were written.

    Args:
        path: The run folder.
        facts: Its metadata.json.

    Raises:
        DataError: A file is missing or another one.
    """
    if (path / SEAL).exists():
        _check_seal(path, facts.sha256)
    elif len(facts.sha256) > 1:
        raise DataError(str(path / SEAL), "is missing", REMEDY)
    else:
        _tell_old(path)
    for name in FILES:
        if name in facts.sha256 and (name in NEEDED or (path / name).exists()):
            _check_file(path / name, facts.sha256[name])


def _check_seal(path: Path, found: Mapping[str, str]) -> None:
    """Make sure that run.sha256 and metadata.json are of one run."""
    text, own = opened.read_text(path / SEAL, "recipe"), hash_of(path / METADATA)
    if text != _text(own, found):
        wrong = SEAL if text.startswith(own) else METADATA
        raise DataError(str(path / wrong), f"is not the file that was written (by {SEAL})", REMEDY)
    if missing := [name for name in NEEDED if name not in found]:
        raise DataError(str(path / METADATA), f"names no hash of {missing[0]}", REMEDY)


def _check_file(path: Path, expected: str) -> None:
    if hash_of(path) != expected:
        raise DataError(str(path), "is not the file that was written", REMEDY)


def hash_of(path: Path) -> str:
    """Hash of a file's content, made once as long as the file is the same.

    Raises:
        DataError: It is no regular file, or cannot be read.
    """
    with opened.open_regular(path, "weights") as file, opened.reading(path):
        facts = os.fstat(file.fileno())
    stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev)
    return _hash(path.absolute(), stamp)


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, _: tuple[int, ...]) -> str:
    with opened.reading(path):
        return files.sha256(path)


@functools.cache
def _tell_old(path: Path) -> None:
    console.say(f"{path} is of tl 0.1.0, which kept a hash of the weights alone; the rest is taken "
                "as it is")  # fmt: skip
