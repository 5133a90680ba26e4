"""Variables that all replicas hold alike."""

from typing import Any

import numpy as np
import tensorflow as tf


def make_variable(value: Any, name: str, trainable: bool = False) -> Any:
    """A variable that all replicas hold alike; create it in the strategy's scope."""
    return tf.Variable(
        np.asarray(value), trainable=trainable, name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )  # fmt: skip
