"""Runs and exports that were packed into one file (`tl pack`): taken wherever a folder is."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from tlcli.system import bundle, cache, files
from tlcli.system import located as sources


def located(given: str | Path, where: str) -> Path:
    """The folder of a run or an export; a packed one is unpacked into the cache, once.

    Args:
        given: As typed: a folder, a file of `tl pack`, or the address of either.
        where: Dotted place in the configuration, for messages.

    Returns:
        The folder; whatever else was given as it is, for the reader to refuse.

    Raises:
        DataError: A file of `tl pack` is damaged.
    """
    path = sources.located(str(given), where)
    if not bundle.is_bundle(path):
        return path
    facts = path.stat()
    return unpacked(path.absolute(), (facts.st_size, facts.st_mtime_ns, facts.st_ino))


def home(given: str | Path, where: str) -> Path:
    """Where outputs about a run or an export lie by default: in its folder, or beside its file."""
    path = sources.located(str(given), where)
    return path.with_suffix("") if bundle.is_bundle(path) else path


@functools.lru_cache(maxsize=64)
def unpacked(path: Path, _: tuple[int, ...]) -> Path:
    """The folder that holds what a file of `tl pack` holds.

    Raises:
        DataError: It is damaged.
    """
    base = cache.cache_folder(None) / "packed"
    place = base / files.sha256(path)[:32] / path.stem
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new.", dir=place.parent))
    except OSError as error:
        cache.done_without(base, error)
        made = Path(tempfile.mkdtemp(prefix="tl-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        bundle.unpack(path, made)
        return made
    try:
        bundle.unpack(path, made)
        os.rename(made, place)
    except OSError:
        # Another process was sooner.
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place
