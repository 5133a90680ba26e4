"""What code inside a replica needs, on one."""

import numpy as np
import tensorflow as tf

from tlcli.training import replicas


def test_part_of_a_batch_leaves_scalars():
    batch = {"inputs": (tf.range(4),), "step": tf.constant(3)}
    found = replicas.part_of_batch(batch, 1, 3)
    np.testing.assert_array_equal(found["inputs"][0], [1, 2])
    assert int(found["step"]) == 3
    assert replicas.sized(tf.constant(3), 5).shape == ()


def test_how_much_of_an_image_is_labelled():
    labels = tf.constant([[0.0, 1.0], [0.0, 0.0], [0.0, 0.3]])
    np.testing.assert_allclose(replicas.label_mass(labels, False), [1, 0, 0.3])
    np.testing.assert_allclose(replicas.label_mass(labels, True), [1, 1, 1])


def test_one_replica_is_the_first_and_assigns_itself():
    assert replicas.replica_number() == 0
    variable = tf.Variable([1.0])
    replicas.assign_alike([variable], [tf.constant([2.0])], lambda v, new: v.assign_add(new))
    assert variable.numpy() == 3
