"""Tables become tensors of the same memory, whatever their type."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from tlcli.models.frozen.shared import as_tensor
from tlcli.system.array_file import aligned_empty, load_npy


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8", "int64", ml_dtypes.bfloat16])
def test_a_tensor_shares_the_memory_of_a_table(kind):
    array = aligned_empty((3, 5), kind)
    array[...] = np.arange(15).reshape(3, 5)
    tensor = as_tensor(array)
    assert tensor.dtype == tf.as_dtype(array.dtype)
    assert tensor.shape == (3, 5)
    array[1, 2] = 99
    gathered = tf.function(lambda rows: tf.gather(tensor, rows))(tf.constant([1]))
    assert float(tf.cast(gathered[0, 2], tf.float32)) == 99.0


@pytest.mark.parametrize("array", [np.arange(7)[1:], np.zeros((2, 4))[:, ::2], np.zeros((0, 3))])
def test_other_arrays_are_copied(array):
    np.testing.assert_array_equal(as_tensor(array), array)


def test_the_tensor_outlives_the_name_of_its_array():
    tensors = []
    for value in range(4):
        array = aligned_empty((1 << 16,), "float32")
        array[...] = value
        tensors.append(as_tensor(array))
        del array
    assert [float(tf.reduce_max(t)) for t in tensors] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_is_read_to_be_shared(tmp_path, order):
    expected = np.asarray(np.random.default_rng(0).normal(size=(4, 5, 6)), order=order)
    np.save(tmp_path / "a.npy", expected)
    found = load_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, expected)
    assert found.ctypes.data % 64 == 0
    np.testing.assert_array_equal(as_tensor(found), expected)
