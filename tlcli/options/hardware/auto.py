"""Devices that the training runs on."""

import functools
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import hardware
from tlcli.errors import ConfigError, require
from tlcli.lazy import tf


@dataclass(frozen=True)
class Hardware(hardware.Hardware):
    """One device or several of this machine.

    Attributes:
        device: "auto" takes all visible GPUs, else the CPU; "cpu", "gpu" (the first), "mirrored"
            (all GPUs, or all logical CPU devices).
        logical_devices: Parts that the CPU is shown as, to try several replicas on one machine.
        threads: Threads of an operation, or null for one a core.
        batch_norm: "sync" takes statistics over the images of all devices, "local" over each
            device's own, and averages the moving ones after every step.
    """

    device: Literal["auto", "cpu", "gpu", "mirrored"]
    logical_devices: int
    threads: int | None
    batch_norm: Literal["sync", "local"]

    def __post_init__(self) -> None:
        count = self.logical_devices
        require(1 <= count <= 64, "hardware.logical_devices", count, "Give 1 to 64.")
        threads = self.threads
        require(threads is None or threads >= 1, "hardware.threads", threads, "Give 1 or more.")

    def strategy(self) -> Any:
        """The tf.distribute strategy, after setting up the devices.

        Raises:
            ConfigError: No such device here.
        """
        if self.threads:
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
        gpus = tf.config.list_physical_devices("GPU")
        if self.device == "gpu" and not gpus:
            raise ConfigError("hardware", "TensorFlow sees no GPU", "Give hardware=cpu.")
        if self.device == "cpu" or not gpus:
            tf.config.set_visible_devices([], "GPU")
            return self._on_cpu()
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if self.device == "gpu" or len(gpus) == 1:
            return tf.distribute.OneDeviceStrategy("/gpu:0")
        return mirrored(None)

    def _on_cpu(self) -> Any:
        if self.logical_devices == 1:
            return tf.distribute.get_strategy()
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(self.logical_devices)]
        # A second training of a sweep finds the parts of the first, which cannot be changed.
        if len(tf.config.get_logical_device_configuration(cpu) or ()) != len(parts):
            tf.config.set_logical_device_configuration(cpu, parts)
        return mirrored(tuple(f"CPU:{i}" for i in range(self.logical_devices)))


@functools.cache
def mirrored(devices: tuple[str, ...] | None) -> Any:
    """The strategy over some devices, or all GPUs.

    TensorFlow numbers the reductions of each strategy from the start, and refuses a number that
    comes again with another shape: all trainings of a process share one.
    """
    return tf.distribute.MirroredStrategy(devices and list(devices))
