import numpy as np
import pytest
import tensorflow as tf

from tlcli.evaluation import tta


def images(size=16, dtype=tf.uint8):
    rows, columns = np.mgrid[0:size, 0:size]
    one = np.stack([rows, columns, rows + columns], -1) * 4
    return tf.cast(np.stack([one, one // 2]), dtype)


@pytest.mark.parametrize(
    ("kind", "count"), [("none", 1), ("flip", 2), ("five_crop", 5), ("ten_crop", 10)]
)
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_views_keep_shape_and_dtype(kind, count, dtype):
    given = images(dtype=dtype)
    views = tta.views(given, kind)
    assert len(views) == count
    assert {v.shape.as_list() == given.shape.as_list() for v in views} == {True}
    assert {v.dtype for v in views} == {dtype}


def test_a_flip_exchanges_left_and_right():
    given = images()
    plain, mirrored = tta.views(given, "flip")
    np.testing.assert_array_equal(plain, given)
    np.testing.assert_array_equal(mirrored, given.numpy()[:, :, ::-1])


def test_crops_lie_in_the_corners_and_the_middle():
    views = tta.views(images(dtype=tf.float32), "five_crop")
    # 14 of 16 pixels, whose first and last lie at 0 and 13 plus 0, 2 or 1; four grey levels each.
    starts = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    for view, (top, left) in zip(views, starts, strict=True):
        np.testing.assert_allclose(view[0, 0, 0, :2], [4 * top, 4 * left], atol=1e-4)
        np.testing.assert_allclose(
            view[0, -1, -1, :2], [4 * (top + 13), 4 * (left + 13)], atol=1e-4
        )


def test_ten_crops_are_five_and_their_mirror_images():
    five, ten = (tta.views(images(), kind) for kind in ("five_crop", "ten_crop"))
    for i in range(5):
        np.testing.assert_array_equal(ten[i], five[i])
        np.testing.assert_array_equal(ten[5 + i], five[i].numpy()[:, :, ::-1])


def test_probabilities_are_averaged_in_float32():
    parts = [tf.constant([[0.25, 0.75]], tf.float16), tf.constant([[0.75, 0.25]], tf.float16)]
    mean = tta.mean_probabilities(parts)
    assert mean.dtype == tf.float32
    np.testing.assert_allclose(mean, [[0.5, 0.5]])
