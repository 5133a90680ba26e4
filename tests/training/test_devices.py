"""Seeds, precision and devices are set before anything is built."""

import keras
import numpy as np

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.training.devices import start_devices


def drawn(*words):
    strategy = start_devices(train_job(config("train", "hardware=cpu", *words)))
    found = np.array(keras.random.normal((3,)))
    return strategy.num_replicas_in_sync, keras.config.dtype_policy().name, found


def test_a_seed_gives_the_same_draws_and_a_policy_is_in_force():
    try:
        one, same = drawn("seed=3"), drawn("seed=3")
        np.testing.assert_array_equal(one[2], same[2])
        assert not np.array_equal(one[2], drawn("seed=4")[2])
        assert one[:2] == (1, "float32")
        assert drawn("precision=mixed_bfloat16")[1] == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
