import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.helpers.pictures import encode, odd_images
from tlcli.data.decode import decode_file
from tlcli.data.encoded import file_images
from tlcli.data.header import inspect
from tlcli.data.scan import scan_files, stat_files
from tlcli.errors import DataError

LIMIT = 1_000_000


def by_pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def without_adobe_marker(data):
    """A CMYK JPEG as some scanners write it; TensorFlow gets it wrong by the whole range."""
    at = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[at + 2 : at + 4])[0]
    return data[:at] + data[at + 2 + length :]


def test_odd_images_decode_as_in_pillow_inside_tf_data(tmp_path, pixels):
    images = odd_images(pixels)
    images["jpeg_cmyk_plain"] = without_adobe_marker(images["jpeg_cmyk"])
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    scan = scan_files(stat_files(str(tmp_path), list(images)), LIMIT, tmp_path / "cache")
    assert scan.problems == {}
    source = file_images(f"{tmp_path}/", list(images), list(images), scan)
    decoded = list(tf.data.Dataset.range(len(images)).map(source.image))
    for (name, data), image in zip(images.items(), decoded, strict=True):
        expected = by_pillow(data)
        assert image.dtype == tf.uint8
        # Lossy WebP has no one right decoding; the rest is exact.
        assert np.abs(image.numpy().astype(int) - expected).max() <= (name == "webp"), name
        np.testing.assert_array_equal(decode_file(tmp_path / name, LIMIT), image)


def test_16_bit_png_keeps_its_brightness(tmp_path):
    deep = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    image = decode_file(tmp_path / "deep.png", LIMIT)
    np.testing.assert_array_equal(image, np.repeat((deep >> 8)[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_as_in_pillow(tmp_path, pixels, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    path.write_bytes(encode(pixels, kind, exif=exif))
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    image = decode_file(path, LIMIT)
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() <= (kind == "WEBP")
    header = inspect(path, LIMIT)
    assert (header.height, header.width) == expected.shape[:2]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"not a picture\n", "is a text, not an image"),
        (b"<svg xmlns='x'></svg>", "is an SVG, XML or HTML text"),
        (b"II*\0" + bytes(50), "is a TIFF image"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "is a HEIC image"),
        (b"\x89PNG\r\n\x1a\n", "is not an image that is read, or its header is broken"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, data, problem):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.jpg: {problem}.*Replace or remove"):
        inspect(tmp_path / "a.jpg", LIMIT)
    with pytest.raises(DataError, match=problem):
        decode_file(tmp_path / "a.jpg", LIMIT)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path, pixels):
    data = encode(pixels, "JPEG")
    (tmp_path / "a").write_bytes(data + bytes(5000))
    np.testing.assert_array_equal(decode_file(tmp_path / "a", LIMIT), by_pillow(data))
