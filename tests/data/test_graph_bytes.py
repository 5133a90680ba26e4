"""What a graph reads of a picture's header is what Pillow reads."""

import io

import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.pictures import encode, odd_images, smooth
from tlcli.data import graph_bytes as read

KINDS = odd_images(smooth(2, 40, 56)) | {
    "webp_lossless": encode(smooth(2, 40, 56), "WEBP", lossless=True)
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_and_sides_are_those_that_pillow_tells(name):
    data = KINDS[name]
    picture = Image.open(io.BytesIO(data))
    kind = read.kind(tf.constant(data))
    wanted = "JPEG" if picture.format == "MPO" else picture.format
    assert read.KINDS[int(kind)] == wanted
    assert tuple(read.sides(tf.constant(data), kind).numpy()) == picture.size
    assert int(read.orientation(tf.constant(data), kind)) == 1


def test_numbers_of_either_order_by_hand():
    data = tf.constant(bytes([1, 2, 3, 255]))
    assert int(read.number(data, 0, 2)) == 1 + 2 * 256
    assert int(read.number(data, 0, 2, True)) == 256 + 2
    assert int(read.number(data, 0, 3, tf.constant(True))) == 65536 + 2 * 256 + 3
    assert int(read.number(data, 3, 2)) == 255  # zeros behind the end
    assert int(read.number(data, -5, 1)) == 1
    assert int(read.number(tf.constant(b"\xff" * 4), 0, 4)) == -1


def test_orientation_behind_other_segments_is_found():
    exif = Image.Exif()
    exif[0x0112] = 8
    data = encode(smooth(2), "JPEG", exif=exif, comment=b"x" * 300, dpi=(72, 72))
    # A segment of another kind of the same number, as XMP is, before it.
    other = b"\xff\xe1\0\x0ahttp://x"
    data = data[:2] + other + data[2:]
    assert int(read.orientation(tf.constant(data), tf.constant(0))) == 8


@pytest.mark.parametrize(
    "damage", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_exif_stands_as_it_is_stored(damage):
    data = b"\xff\xd8\xff\xe1" + (len(damage) + 8).to_bytes(2, "big") + b"Exif\0\0" + damage
    assert int(read.orientation(tf.constant(data), tf.constant(0))) == 1
