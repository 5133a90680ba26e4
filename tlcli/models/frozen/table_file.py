"""Arrays in a folder: written as they are computed, hashed, read into memory or mapped from disk.

A folder appears whole or not at all. Nothing is ever held in memory but the part being written.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from tlcli.data.stamps import stamp
from tlcli.system import cache, files
from tlcli.system.array_file import load_npy
from tlcli.system.opened import read_text

FACTS = "table.json"
NEW = ".new-"
# Up to here content is hashed at every reading; beyond, only after size or time changed.
ALWAYS_HASHED = 32 << 20
ABANDONED_SECONDS = 86_400


class DamagedError(Exception):
    """A stored array that is not what was written; names the file."""


class Writer:
    """Writes arrays of a known length into a new folder beside the final one.

    Used as a context: what is not kept by `keep` is removed at its end.
    """

    def __init__(self, folder: Path, length: int) -> None:
        """Make the new folder, and remove what writers that were killed left a day ago.

        Args:
            folder: That holds all tables.
            length: Entries of each array.

        Raises:
            OSError: Nothing can be written there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{NEW}*"):
            if time.time() - _last_change(old) > ABANDONED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        self.folder, self.length = folder, length
        self._made = Path(tempfile.mkdtemp(dir=folder, prefix=NEW))
        self._files: list[_Growing] = []

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *reason: object) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):  # On a full disk; what is kept was closed before.
                file.close()
        shutil.rmtree(self._made, ignore_errors=True)

    def add(self, arrays: Sequence[Any]) -> None:
        """Append one part (entries, ...) to each array; the first decides shapes and types."""
        if not self._files:
            paths = [self._made / f"{index}.npy" for index in range(len(arrays))]
            pairs = zip(paths, arrays, strict=True)
            self._files = [_Growing(path, self.length, part) for path, part in pairs]
        for file, array in zip(self._files, arrays, strict=True):
            file.add(array)

    def keep(self, name: str, made: Mapping[int, tuple[str, str]] = MappingProxyType({})) -> Path:
        """Give the folder its name; gives where it lies now.

        Where another process was faster, its folder stays and is used.

        Args:
            name: Of the folder.
            made: From the first entry of a block to what it is called and what it was made of.
        """
        facts = {
            "dtypes": [file.dtype for file in self._files],
            "sha256": [file.close() for file in self._files],
            "stamps": [_stamp(file.path) for file in self._files],
            "blocks": [[start, *told] for start, told in made.items()],
        }
        (self._made / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        try:
            os.replace(self._made, place)
        except OSError:
            if not (place / FACTS).is_file():
                raise
        return place


class _Growing:
    """A .npy file that is written from its start to its end, and hashed on the way."""

    def __init__(self, path: Path, length: int, first: Any) -> None:
        self.path, self.dtype = path, str(first.dtype)
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        head = {"shape": (length, *first.shape[1:]), "fortran_order": False,
                "descr": np.lib.format.dtype_to_descr(_plain(first).dtype)}  # fmt: skip
        np.lib.format.write_array_header_1_0(_Both(self._file, self._digest), head)

    def add(self, array: Any) -> None:
        content = np.ascontiguousarray(_plain(array)).data.cast("B")
        self._file.write(content)
        self._digest.update(content)

    def close(self) -> str:
        """Close it; gives its sha256."""
        self._file.close()
        return self._digest.hexdigest()


class _Both:
    """What is written to it goes into a file and into a hash."""

    def __init__(self, file: BinaryIO, digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._file.write(content)


def _plain(array: Any) -> Any:
    """The array as .npy can hold it: bfloat16 as its bits."""
    return array.view(np.uint16) if str(array.dtype) == "bfloat16" else array


def read(place: Path, mapped: bool) -> list[Any] | None:
    """Arrays of a folder, in memory or memory-mapped; None where there is none.

    Raises:
        DamagedError: A file is not what was written.
    """
    return cache.read(place / FACTS, lambda facts: _arrays(facts, mapped), (DamagedError,))


def _arrays(facts_file: Path, mapped: bool) -> list[Any]:
    facts = json.loads(read_text(facts_file, "json"))
    parts = list(zip(facts["sha256"], facts["stamps"], facts["dtypes"], strict=True))
    arrays = []
    for index, (expected, written, dtype) in enumerate(parts):
        path = facts_file.with_name(f"{index}.npy")
        now = _stamp(path)
        if (now[0] <= ALWAYS_HASHED or now != written) and files.sha256(path) != expected:
            raise DamagedError(str(path))
        arrays.append(_as(load_npy(path, mapped), dtype))
    return arrays


def blocks(place: Path) -> dict[int, tuple[str, str]]:
    """From the first entry of each block to what it is called and what it was made of."""
    return cache.read(place / FACTS, _blocks) or {}


def _blocks(facts_file: Path) -> dict[int, tuple[str, str]]:
    facts = json.loads(read_text(facts_file, "json"))
    return {int(start): (str(name), str(made_of)) for start, name, made_of in facts["blocks"]}


def _as(array: Any, dtype: str) -> Any:
    if dtype != "bfloat16":
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)


def _stamp(path: Path) -> list[int]:
    """Bytes and mark of a file; what still has them was not changed."""
    return list(stamp(path))


def _last_change(folder: Path) -> float:
    """Time of the latest change of a folder or of a file in it, seconds."""
    times: Iterator[float] = (path.stat().st_mtime for path in [folder, *folder.glob("*")])
    try:
        return max(times)
    except OSError:
        return time.time()
