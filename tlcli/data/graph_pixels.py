"""The pixels that a network is shown, of encoded pictures, by TensorFlow's ops alone.

They are those of `decode` and `Resize`, which is what `tl predict` shows, of JPEG (grey, RGB and
CMYK), PNG, WebP, GIF and BMP without compression; of an animated GIF or PNG the first frame. What a
graph cannot read fails: TIFF, AVIF, JPEG 2000, HEIC and animated WebP; orientation that XMP or a
text alone tells is not heeded.
"""

from typing import Any

from tlcli.data.decode import DCT, decode, upright
from tlcli.data.graph_bytes import KINDS, kind, number, numbers, orientation, part, sides
from tlcli.data.header import BY_JPEG, BY_PNG
from tlcli.data.resize import Resize
from tlcli.lazy import Tensor, tf

_CMYK = 4  # channels of a JPEG
_BITFIELDS = 3
_ANIMATED = 2  # flag of a WebP's extended header


def squares(encoded: Tensor, resize: Resize, max_pixels: int) -> Tensor:
    """What the network is shown of pictures, uint8 (batch, size, size, 3).

    Args:
        encoded: Encoded pictures, string (batch,).
        resize: How pictures become squares.
        max_pixels: Width times height above which the graph fails.
    """
    shape = tf.TensorSpec((resize.size, resize.size, 3), tf.uint8)
    return tf.map_fn(lambda data: square(data, resize, max_pixels), encoded,
                     fn_output_signature=shape)  # fmt: skip


def square(data: Tensor, resize: Resize, max_pixels: int) -> Tensor:
    """What the network is shown of one picture, uint8 (size, size, 3)."""
    found = kind(data)
    size = tf.cast(sides(data, found), tf.int64)
    told = f"has more than {max_pixels:,} pixels"
    with tf.control_dependencies([
        tf.debugging.Assert(found < len(KINDS), ["is not JPEG, PNG, WebP, GIF or BMP"]),
        tf.debugging.Assert(tf.reduce_prod(size) <= max_pixels, [told]),
    ]):  # fmt: skip
        image = tf.switch_case(found, [
            lambda: _jpeg(data, resize.short_side), lambda: decode(data, BY_PNG),
            lambda: _webp(data),
            lambda: tf.raw_ops.DecodeImage(contents=data, channels=3, expand_animations=False),
            lambda: _bmp(data),
            lambda: tf.zeros((1, 1, 3), tf.uint8),
        ])  # fmt: skip
    image = tf.ensure_shape(image, (None, None, 3))
    return resize.apply(upright(image, orientation(data, found)))


def _jpeg(data: Tensor, short_side: int) -> Tensor:
    whole = tf.equal(tf.io.extract_jpeg_shape(data)[2], _CMYK)
    return tf.cond(
        whole, lambda: tf.io.decode_jpeg(data, channels=3, dct_method=DCT),
        lambda: decode(data, BY_JPEG, short_side),
    )  # fmt: skip


def _webp(data: Tensor) -> Tensor:
    """A still WebP, alpha dropped."""
    # Of an animation without alpha TensorFlow's op writes four bytes a pixel where it has room for
    # three, and it makes all frames at once, however many there are.
    moves = tf.logical_and(
        tf.equal(part(data, 12, 4), b"VP8X"), number(data, 20, 1) // _ANIMATED % 2 > 0
    )
    known = tf.equal(part(data, 8, 4), b"WEBP")
    with tf.control_dependencies([
        tf.debugging.Assert(known, ["is not JPEG, PNG, WebP, GIF or BMP"]),
        tf.debugging.Assert(tf.logical_not(moves), ["is an animated WebP"]),
    ]):  # fmt: skip
        return tf.io.decode_webp(tf.identity(data), channels=0)[0, ..., :3]


def _bmp(data: Tensor) -> Tensor:
    """BMP of whole pixels or a palette; TensorFlow's own op takes places in a palette for grey."""
    width, height = number(data, 18, 4), number(data, 22, 4)
    bits = number(data, 28, 2)
    lines = tf.abs(height)
    stride = (bits * width + 31) // 32 * 4
    first, count = number(data, 10, 4), stride * lines
    with tf.control_dependencies(_checks(data, bits, first, count)):
        rows = tf.reshape(numbers(data, first, count), [lines, stride])
    image = tf.switch_case(bits // 8, [
        lambda: _of_palette(data, rows, bits), lambda: _of_palette(data, rows, bits),
        lambda: tf.zeros((lines, stride, 3), tf.int32),
        lambda: tf.reshape(rows[:, : width * 3], [lines, width, 3])[..., ::-1],
        lambda: tf.reshape(rows, [lines, stride // 4, 4])[..., 2::-1],
    ])  # fmt: skip
    image = tf.cond(height > 0, lambda: image[::-1], lambda: image)
    return tf.cast(image[:, :width], tf.uint8)


def _checks(data: Tensor, bits: Tensor, first: Tensor, count: Tensor) -> list[Any]:
    packing, masks = number(data, 30, 4), tf.stack([number(data, at, 4) for at in (54, 62)])
    usual = tf.reduce_all(tf.equal(masks, [0xFF0000, 0xFF]))
    plain = tf.logical_or(
        tf.equal(packing, 0), tf.logical_and(tf.equal(packing, _BITFIELDS), usual)
    )
    known = tf.logical_and(plain, tf.reduce_any(tf.equal(bits, [1, 4, 8, 24, 32])))
    whole = tf.logical_and(first >= 0, first + count <= tf.strings.length(data))
    return [
        tf.debugging.Assert(known, ["is a BMP that is compressed or of rare bits a pixel"]),
        tf.debugging.Assert(whole, ["is a BMP that ends early"]),
    ]


def _of_palette(data: Tensor, rows: Tensor, bits: Tensor) -> Tensor:
    """Colours by their places in the palette, 1, 4 or 8 bits each, the highest bits first."""
    each = 8 // tf.maximum(bits, 1)
    shifts = (each - 1 - tf.range(each)) * bits
    places = tf.bitwise.right_shift(rows[..., None], shifts) % tf.bitwise.left_shift(1, bits)
    places = tf.reshape(places, [tf.shape(rows)[0], -1])
    known = number(data, 46, 4)
    known = tf.where(known > 0, tf.minimum(known, 256), tf.bitwise.left_shift(1, bits))
    palette = part(data, 14 + number(data, 14, 4), known * 4)
    colours = tf.reshape(numbers(palette, 0, 1024), [256, 4])[:, 2::-1]
    return tf.gather(colours, tf.clip_by_value(places, 0, 255))
