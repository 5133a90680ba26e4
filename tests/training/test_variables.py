import numpy as np
import tensorflow as tf

from tlcli.training.variables import make_variable


def test_all_replicas_hold_it_alike():
    found = make_variable(np.ones(2, np.float32), "x")
    assert found.aggregation == tf.VariableAggregation.ONLY_FIRST_REPLICA
    assert not found.trainable
    assert make_variable(1.0, "y", trainable=True).trainable
