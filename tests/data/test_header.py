"""What a header says: format by content, size, orientation, and whether the file is whole."""

import struct
import zlib

import pytest

from tests.helpers.pictures import encode, odd_images, smooth
from tlcli.data.header import BY_PILLOW, inspect
from tlcli.errors import DataError

LIMIT = 1_000_000


def test_a_broken_exif_block_counts_as_upright(pixels):
    data = encode(pixels, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert inspect(data, LIMIT).orientation == 1


def test_format_is_judged_by_content(pixels, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(pixels, "PNG"))
    assert inspect(tmp_path / "a.jpg", LIMIT).format == "PNG"
    assert inspect(str(tmp_path / "a.jpg"), LIMIT).width == 32


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_truncated_files_are_found_by_the_header_check(kind, share):
    data = encode(smooth(1, 160, 200), kind)
    with pytest.raises(DataError, match=r"photo: (cannot be decoded|.*header is broken)"):
        inspect(data[: int(len(data) * share)], LIMIT, name="photo")


def test_a_damaged_png_is_found(pixels):
    data = bytearray(encode(pixels, "PNG"))
    data[data.index(b"IDAT") + 9] ^= 255
    with pytest.raises(DataError, match="a checksum of the PNG is wrong"):
        inspect(bytes(data), LIMIT)


def test_pictures_above_the_limit_are_refused_before_decoding(pixels):
    assert inspect(encode(pixels), 24 * 32).width == 32
    with pytest.raises(DataError, match="has 32x24 pixels, more than the limit of 767"):
        inspect(encode(pixels), 24 * 32 - 1)


def test_a_small_png_that_claims_to_be_huge_is_refused_quickly(pixels):
    data = bytearray(encode(pixels))
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(DataError, match="more pixels than the limit"):
        inspect(bytes(data), LIMIT)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        inspect(tmp_path / "none.png", LIMIT)


def test_pillow_decodes_only_what_tensorflow_gets_wrong(pixels):
    decoders = {name: inspect(data, LIMIT).decoder for name, data in odd_images(pixels).items()}
    slow = {name for name, decoder in decoders.items() if decoder == BY_PILLOW}
    assert slow == {
        *(
            "jpeg_cmyk",
            "bmp",
            "bmp_ends_in_zeros",
            "bmp_palette",
            "bmp_two_colours",
            "gif",
            "gif_animated",
        ),
        *("webp_alpha", "webp_animated"),
    }
