"""A graph without Python gives the pixels of `tl predict`."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.pictures import encode, odd_images, smooth
from tlcli.data.decode import decode_file
from tlcli.data.graph_pixels import squares
from tlcli.data.resize import Resize

POLICY = Resize(24, "crop", 0.875, True)
MOST = 1_000_000


def graph_of(policy):
    signature = [tf.TensorSpec((None,), tf.string)]
    return tf.function(
        lambda data: squares(data, policy, MOST), input_signature=signature, autograph=False
    )


@pytest.fixture(scope="module")
def graph():
    return graph_of(POLICY)


def given(graph, *pictures):
    return graph(tf.constant(pictures)).numpy()


def shown(tmp_path, data, policy=POLICY):
    """What `tl predict` shows its network."""
    path = tmp_path / "one"
    path.write_bytes(data)
    return policy.apply(decode_file(path, MOST, policy.short_side)).numpy()


def rough(height=70, width=95):
    """A picture whose every pixel is its own."""
    return np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)


def exif(orientation, order="<", tag_type=3):
    value = struct.pack(order + ("HHIHH" if tag_type == 3 else "HHII"),
                        0x0112, tag_type, 1, orientation, *([0] * (tag_type == 3)))  # fmt: skip
    other = struct.pack(order + "HHII", 0x0100, 4, 1, 77)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + start + struct.pack(order + "H", 2) + other + value + b"\0" * 4


@pytest.mark.parametrize("pixels", [smooth(3, 40, 56), rough()], ids=["smooth", "rough"])
def test_every_kind_gives_the_pixels_of_predict(graph, tmp_path, pixels):
    kinds = odd_images(pixels)
    kinds.pop("webp_animated")
    found = given(graph, *kinds.values())
    for name, data, one in zip(kinds, kinds.values(), found, strict=True):
        np.testing.assert_array_equal(one, shown(tmp_path, data), name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("order", "<>")
def test_it_is_turned_upright(graph, tmp_path, kind, order):
    rows = [encode(rough(), kind, exif=exif(n, order, 3 if n % 2 else 4)) for n in range(10)]
    found = given(graph, *rows)
    for number, (data, one) in enumerate(zip(rows, found, strict=True)):
        np.testing.assert_array_equal(one, shown(tmp_path, data), str(number))
    assert len({one.tobytes() for one in found}) == 8


@pytest.mark.parametrize("mode", ["crop", "pad", "squash"])
def test_every_size_is_resized_alike(tmp_path, mode):
    policy = Resize(24, mode, 0.9, mode != "squash")
    shapes = [rough(1, 1), rough(3, 200), rough(200, 3), smooth(5, 800, 640), rough(24, 24)]
    rows = [encode(pixels, kind) for pixels in shapes for kind in ("JPEG", "PNG", "BMP")]
    found = given(graph_of(policy), *rows)
    for number, (data, one) in enumerate(zip(rows, found, strict=True)):
        np.testing.assert_array_equal(one, shown(tmp_path, data, policy), str(number))


def odd_depths():
    pixels = rough(32, 43)
    sixteen = (np.random.default_rng(2).integers(0, 65536, (32, 43))).astype(np.uint16)
    cmyk = np.random.default_rng(3).integers(0, 256, (32, 43, 4)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(file, "JPEG", quality=95)
    four = Image.fromarray(pixels).quantize(16)
    palette = io.BytesIO()
    four.save(palette, "BMP")
    with_alpha = np.dstack([pixels, pixels[..., :1]])
    return {
        "png_16": encode(sixteen, "PNG"), "jpeg_black": file.getvalue(),
        "bmp_16_colours": palette.getvalue(), "bmp_alpha": encode(with_alpha, "BMP"),
        "bmp_grey": encode(pixels, "BMP", "L"), "gif_grey": encode(pixels, "GIF", "L"),
        "bmp_4_bits": four_bits(), "bmp_from_above": from_above(pixels),
    }  # fmt: skip


def four_bits():
    """BMP of 5 x 3 pixels in 4 bits each, three colours, rows of 4 bytes."""
    palette = bytes([1, 2, 3, 0, 250, 5, 6, 0, 7, 8, 200, 0])
    rows = bytes([0x01, 0x20, 0x10, 0, 0x22, 0x11, 0x00, 0, 0x00, 0x12, 0x20, 0])
    head = struct.pack("<IiiHHIIiiII", 40, 5, 3, 1, 4, 0, len(rows), 0, 0, 3, 3)
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + head + palette + rows


def from_above(pixels):
    """BMP whose first row is the highest: its height is negative."""
    data = bytearray(encode(pixels[::-1], "BMP"))
    data[22:26] = struct.pack("<i", -pixels.shape[0])
    return bytes(data)


@pytest.mark.parametrize("name", odd_depths())
def test_odd_depths_are_read_alike(graph, tmp_path, name):
    data = odd_depths()[name]
    found, wanted = given(graph, data)[0], shown(tmp_path, data)
    # Libraries mix black into CMYK with another rounding.
    assert np.abs(found.astype(int) - wanted).max() <= (name == "jpeg_black")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JPEG"), (b"GI", "is not JPEG"), (b"hello, this is a text", "is not JPEG"),
        (encode(rough(), "TIFF"), "is not JPEG"), (b"RIFF\0\0\0\0WAVE", "is not JPEG"),
        (odd_images(rough())["webp_animated"], "is an animated WebP"),
        (encode(rough(), "BMP")[:-50], "ends early"),
        (encode(rough(), "PNG")[:300], "PNG"), (encode(rough(), "JPEG")[:300], "JPEG"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "PNG"), "more than 1,000,000 pixels"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "WEBP"), "more than 1,000,000 pixels"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "WEBP", lossless=True), "more than"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "GIF"), "more than 1,000,000 pixels"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "JPEG"), "more than 1,000,000 pixels"),
        (encode(np.zeros((1000, 1001, 3), np.uint8), "BMP"), "more than 1,000,000 pixels"),
    ],
)  # fmt: skip
def test_what_it_cannot_read_fails(graph, data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        graph(tf.constant([data]))


@pytest.mark.parametrize("seed", range(2))
def test_damaged_heads_end(graph, seed):
    """Whatever the first bytes say, the walk through them ends: pixels or an error."""
    rng = np.random.default_rng(seed)
    for data in odd_images(smooth(1, 24, 32)).values():
        broken = bytearray(data)
        for place in rng.integers(0, min(len(broken), 80), 4):
            broken[place] = rng.integers(0, 256)
        try:
            assert given(graph, bytes(broken)).shape == (1, 24, 24, 3)
        except tf.errors.OpError as error:
            assert error.message  # noqa: PT017 - either is right
