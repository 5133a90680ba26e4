"""What the files of pictures tell beside their pixels: size, kind, quality, camera, time."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from tlcli.contracts.data import ImageSource
from tlcli.data.header import opened, quiet_pillow
from tlcli.system import console
from tlcli.system.shown import shown

MAKE, MODEL, TIME, ORIENTATION, DETAILS = 0x010F, 0x0110, 0x0132, 0x0112, 0x8769
TAKEN, SERIAL = 0x9003, 0xA431
_CHUNK = 64


@dataclass(frozen=True)
class FileFacts:
    """What one file tells; nothing where a source has no files.

    Attributes:
        width, height: Pixels as they are seen; 0 where unknown.
        kind: As JPEG; empty where unknown.
        quality: Sum of a JPEG's steps of light, -1 of other files.
        camera: Maker, model and number; empty where it is not told.
        time: Seconds since 1970 of when it was taken, in no time zone; NaN where it is not told.
    """

    width: int = 0
    height: int = 0
    kind: str = ""
    quality: int = -1
    camera: str = ""
    time: float = float("nan")


@dataclass(frozen=True, eq=False)
class Facts:
    """The facts of all pictures, a column each."""

    width: Any
    height: Any
    kind: Any
    quality: Any
    camera: Any
    time: Any


def facts_of(images: ImageSource, count: int) -> Facts:
    """The facts of all pictures of a source."""
    if images.encoded is None:
        shape = (0, 0, 0) if images.array is None else images.array.shape
        return _columns([FileFacts(int(shape[2]), int(shape[1]))] * count)
    read = images.encoded

    def part(rows: Any) -> list[FileFacts]:
        return [file_facts(read(int(row))) for row in rows]

    chunks = [np.arange(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
    with quiet_pillow(), ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        parts = console.staged(pool.map(part, chunks), "reading files", count, "files", len)
        return _columns([one for some in parts for one in some])


def _columns(rows: Iterable[FileFacts]) -> Facts:
    found = list(rows)
    kinds = {"width": np.int64, "height": np.int64, "quality": np.int64, "time": np.float64}
    return Facts(**{
        name: np.array([getattr(one, name) for one in found], kinds.get(name, object))
        for name in FileFacts.__annotations__
    })  # fmt: skip


def file_facts(content: bytes) -> FileFacts:
    """The facts of an encoded picture; as much as can be read of it."""
    try:
        with opened(io.BytesIO(content), content[:64]) as picture:
            width, height = picture.size
            kind = str(picture.format or "")
            tables = getattr(picture, "quantization", None) or {}
            exif = picture.getexif()
    except Exception:  # headers are a stranger's; the pixels were decoded by other means
        return FileFacts()
    quality = int(sum(tables[0])) if 0 in tables else -1
    turned, camera, time = _exif(exif)
    size = (height, width) if turned else (width, height)
    return FileFacts(*size, kind, quality, camera, time)


def _exif(exif: Any) -> tuple[bool, str, float]:
    """Whether sides change places, the camera, and the time."""
    try:
        inner = exif.get_ifd(DETAILS)
        turned = exif.get(ORIENTATION) in (5, 6, 7, 8)
        parts = (exif.get(MAKE), exif.get(MODEL), inner.get(SERIAL))
        camera = " ".join(str(one).strip(" \0") for one in parts if one)
        return turned, shown(camera, 120), taken(str(inner.get(TAKEN) or exif.get(TIME) or ""))
    except Exception:  # as above
        return False, "", float("nan")


def taken(text: str) -> float:
    """Seconds since 1970 of a time as EXIF writes it; NaN of any other text."""
    try:
        moment = datetime.strptime(text.strip(" \0")[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return float("nan")
    return (moment - datetime(1970, 1, 1)).total_seconds()
