"""What the bytes of a picture say of it, by TensorFlow's ops alone: a graph needs no Python."""

from typing import Any

from tlcli.lazy import Tensor, tf

# In this order; what is none of them is len(KINDS).
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_STARTS = (
    (0, b"\xff\xd8\xff"), (0, b"\x89PNG\r\n\x1a\n"), (0, b"RIFF"), (0, b"GIF8"), (0, b"BM"),
)  # fmt: skip
_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4


def kind(data: Tensor) -> Tensor:
    """Which of KINDS an encoded picture is by its first bytes, int32 scalar."""
    fits = [tf.equal(part(data, first, len(start)), start) for first, start in _STARTS]
    return tf.argmax(tf.stack([*fits, True]), output_type=tf.int32)


def part(data: Tensor, first: Any, count: Any) -> Tensor:
    """Bytes of a string scalar, fewer or none where it ends before."""
    first = tf.clip_by_value(first, 0, tf.strings.length(data))
    return tf.strings.substr(data, first, tf.maximum(count, 0))


def numbers(data: Tensor, first: Any, count: Any) -> Tensor:
    """The same as int32 (count,), with zeros behind the end."""
    return tf.cast(tf.io.decode_raw(part(data, first, count), tf.uint8, fixed_length=count),
                   tf.int32)  # fmt: skip


def number(data: Tensor, first: Any, size: int, big: Any = False) -> Tensor:
    """A number of 1 to 4 bytes, int32; below zero where the highest bit of 4 is set.

    Args:
        data: String scalar.
        first: Its place.
        size: Its bytes.
        big: Whether the highest byte comes first.
    """
    low_first = tf.reverse(numbers(data, first, size), [0]) if big is True else (
        numbers(data, first, size))  # fmt: skip
    if not isinstance(big, bool):
        low_first = tf.where(big, tf.reverse(low_first, [0]), low_first)
    return tf.reduce_sum(tf.bitwise.left_shift(low_first, tf.range(size) * 8))


def sides(data: Tensor, found: Tensor) -> Tensor:
    """Width and height that a picture's header tells, int32 (2,); zeros for no KIND.

    Args:
        data: Encoded picture, string scalar.
        found: Its kind.
    """

    def pair(first: int, size: int, big: bool = False) -> Tensor:
        return tf.stack([number(data, first, size, big), number(data, first + size, size, big)])

    def webp() -> Tensor:
        bits = number(data, 21, 4)  # lossless: 14 bits each
        lossless = tf.stack([bits, tf.bitwise.right_shift(bits, 14)]) % (1 << 14) + 1
        name = part(data, 12, 4)
        return tf.case(
            [(tf.equal(name, b"VP8X"), lambda: pair(24, 3) + 1),
             (tf.equal(name, b"VP8L"), lambda: lossless)],
            lambda: pair(26, 2) % (1 << 14),
        )  # fmt: skip

    return tf.switch_case(found, [
        lambda: tf.io.extract_jpeg_shape(data)[1::-1], lambda: pair(16, 4, True), webp,
        lambda: pair(6, 2), lambda: tf.abs(pair(18, 4)), lambda: tf.zeros([2], tf.int32),
    ])  # fmt: skip


def orientation(data: Tensor, found: Tensor) -> Tensor:
    """EXIF orientation of an encoded picture, 1 to 8, int32 scalar; 1 where none is told.

    Args:
        data: Encoded picture, string scalar.
        found: Its kind.
    """
    none = tf.constant([0, 0])
    place = tf.switch_case(found, [
        lambda: _walked(data, 2, _jpeg_step), lambda: _walked(data, 8, _png_step),
        lambda: _walked(data, 12, _webp_step), *[lambda: none] * 3,
    ])  # fmt: skip
    block = part(data, place[0], place[1])
    # Some writers put the mark of JPEG's segment before it elsewhere too.
    block = tf.cond(tf.equal(part(block, 0, 6), b"Exif\0\0"),
                    lambda: part(block, 6, tf.strings.length(block)), lambda: block)  # fmt: skip
    return tf.cond(tf.strings.length(block) >= 8, lambda: _told(block), lambda: tf.constant(1))


def _walked(data: Tensor, first: int, step: Any) -> Tensor:
    """Place and length of the EXIF block, int32 (2,), looked for from part to part."""
    length = tf.strings.length(data)

    def on(place: Tensor, block: Tensor) -> Tensor:
        return tf.logical_and(place + 8 <= length, tf.equal(block[1], 0))

    def further(place: Tensor, block: Tensor) -> Any:
        here, size, after = step(data, place)
        # A length that leads back, or beyond the end, ends the walk.
        after = tf.where(after > place, after, length)
        return after, tf.where(here, tf.stack(size), block)

    return tf.while_loop(on, further, [tf.constant(first), tf.constant([0, 0])])[1]


def _jpeg_step(data: Tensor, place: Tensor) -> Any:
    mark = numbers(data, place, 2)
    size = number(data, place + 2, 2, True)
    is_exif = tf.logical_and(
        tf.equal(mark[1], 0xE1), tf.equal(part(data, place + 4, 6), b"Exif\0\0")
    )
    fill = tf.equal(mark[1], 0xFF)
    # Behind the start of the scan there are no more segments, only coded pixels.
    ends = tf.logical_or(tf.not_equal(mark[0], 0xFF), tf.equal(mark[1], 0xDA))
    after = tf.where(ends, 0, tf.where(fill, place + 1, place + 2 + size))
    return is_exif, [place + 4, size - 2], after


def _png_step(data: Tensor, place: Tensor) -> Any:
    size = number(data, place, 4, True)
    return tf.equal(part(data, place + 4, 4), b"eXIf"), [place + 8, size], place + 12 + size


def _webp_step(data: Tensor, place: Tensor) -> Any:
    size = number(data, place + 4, 4)
    return tf.equal(part(data, place, 4), b"EXIF"), [place + 8, size], place + 8 + size + size % 2


def _told(block: Tensor) -> Tensor:
    """What a block of EXIF says: the entry of its first directory."""
    big = tf.equal(part(block, 0, 2), b"MM")
    first = number(block, 4, 4, big)
    # Negative only where a file lies about it.
    first = tf.where(first < 0, tf.strings.length(block), first)
    entries = number(block, first, 2, big)
    fields = tf.reshape(numbers(block, first + 2, tf.maximum(entries, 1) * 12), [-1, 12])

    def low(at: int, size: int) -> Tensor:
        values = fields[:, at : at + size]
        values = tf.where(big, tf.reverse(values, [1]), values)
        return tf.reduce_sum(tf.bitwise.left_shift(values, tf.range(size) * 8), -1)

    value = tf.where(tf.equal(low(2, 2), _SHORT), low(8, 2), low(8, 4))
    fits = tf.logical_and(tf.equal(low(0, 2), _ORIENTATION), tf.equal(low(4, 4), 1))
    whole = tf.logical_or(tf.equal(low(2, 2), _SHORT), tf.equal(low(2, 2), _LONG))
    last = tf.concat([[1], tf.boolean_mask(value, tf.logical_and(fits, whole))], 0)[-1]
    return tf.where(tf.logical_and(last >= 1, last <= 8), last, 1)
