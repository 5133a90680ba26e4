"""Read an image's header: format by content, size, orientation, and whether the file is whole."""

import contextlib
import importlib
import io
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.errors import DataError
from tlcli.system.opened import open_regular, reason

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
BY_JPEG, BY_PNG, BY_WEBP, BY_PILLOW = 0, 1, 2, 3
HEAD_BYTES, TAIL_BYTES = 4096, 2048
# Read by Pillow alone, the first frame, and looked for only where none of FORMATS fits.
FURTHER = {"TIFF": "TIFF", "AVIF": "AVIF", "JPEG2000": "JPEG 2000", "HEIF": "HEIC"}
REMEDY = (
    "Replace or remove the file; JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF and JPEG 2000 are read, and "
    "HEIC with the extra heif."
)
# Width times height above which a picture counts as unreadable, unless the data says otherwise.
MAX_PIXELS = 50_000_000

_ORIENTATION = 0x0112
_PNG_START = b"\x89PNG\r\n\x1a\n"
_FURTHER_STARTS = (
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"....ftyp(avif|avis)", "AVIF"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIF"),
)
_STRANGERS = (
    (rb"II[*+]\0|MM\0[*+]", "a TIFF image"),
    (rb"....ftyp(avif|avis)", "an AVIF image"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "a HEIC image"),
    (rb"....ftyp", "a video"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL image"),
    (rb"%PDF", "a PDF document"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\s*<(\?xml|svg|!DOCTYPE|html)", "an SVG, XML or HTML text"),
    (rb"[\t\n\r\x20-\x7e]+\Z", "a text"),
)
# Strangers that are read where what reads them is there: their key in FURTHER, and what it is.
_LACKING = {
    "a TIFF image": ("TIFF", "which this Pillow was built without"),
    "a HEIC image": ("HEIF", "which the extra heif reads: pip install 'tlcli[heif]'"),
    "an AVIF image": ("AVIF", "which this Pillow was built without: pip install -U pillow"),
}


class UnreadableError(Exception):
    """Why a file is no usable image, in words that follow its name."""


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        format: One of FORMATS or FURTHER, by content.
        decoder: BY_JPEG, BY_PNG, BY_WEBP for TensorFlow's; BY_PILLOW for what those get wrong or
            refuse: CMYK, BMP, GIF, WebP with alpha or animation, and FURTHER.
        width: Pixels, upright.
        height: Pixels, upright.
        orientation: EXIF orientation, 1 to 8.
        checksum: CRC-32 of the first and last bytes of the file.
    """

    format: str
    decoder: int
    width: int
    height: int
    orientation: int
    checksum: int


def inspect(source: str | Path | bytes, max_pixels: int, name: str | None = None) -> Header:
    """Header of an image file or of an encoded image.

    Args:
        source: Path, or the bytes themselves.
        max_pixels: Width times height above which a picture is refused.
        name: What to call the source in an error; the path unless given.

    Raises:
        DataError: Missing, empty, truncated, not an image that is read, or too large.
    """
    label = name or ("image" if isinstance(source, bytes) else str(source))
    try:
        with quiet_pillow():
            return read_header(source, max_pixels)
    except UnreadableError as problem:
        raise DataError(label, str(problem), REMEDY) from problem


def read_header(source: str | Path | bytes, max_pixels: int) -> Header:
    """As `inspect`, for many files: called inside `quiet_pillow()`.

    Raises:
        UnreadableError: Why the file cannot be used.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), len(source), max_pixels)
    try:
        with open_regular(source, "picture") as file:
            return _read(file, os.fstat(file.fileno()).st_size, max_pixels)
    except DataError as error:
        problem = "there is no such file" if error.problem == "is missing" else error.problem
        raise UnreadableError(problem) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Context in which Pillow is silent on large pictures, judged here, and on broken EXIF."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        yield


def _read(file: BinaryIO, size: int, max_pixels: int) -> Header:
    """Header of an open file of a known size in bytes."""
    from PIL import Image, UnidentifiedImageError

    if size == 0:
        raise UnreadableError("the file is empty")
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    file.seek(0)
    try:
        picture = opened(file, head)
    except UnidentifiedImageError:
        raise UnreadableError(_stranger(head)) from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"has more pixels than the limit of {max_pixels:,}") from None
    except Exception as error:
        raise UnreadableError(f"its header is broken: {reason(error)}") from error
    width, height = picture.size
    if width * height > max_pixels:
        raise UnreadableError(f"has {width}x{height} pixels, more than the limit of {max_pixels:,}")
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    decoder = _decoder(kind, picture)
    has_exif = _check_whole(kind, decoder, picture, file, tail)
    orientation = _orientation(picture, has_exif)
    if orientation >= 5:
        width, height = height, width
    return Header(kind, decoder, width, height, orientation, zlib.crc32(tail, zlib.crc32(head)))


def opened(file: BinaryIO, head: bytes) -> Any:
    """The picture, opened by what its content says it is."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        kind = next((k for start, k in _FURTHER_STARTS if re.match(start, head, re.DOTALL)), "")
        if kind not in further():
            raise
    file.seek(0)
    return Image.open(file, formats=(kind,))


@cache
def further() -> frozenset[str]:
    """Which of FURTHER this Pillow reads; HEIC where the package pillow-heif is there."""
    from PIL import Image, features

    with contextlib.suppress(Exception):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    lacking = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
    return frozenset(
        kind for kind in FURTHER
        if kind in Image.OPEN and (kind not in lacking or features.check(lacking[kind]))
    )  # fmt: skip


def _stranger(head: bytes) -> str:
    """What a file that is no known image seems to be."""
    for pattern, what in _STRANGERS:
        if re.match(pattern, head, re.DOTALL):
            kind, lacking = _LACKING.get(what, ("", "not an image that is read"))
            return f"is {what}, {'whose header is broken' if kind in further() else lacking}"
    return "is not an image that is read, or its header is broken"


def _decoder(kind: str, picture: Any) -> int:
    if kind == "JPEG" and picture.mode in ("L", "RGB"):
        return BY_JPEG
    if kind == "PNG":
        return BY_PNG
    if kind == "WEBP" and picture.mode == "RGB" and not picture.is_animated:
        return BY_WEBP
    return BY_PILLOW


def _check_whole(kind: str, decoder: int, picture: Any, file: BinaryIO, tail: bytes) -> bool:
    """Refuse a file that ends early; returns whether a PNG has an EXIF chunk."""
    if kind == "PNG":
        return _walk_png(file)
    if kind == "WEBP" and decoder != BY_PILLOW:
        return False  # Pillow's WebP reader has checked the length of the whole container.
    if kind == "JPEG" and decoder == BY_JPEG and b"\xff\xd9" in tail:
        return False
    # Rare: no end marker near the end (cameras may append data), or decoded by Pillow anyway.
    if picture.mode in ("I", "F"):
        raise UnreadableError("has pixels of 32 bits: save it with 8 or 16")
    try:
        picture.load()
    except Exception as error:
        raise UnreadableError(f"cannot be decoded: {reason(error)}") from error
    return False


def _walk_png(file: BinaryIO) -> bool:
    """Check every chunk of a PNG; returns whether there is an EXIF chunk."""
    has_exif = False
    file.seek(len(_PNG_START))
    while True:
        start = file.read(8)
        if len(start) < 8:
            raise UnreadableError("cannot be decoded: the PNG is truncated")
        length, name = int.from_bytes(start[:4], "big"), start[4:]
        body = file.read(length + 4)
        if len(body) < length + 4:
            raise UnreadableError("cannot be decoded: the PNG is truncated")
        sum_given = int.from_bytes(body[-4:], "big")
        if name[:1].isupper() and zlib.crc32(body[:-4], zlib.crc32(name)) != sum_given:
            raise UnreadableError("cannot be decoded: a checksum of the PNG is wrong")
        if name == b"IEND":
            return has_exif
        has_exif = has_exif or name == b"eXIf"


def _orientation(picture: Any, has_exif: bool) -> int:
    """EXIF orientation, 1 unless the file says otherwise."""
    if picture.format == "TIFF":  # Pillow turns it.
        return 1
    # Pillow decodes a whole PNG to look for EXIF, so ask only when something is there.
    keys = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
    if not has_exif and not any(key in picture.info for key in keys):
        return 1
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1  # EXIF is a stranger's text; a picture without it stands as it is stored.
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
