import keras
import numpy as np
import pytest

from tlcli.training.gradients import adaptive_clip, clip_by_global_norm, clip_by_value, global_norm

RANDOM = np.random.default_rng(0)


def tensors(*shapes):
    return [keras.ops.convert_to_tensor(RANDOM.normal(size=s).astype(np.float32)) for s in shapes]


def test_global_norm_by_hand():
    gradients = [keras.ops.convert_to_tensor([3.0]), None, keras.ops.convert_to_tensor([[4.0]])]
    assert float(global_norm(gradients)) == pytest.approx(5)
    assert float(global_norm([None])) == 0


def test_a_large_gradient_is_scaled_to_the_norm_and_a_small_one_is_left():
    gradients = [keras.ops.convert_to_tensor([3.0]), None, keras.ops.convert_to_tensor([[4.0]])]
    clipped = clip_by_global_norm(gradients, 1.0)
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[0], [0.6], rtol=1e-6)
    np.testing.assert_allclose(clipped[2], [[0.8]], rtol=1e-6)
    same = clip_by_global_norm(gradients, 10.0)
    np.testing.assert_array_equal(same[0], [3.0])


def test_half_precision_gradients_are_summed_in_float32():
    gradient = keras.ops.full((40000,), 10.0, "float16")  # its sum of squares is beyond float16
    assert float(global_norm([gradient])) == pytest.approx(2000)
    assert clip_by_global_norm([gradient], 1.0)[0].dtype == gradient.dtype


def test_clip_by_value_moves_elements_into_the_range():
    clipped = clip_by_value([keras.ops.convert_to_tensor([-3.0, 0.5, 9.0]), None], 1.0)
    np.testing.assert_array_equal(clipped[0], [-1.0, 0.5, 1.0])
    assert clipped[1] is None


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 3, 2, 4), (0, 1, 2)), ((5, 4), (0,)), ((4,), (0,)), ((), ()), ((2, 3, 4), (0, 1))],
)
def test_adaptive_clip_equals_float64(shape, axes):
    weights, gradient = (RANDOM.normal(size=shape) * s for s in (0.1, 1.0))
    variable = keras.Variable(weights.astype(np.float32))

    def norms(a):
        return np.sqrt(np.sum(a**2, axis=axes, keepdims=True))

    most = 0.3 * np.maximum(norms(weights), 1e-3)
    expected = gradient * np.minimum(1, most / norms(gradient))
    clipped = adaptive_clip([keras.ops.convert_to_tensor(gradient, "float32")], [variable], 0.3)
    np.testing.assert_allclose(clipped[0], expected, rtol=2e-5, atol=1e-7)


def test_adaptive_clip_leaves_none_and_small_gradients():
    variable = keras.Variable(np.ones((2, 2), np.float32))
    gradient = keras.ops.convert_to_tensor([[1e-3, 0.0], [1e-3, 0.0]])
    clipped = adaptive_clip([None, gradient], [variable, variable], 0.01)
    assert clipped[0] is None
    np.testing.assert_array_equal(clipped[1], gradient)


def test_units_of_a_depthwise_kernel_are_its_channels():
    layer = keras.layers.DepthwiseConv2D(3)
    layer.build((None, 8, 8, 5))
    gradient = np.zeros((3, 3, 5, 1), np.float32)
    gradient[0, 0, 2] = 100.0
    gradient[:, :, 3] = 1e-6
    clipped = np.asarray(adaptive_clip([gradient], [layer.kernel], 0.1)[0])
    kernel = np.asarray(layer.kernel.value)[:, :, 2]
    assert np.linalg.norm(clipped[:, :, 2]) == pytest.approx(0.1 * np.linalg.norm(kernel), 1e-5)
    np.testing.assert_array_equal(clipped[:, :, 3], gradient[:, :, 3])


def test_the_head_is_not_clipped_by_its_zeros():
    head = keras.layers.Dense(3, kernel_initializer="zeros", name="head_logits")
    body = keras.layers.Dense(3, kernel_initializer="zeros", name="body")
    for layer in (head, body):
        layer.build((None, 2))
    gradient = keras.ops.ones((2, 3))
    ours, theirs = adaptive_clip([gradient, gradient], [head.kernel, body.kernel], 0.01)
    np.testing.assert_array_equal(ours, gradient)
    # A unit of zeros is taken to have the least norm of 0.001.
    np.testing.assert_allclose(np.linalg.norm(theirs, axis=0), 1e-5, rtol=1e-4)
