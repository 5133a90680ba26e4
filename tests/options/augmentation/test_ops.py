import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tlcli.options.augmentation import _ops


def picture(side=41, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side]
    waves = [np.sin(rows / (5 + c)) + np.cos(columns / (7 - c)) for c in range(3)]
    image = 120 + 40 * np.stack(waves, -1) + rng.normal(0, 8, (side, side, 3))
    return np.clip(image, 20, 240).astype(np.uint8)


PICTURES = {
    "photo": picture(),
    "flat": np.full((9, 9, 3), 77, np.uint8),
    "two levels": np.kron([[0, 255], [255, 0]], np.ones((8, 8))).astype(np.uint8)[..., None]
    * np.ones(3, np.uint8),
    "dark": (picture(20) // 8),
}
EXACT = {
    "invert": (_ops.invert, ImageOps.invert),
    "autocontrast": (_ops.autocontrast, ImageOps.autocontrast),
    "equalize": (_ops.equalize, ImageOps.equalize),
    **{
        f"solarize {t}": (
            lambda i, t=t: _ops.solarize(i, float(t)),
            lambda p, t=t: ImageOps.solarize(p, t),
        )
        for t in (0, 100, 256)
    },
    **{
        f"posterize {b}": (
            lambda i, b=b: _ops.posterize(i, b),
            lambda p, b=b: ImageOps.posterize(p, b),
        )
        for b in (1, 2, 4, 8)
    },
}
ENHANCE = {
    "color": (_ops.color, ImageEnhance.Color),
    "contrast": (_ops.contrast, ImageEnhance.Contrast),
    "brightness": (_ops.brightness, ImageEnhance.Brightness),
    "sharpness": (_ops.sharpness, ImageEnhance.Sharpness),
}


def difference(result, expected):
    assert result.dtype == tf.uint8
    return np.abs(result.numpy().astype(int) - np.asarray(expected).astype(int))


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("name", EXACT)
def test_point_operations_equal_pillow(name, kind):
    ours, pillow = EXACT[name]
    image = PICTURES[kind]
    off = difference(ours(tf.constant(image)), pillow(Image.fromarray(image)))
    assert off.max() <= (1 if name == "autocontrast" else 0)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.5, 1.9])
@pytest.mark.parametrize("name", ENHANCE)
def test_enhancements_are_within_a_level_of_pillow(name, factor, kind):
    ours, pillow = ENHANCE[name]
    image = PICTURES[kind]
    off = difference(
        ours(tf.constant(image), factor), pillow(Image.fromarray(image)).enhance(factor)
    )
    # The rounding of luma and mean is Pillow's fixed point; it is doubled by a factor near 2.
    assert off.max() <= 2
    assert off.mean() < 0.25


def inside(image, data):
    """Pixels whose four sources all lie in the image, where the edge rules do not matter."""
    side = image.shape[0]
    y, x = np.mgrid[0:side, 0:side] + 0.5
    sources = [data[0] * x + data[1] * y + data[2], data[3] * x + data[4] * y + data[5]]
    return np.all([(s > 1) & (s < side - 1) for s in sources], axis=0)


def outside(image, data):
    side = image.shape[0]
    y, x = np.mgrid[0:side, 0:side] + 0.5
    sources = [data[0] * x + data[1] * y + data[2], data[3] * x + data[4] * y + data[5]]
    return np.any([(s < -1) | (s > side + 1) for s in sources], axis=0)


AFFINE = {
    "shear_x": (_ops.shear_x, lambda v: (1, v, 0, 0, 1, 0), [-0.3, 0.2, 0.9]),
    "shear_y": (_ops.shear_y, lambda v: (1, 0, 0, v, 1, 0), [-0.3, 0.2, 0.9]),
    "translate_x": (_ops.translate_x, lambda v: (1, 0, v, 0, 1, 0), [-7.0, 0.0, 4.5]),
    "translate_y": (_ops.translate_y, lambda v: (1, 0, 0, 0, 1, v), [-7.0, 0.0, 4.5]),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, a in AFFINE.items() for v in a[2]])
def test_affine_operations_agree_with_pillow(name, value):
    image = picture()
    ours, data, _ = AFFINE[name]
    moved = Image.fromarray(image).transform(
        (41, 41), Image.Transform.AFFINE, data(value), Image.Resampling.BILINEAR
    )
    off = difference(ours(tf.constant(image), value), moved)
    # The op cuts to a whole number where Pillow rounds.
    assert off[inside(image, data(value))].max() <= 1
    assert inside(image, data(value)).mean() > 0.3
    result = ours(tf.constant(image), value).numpy()
    assert (result[outside(image, data(value))] == 128).all()


@pytest.mark.parametrize("degrees", [-30.0, 0.0, 12.5, 90.0, 135.0])
def test_rotation_agrees_with_pillow(degrees):
    image = picture()
    turned = Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR)
    rows, columns = np.mgrid[0:41, 0:41] - 20.0
    within = np.hypot(rows, columns) < 18
    assert difference(_ops.rotate(tf.constant(image), degrees), turned)[within].max() <= 1


def test_identity_returns_the_image():
    image = tf.constant(picture())
    np.testing.assert_array_equal(_ops.identity(image), image)


def centre_of_mark(image):
    """Where the bright mark stands, in pixels right and down of the middle of the image."""
    weight = np.asarray(image, np.float64)[..., 0]
    weight = np.where(weight > 135, weight - 128, 0.0)
    side = weight.shape[0]
    rows, columns = np.mgrid[0:side, 0:side] + 0.5 - side / 2
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


QUADRANTS = [(-10, -6), (9, -8), (-7, 10), (8, 11)]
# Where a point goes, as a matrix on (right, down) of the middle and a shift.
MAPS = {
    # The inverse of what Pillow is given: it maps results to sources.
    "shear_x": (_ops.shear_x, 0.4, np.linalg.inv([[1, 0.4], [0, 1]]), "corner"),
    "shear_y": (_ops.shear_y, -0.3, np.linalg.inv([[1, 0], [-0.3, 1]]), "corner"),
    "translate_x": (_ops.translate_x, 6.0, np.eye(2), (-6.0, 0.0)),
    "translate_y": (_ops.translate_y, -5.0, np.eye(2), (0.0, 5.0)),
    # 30 degrees against the clock: right becomes right and up.
    "rotate": (
        _ops.rotate, 30.0,
        [[np.cos(np.pi / 6), np.sin(np.pi / 6)], [-np.sin(np.pi / 6), np.cos(np.pi / 6)]],
        (0.0, 0.0),
    ),
    "flip": (lambda i, _: tf.image.flip_left_right(i), None, np.diag([-1, 1]), (0.0, 0.0)),
}  # fmt: skip


@pytest.mark.parametrize("place", QUADRANTS)
@pytest.mark.parametrize("name", MAPS)
def test_a_mark_goes_where_the_affine_map_says(name, place):
    operation, value, matrix, shift = MAPS[name]
    rows, columns = np.mgrid[0:61, 0:61] + 0.5 - 30.5
    mark = np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / 8)
    image = np.repeat((128 + 120 * mark)[..., None], 3, -1).astype(np.uint8)
    moved = centre_of_mark(operation(tf.constant(image), value))
    corner = np.array([30.5, 30.5])
    start = np.array(place, float)
    if isinstance(shift, str):  # about the upper left corner, not the middle
        expected = np.asarray(matrix) @ (start + corner) - corner
    else:
        expected = np.asarray(matrix) @ start + np.array(shift)
    np.testing.assert_allclose(moved, expected, atol=0.15)
    assert np.abs(moved - start).max() > 1 or name == "flip"
