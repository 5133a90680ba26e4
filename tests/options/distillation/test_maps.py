"""Layout, size and choice of feature maps."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.errors import ConfigError
from tlcli.options.distillation._adapter import Adapter
from tlcli.options.distillation._maps import map_shape, resize_matrix, resized, stage_pairs, to_map


def test_tokens_become_a_square_map_row_by_row():
    tokens = np.arange(2 * 9 * 3, dtype="float32").reshape(2, 9, 3)
    maps = to_map(tf.constant(tokens))
    np.testing.assert_array_equal(maps[:, 1, 2], tokens[:, 5])
    assert map_shape((9, 3)) == tuple(maps.shape[1:]) == (3, 3, 3)


def test_a_class_token_is_dropped():
    tokens = np.arange(1 * 5 * 2, dtype="float32").reshape(1, 5, 2)
    np.testing.assert_array_equal(to_map(tf.constant(tokens))[0, 0, 0], tokens[0, 1])
    assert map_shape((5, 2)) == (2, 2, 2)


def test_tokens_without_a_square_are_refused():
    with pytest.raises(ConfigError, match="7 tokens is not a square grid"):
        to_map(tf.zeros((1, 7, 2)))


def test_a_map_stays_as_it_is():
    maps = tf.zeros((1, 2, 3, 4))
    assert to_map(maps) is maps


@pytest.mark.parametrize(("before", "after"), [(2, 5), (3, 4), (4, 8), (1, 3)])
def test_growing_is_bilinear(rng, before, after):
    maps = rng.normal(size=(2, before, before, 3)).astype("float32")
    expected = tf.image.resize(maps, (after, after))
    np.testing.assert_allclose(resized(maps, after, after), expected, rtol=1e-5, atol=1e-6)


def test_shrinking_averages_adaptive_bins():
    # 5 to 3 pixels: bins [0, 2), [1, 4), [3, 5).
    expected = [[1 / 2, 1 / 2, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1 / 2, 1 / 2]]
    np.testing.assert_allclose(resize_matrix(5, 3), expected, rtol=1e-6)


def test_shrinking_by_a_whole_factor_is_average_pooling(rng):
    maps = rng.normal(size=(2, 6, 4, 3)).astype("float32")
    pooled = tf.nn.avg_pool2d(maps, (3, 2), (3, 2), "VALID")
    np.testing.assert_allclose(resized(maps, 2, 2), pooled, rtol=1e-5, atol=1e-6)


def test_nearest_repeats_pixels(rng):
    maps = rng.normal(size=(1, 2, 2, 1)).astype("float32")
    np.testing.assert_array_equal(resized(maps, 4, 6, nearest=True), maps.repeat(2, 1).repeat(3, 2))


FOUR = ((32, 32, 8), (16, 16, 8), (8, 8, 8), (4, 4, 8))
THREE = ((30, 30, 4), (9, 9, 4), (4, 4, 4))


def test_equal_counts_pair_by_index():
    assert stage_pairs(THREE, THREE, None, (-2, -1)) == [(1, 1), (2, 2)]
    assert stage_pairs(THREE, THREE, (0, -1), (-2,)) == [(0, 0), (2, 2)]


def test_unequal_counts_pair_by_nearest_size():
    assert stage_pairs(THREE, FOUR, None, (-3, -2, -1)) == [(0, 0), (1, 2), (2, 3)]


def test_the_deepest_of_equal_sizes_is_the_partner():
    assert stage_pairs(((4, 4, 2),), ((8, 8, 2), (4, 4, 2), (4, 4, 3)), None, (-1,)) == [(0, 2)]


def test_a_default_that_does_not_exist_falls_to_the_last():
    assert stage_pairs(THREE[:1], THREE[:1], None, (-2,)) == [(0, 0)]


@pytest.mark.parametrize("stage", [3, -4])
def test_a_stage_that_does_not_exist_is_refused(stage):
    with pytest.raises(ConfigError, match=rf"^distillation\.stages: got {stage}, .*-3 to 2"):
        stage_pairs(THREE, THREE, (stage,), (-1,))


def test_adapter_bridges_channels_and_size(rng):
    adapter = Adapter((2, 2, 3), (4, 4, 5), seed=1)
    out = adapter(tf.zeros((2, 2, 2, 3)), tf.zeros((2, 4, 4, 5)))
    assert out.shape == (2, 4, 4, 5)
    assert len(adapter.trainable_variables) == 2
    assert Adapter((2, 2, 3), (4, 4, 3), seed=1).weights == []


def test_vision_transformer_tokens_meet_a_convolutional_map(rng):
    student = {"features": [rng.normal(size=(2, 4, 4, 3)).astype("float32")]}
    teacher = {"features": [rng.normal(size=(2, 5, 6)).astype("float32")]}
    method = methods.make("at")
    shapes = methods.shapes(student, teacher)
    method.checked(shapes)
    from tlcli.contracts.distillation import Batch

    loss = method.loss(Batch(None), methods.outputs(student), methods.outputs(teacher))
    as_map = {"features": [teacher["features"][0][:, 1:].reshape(2, 2, 2, 6)]}
    expected = method.loss(Batch(None), methods.outputs(student), methods.outputs(as_map))
    np.testing.assert_array_equal(loss, expected)
