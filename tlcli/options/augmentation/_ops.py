"""Changes of one image, uint8 (height, width, 3) in and out, that agree with Pillow.

Strengths mean what they mean in PIL.ImageOps, PIL.ImageEnhance and PIL.Image.transform. Geometry
is bilinear; what comes from outside the image is mid-grey.
"""

from typing import Any

from tlcli.data.resize import image_sides
from tlcli.lazy import Tensor, tf

FILL = 128.0  # mid-grey, of pixels that come from outside the image


def identity(image: Tensor) -> Tensor:
    """The image as it is."""
    return image


def invert(image: Tensor) -> Tensor:
    """The negative."""
    return 255 - image


def autocontrast(image: Tensor) -> Tensor:
    """Each channel stretched so that its darkest pixel is 0 and its brightest 255."""
    pixels = tf.cast(image, tf.float32)
    low = tf.reduce_min(tf.reduce_min(pixels, axis=0), axis=0)
    high = tf.reduce_max(tf.reduce_max(pixels, axis=0), axis=0)
    flat = high <= low
    scale = tf.where(flat, 1.0, 255.0 / tf.where(flat, 1.0, high - low))
    return _clipped(pixels * scale - tf.where(flat, 0.0, low) * scale)


def equalize(image: Tensor) -> Tensor:
    """Each channel's histogram made flat."""
    levels = tf.cast(image, tf.int32)
    index = levels + tf.constant([0, 256, 512])
    counts = tf.math.bincount(index, minlength=768, maxlength=768)
    counts = tf.reshape(counts, [3, 256])
    # A level of the result stands for an equal part of the pixels below the brightest level.
    brightest = tf.reduce_max(tf.reduce_max(levels, axis=0), axis=0)
    below = tf.reduce_sum(counts, axis=1) - tf.gather(counts, brightest, batch_dims=1)
    step = (below // 255)[:, tf.newaxis]
    ranks = tf.cumsum(counts, axis=1, exclusive=True) + step // 2
    table = tf.where(step == 0, tf.range(256), tf.minimum(ranks // tf.maximum(step, 1), 255))
    return tf.gather(tf.cast(tf.reshape(table, [768]), tf.uint8), index)


def solarize(image: Tensor, threshold: Any) -> Tensor:
    """Pixels at or above the threshold (0-256) inverted."""
    # Flipping all bits is what 255 - value does, at a third of the cost of tf.where.
    least = tf.cast(tf.math.ceil(threshold), tf.int32)
    above = (image >= tf.cast(tf.minimum(least, 255), tf.uint8)) & (least <= 255)
    return tf.bitwise.bitwise_xor(image, 255 * tf.cast(above, tf.uint8))


def posterize(image: Tensor, bits: Any) -> Tensor:
    """Only the highest bits of each value kept, 0 to 8."""
    dropped = 8 - tf.cast(bits, tf.int32)
    mask = tf.bitwise.left_shift(tf.bitwise.right_shift(255, dropped), dropped)
    return tf.bitwise.bitwise_and(image, tf.cast(mask, tf.uint8))


def brightness(image: Tensor, factor: Any) -> Tensor:
    """Mixed with black: 0 is black, 1 the image, above 1 brighter."""
    return _clipped(tf.cast(image, tf.float32) * factor)


def contrast(image: Tensor, factor: Any) -> Tensor:
    """Mixed with its mean grey: 0 is grey, 1 the image, above 1 more contrast."""
    mean = tf.floor(tf.reduce_mean(grey(image)) + 0.5)
    return _clipped(mean + factor * (tf.cast(image, tf.float32) - mean))


def color(image: Tensor, factor: Any) -> Tensor:
    """Mixed with its grey version: 0 is grey, 1 the image, above 1 more colourful."""
    without = grey(image)
    return _clipped(without + factor * (tf.cast(image, tf.float32) - without))


def sharpness(image: Tensor, factor: Any) -> Tensor:
    """Mixed with its smoothed version: 0 is blurred, 1 the image, above 1 sharper."""
    pixels = tf.cast(image, tf.float32)
    # Sums of shifted images: TensorFlow's pooling of three channels is ten times slower.
    three = pixels[:-2] + pixels[1:-1] + pixels[2:]
    nine = three[:, :-2] + three[:, 1:-1] + three[:, 2:]
    centre = pixels[1:-1, 1:-1]
    smooth = tf.floor((nine + 4.0 * centre) / 13.0 + 0.5)
    # The outermost pixels are not smoothed.
    change = tf.pad((1.0 - factor) * (smooth - centre), [[1, 1], [1, 1], [0, 0]])
    return _clipped(pixels + change)


def rotate(image: Tensor, degrees: Any) -> Tensor:
    """Turned counter-clockwise about its middle."""
    height, width = image_sides(image)
    radians = tf.cast(degrees, tf.float32) * (-3.141592653589793 / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    x, y = width / 2, height / 2
    return affine(image, (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y))


def shear_x(image: Tensor, slope: Any) -> Tensor:
    """Rows moved left by slope times their distance from the top."""
    return affine(image, (1.0, slope, 0.0, 0.0, 1.0, 0.0))


def shear_y(image: Tensor, slope: Any) -> Tensor:
    """Columns moved up by slope times their distance from the left."""
    return affine(image, (1.0, 0.0, 0.0, slope, 1.0, 0.0))


def translate_x(image: Tensor, pixels: Any) -> Tensor:
    """Moved left."""
    return affine(image, (1.0, 0.0, pixels, 0.0, 1.0, 0.0))


def translate_y(image: Tensor, pixels: Any) -> Tensor:
    """Moved up."""
    return affine(image, (1.0, 0.0, 0.0, 0.0, 1.0, pixels))


def affine(image: Tensor, matrix: tuple[Any, Any, Any, Any, Any, Any]) -> Tensor:
    """Image.transform(AFFINE): the pixel at (x, y) comes from (ax + by + c, dx + ey + f)."""
    a, b, c, d, e, f = (tf.cast(number, tf.float32) for number in matrix)
    # Pillow counts from a pixel's corner, the op from its middle.
    c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.stack([a, b, c, d, e, f, 0.0, 0.0])[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        fill_value=FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved[0], image.shape)


def grey(image: Tensor) -> Tensor:
    """Luma of ITU-R 601, whole numbers as float32 (height, width, 1)."""
    red, green, blue = tf.split(tf.cast(image, tf.float32), 3, axis=-1)
    return tf.floor(0.299 * red + 0.587 * green + 0.114 * blue + 0.5)


def _clipped(pixels: Tensor) -> Tensor:
    """As Pillow stores a result: clipped, then cut to a whole number."""
    # A thousandth makes up for float32 where Pillow computes a whole number exactly.
    return tf.cast(tf.clip_by_value(pixels + 1e-3, 0.0, 255.0), tf.uint8)
