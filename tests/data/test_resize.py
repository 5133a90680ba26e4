import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tlcli.data.resize import PAD_VALUE, Resize
from tlcli.errors import ConfigError

SIZES = [(90, 120), (120, 90), (37, 53), (64, 64), (20, 31), (200, 33)]


def picture(height, width, seed=0):
    """Smooth shapes, an edge and some noise, as photographs have them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / (5 + c)) + np.cos(columns / (7 - c)) for c in range(3)]
    image = 127 + 45 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
    image[rows * width > columns * height] *= 0.5
    return np.clip(image, 0, 255).astype(np.uint8)


def bilinear(image, size):
    """Half-pixel centres, edges repeated; float64."""
    for axis in (0, 1):
        length = image.shape[axis]
        where = (np.arange(size[axis]) + 0.5) * (length / size[axis]) - 0.5
        where = np.clip(where, 0, length - 1)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, length - 1)
        share = np.expand_dims(where - low, 1 - axis)[..., None]
        image = np.take(image, low, axis) * (1 - share) + np.take(image, high, axis) * share
    return image


def expected(image, box, size):
    """A box (top, left, bottom, right) at another size: Pillow's antialiasing from 2 on."""
    top, left, bottom, right = box
    part = image[top:bottom, left:right]
    if max(np.array(part.shape[:2]) / size) <= 2:
        return bilinear(part.astype(float), size)
    resized = Image.fromarray(part).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized).astype(float)


def assert_near(found, wanted):
    # Pillow also rounds between its two passes.
    difference = np.abs(found - wanted)
    assert difference.mean() < 0.4
    assert difference.max() <= 2


def resized(image, mode, size=32, crop_fraction=0.875, antialias=True):
    policy = Resize(size=size, mode=mode, crop_fraction=crop_fraction, antialias=antialias)
    result = policy.apply(tf.constant(image))
    assert result.dtype == tf.uint8
    assert result.shape == (size, size, 3)
    return result.numpy().astype(float)


@pytest.mark.parametrize("sides", SIZES)
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875, 0.6])
def test_crop_takes_the_middle(sides, crop_fraction):
    image = picture(*sides)
    short = round(32 / crop_fraction)
    edges = []
    for side in sides:
        whole = side * short // min(sides)
        first = round((whole - 32) / 2) * side / whole
        edges.append((round(first), round(first + 32 * side / whole)))
    (top, bottom), (left, right) = edges
    wanted = expected(image, (top, left, bottom, right), (32, 32))
    assert_near(resized(image, "crop", crop_fraction=crop_fraction), wanted)


def test_cutting_alone_does_not_blur():
    image = picture(37, 54)
    # 32 of 37 rows begin at round(2.5) = 2, 32 of 54 columns at 11.
    np.testing.assert_array_equal(resized(image, "crop"), image[2:34, 11:43])


@pytest.mark.parametrize("sides", SIZES)
def test_squash_takes_all(sides):
    image = picture(*sides)
    assert_near(resized(image, "squash"), expected(image, (0, 0, *sides), (32, 32)))


@pytest.mark.parametrize(("sides", "kept"), [((90, 120), (24, 32)), ((200, 33), (32, 5))])
def test_pad_keeps_the_aspect_and_fills_with_grey(sides, kept):
    image = picture(*sides)
    canvas = np.full((32, 32, 3), float(PAD_VALUE))
    top, left = (32 - kept[0]) // 2, (32 - kept[1]) // 2
    canvas[top : top + kept[0], left : left + kept[1]] = expected(image, (0, 0, *sides), kept)
    assert_near(resized(image, "pad"), canvas)


def test_an_image_of_the_right_size_is_not_changed():
    image = picture(32, 32)
    for mode in ("crop", "squash", "pad"):
        np.testing.assert_array_equal(resized(image, mode, crop_fraction=1.0), image)


def test_enlarging_needs_no_antialiasing():
    image = picture(8, 8)
    with_it = resized(image, "squash", antialias=True)
    np.testing.assert_array_equal(resized(image, "squash", antialias=False), with_it)
    assert np.abs(with_it - bilinear(image.astype(float), (32, 32))).max() <= 0.5


def test_without_antialiasing_stripes_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resized(stripes, "squash", size=9)) < 60
    assert np.ptp(resized(stripes, "squash", size=9, antialias=False)) > 100


def test_one_pixel_fills_the_square():
    image = np.array([[[10, 20, 30]]], np.uint8)
    for mode in ("crop", "squash", "pad"):
        assert np.unique(resized(image, mode).reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


def test_it_works_on_images_of_unknown_sizes_in_a_dataset():
    images = [picture(*sides) for sides in SIZES]
    policy = Resize(size=16, mode="crop", crop_fraction=0.9, antialias=True)
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    dataset = tf.data.Dataset.from_generator(lambda: iter(images), output_signature=spec)
    for image, result in zip(images, dataset.map(policy.apply), strict=True):
        np.testing.assert_array_equal(result, policy.apply(tf.constant(image)))


def test_the_checkpoint_gives_back_the_same_policy():
    policy = Resize(size=16, mode="pad", crop_fraction=0.9, antialias=False)
    assert Resize.from_dict(policy.as_dict()) == policy


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"size": 0}, "image_size"),
        ({"crop_fraction": 0.0}, "crop_fraction"),
        ({"crop_fraction": 1.1}, "crop_fraction"),
        ({"mode": "stretch"}, "resize"),
        ({"antialias": "yes"}, "resize"),
        ({"colour": 1}, "resize"),
    ],
)
def test_a_wrong_policy_is_refused(changed, where):
    good = {"size": 8, "mode": "crop", "crop_fraction": 1.0, "antialias": True}
    with pytest.raises(ConfigError, match=f"^{where}"):
        Resize.from_dict(good | changed)
