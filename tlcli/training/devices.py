"""Seeds, precision and devices."""

from typing import Any

import keras
import tensorflow as tf

from tlcli.config.job import TrainJob
from tlcli.system import precision


def start_devices(job: TrainJob) -> Any:
    """Seeds, precision and the strategy."""
    settings = job.settings
    keras.utils.clear_session()
    strategy = job.hardware.strategy()
    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(precision.resolved(settings.precision, has_gpu()))
    return strategy


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))
