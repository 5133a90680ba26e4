"""Hardware: the devices of a training, and the processes that train one model together.

A new option is a frozen dataclass `Hardware` that subclasses `Hardware` of this module and has a
field `batch_norm` and the method `strategy`; one of several processes also has `membership`,
`connect` and, where it can tell, `leads`.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal

from tlcli.system.cluster import Alone


class Hardware(ABC):
    """What every option has.

    Attributes:
        batch_norm: "sync" takes the statistics of normalisation over the images of all replicas,
            "local" over each one's own, and averages the moving ones after every step.
    """

    batch_norm: Literal["sync", "local"]

    @abstractmethod
    def strategy(self) -> Any:
        """The tf.distribute strategy, after setting up the devices.

        Raises:
            ConfigError: No such device here.
        """

    @property
    def membership(self) -> tuple[Any, ...]:
        """What tells this place in a group of processes from another; empty for a single one."""
        return ()

    @property
    def leads(self) -> bool:
        """Whether the option itself says, before processes meet, that this one is the chief."""
        return False

    def place(self) -> tuple[int, int]:
        """Number of this process among those that share a command's rows, and how many they are."""
        return 0, 1

    def settle(self) -> None:
        """Set up the devices of a process that shares rows, and waits for no other.

        Raises:
            ConfigError: No such device here.
        """
        self.strategy()

    def connect(self) -> Alone:
        """Join the other processes; waits until all are there. Called once for a membership."""
        return Alone()
