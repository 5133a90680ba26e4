"""Where a replica's images lie among all; several replicas are tried in options/hardware."""

import numpy as np
import tensorflow as tf

from tlcli.training.share import Share


def test_a_replica_alone_leaves_the_places_of_others_at_zero():
    share, values = Share(2, 3, 1), tf.constant(np.arange(1.0, 7.0).reshape(3, 2))
    together = share.all(values).numpy()
    np.testing.assert_array_equal(together[:2], np.zeros((2, 2)))
    np.testing.assert_array_equal(together[2:5], values)
    np.testing.assert_array_equal(together[5:], np.zeros((1, 2)))


def test_its_own_images_come_back():
    share, values = Share(4, 2, 3), tf.constant([[1.0], [2.0]])
    np.testing.assert_array_equal(share.mine(share.all(values)), values)
