"""Hashes kept beside size, times, inode and device of files, and made anew when any differs."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tlcli.data.ids import Ids
from tlcli.data.stamps import stamp
from tlcli.lazy import np
from tlcli.system import cache
from tlcli.system.array_file import load_npz
from tlcli.system.opened import read_text

SIZE = 16


def joined(names: Sequence[str]) -> bytes:
    """Names as one text, NUL between them."""
    if isinstance(names, Ids):
        found: bytes = names.content[:-1].tobytes()
        return found
    return "\0".join(map(str, names)).encode("utf-8", "surrogateescape")


def read(path: Path | None) -> tuple[bytes, Any, Any] | None:
    """Names, stamps and hashes; None where there is nothing that can be used."""
    return None if path is None else cache.read(path, _read)


def _read(path: Path) -> tuple[bytes, Any, Any] | None:
    found = load_npz(path)
    names, old, hashes = found["names"].tobytes(), found["stamps"], found["hashes"]
    count = names.count(b"\0") + 1
    fits = old.shape == (count, 2) and hashes.shape == (count, SIZE)
    return (names, old, hashes) if fits and hashes.dtype == np.uint8 else None


def write(path: Path, names: Sequence[str], stamps: Any, hashes: Any) -> None:
    """Remember hashes of rows, beside those of others that are there.

    Args:
        path: The file; where it cannot be written they are made anew another time.
        names: What the rows are called.
        stamps: Of each, int64 (rows, 2); GONE where nothing is to be remembered.
        hashes: uint8 (rows, SIZE).
    """
    own, found = joined(names), read(path)
    if found is not None and found[0] != own:
        mine = set(own.split(b"\0"))
        theirs = found[0].split(b"\0")
        rest = [row for row, name in enumerate(theirs) if name not in mine]
        own = b"\0".join([own, *(theirs[row] for row in rest)])
        stamps = np.concatenate([stamps, found[1][rest]])
        hashes = np.concatenate([hashes, found[2][rest]])
    columns = {"names": np.frombuffer(own, np.uint8), "stamps": stamps, "hashes": hashes}
    cache.write(path, lambda file: np.savez(file, **columns))


def memory_file(key: str, cache_dir: Path) -> Path:
    """Where the hashes of one source are remembered."""
    return cache_dir / f"content-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def verified(path: Path, sha256: Callable[[Path], str], expected: str, cache_dir: Path) -> bool:
    """Whether a file has a SHA-256, read only if it changed since that was last seen.

    Args:
        path: The file.
        sha256: Takes the hash.
        expected: What it has to be, hex.
        cache_dir: Where it is remembered.
    """
    now = stamp(path)
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]
    kept = cache_dir / f"verified-{key}.json"
    if cache.read(kept, lambda path: json.loads(read_text(path, "json"))) == [*now, expected]:
        return True
    if sha256(path) != expected or stamp(path) != now:
        return False
    remember_verified(path, expected, cache_dir)
    return True


def remember_verified(path: Path, sha256: str, cache_dir: Path) -> None:
    """Remember the SHA-256 of a file that was just written or read, unless it changed just now."""
    now = stamp(path)
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]
    with contextlib.suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        temporary = cache_dir / f"verified-{key}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps([*now, sha256]), encoding="utf-8")
        os.replace(temporary, cache_dir / f"verified-{key}.json")
