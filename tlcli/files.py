"""Files that appear whole or not at all."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.errors import TlError


def write(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write through a temporary file that is flushed to the disk, then renamed.

    Raises:
        TlError: The disk is full or the folder cannot be written; what was there before stays.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise TlError(f"{path}: cannot be written ({error.strerror}). Nothing was lost.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    write(path, lambda file: void(file.write(text.encode("utf-8"))))


def write_json(path: Path, content: Any) -> None:
    """Write JSON that a person can read."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, default=plain) + "\n")


def plain(value: Any) -> Any:
    """What JSON lacks: numpy numbers and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def void(_: Any) -> None:
    """Drop a result."""


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hash of a file's content, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
