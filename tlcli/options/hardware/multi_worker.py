"""Several processes, on one machine or many, that train one model in step."""

import os
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import hardware
from tlcli.errors import ConfigError, require
from tlcli.lazy import tf
from tlcli.options.hardware import _workers
from tlcli.system.cluster import Alone, Member, join


@dataclass(frozen=True)
class Hardware(hardware.Hardware):
    """Workers that each hold the whole model and see their share of every batch.

    Without `workers`, TF_CONFIG, SLURM's or torchrun's variables say who they are. All of them read
    the run folder and the data at the same paths; only the first, the chief, writes.

    Attributes:
        workers: host:port of every worker, the chief first.
        rank: Number of this one, from 0.
        timeout: Seconds that the others may be waited for, above 0; also for all to start.
        threads: Threads of an operation, or null for one a core.
        batch_norm: "sync" takes statistics over the images of all workers, "local" over each one's
            own, and averages the moving ones after every step.
    """

    workers: tuple[str, ...]
    rank: int | None
    timeout: float
    threads: int | None
    batch_norm: Literal["sync", "local"]

    def __post_init__(self) -> None:
        require(self.timeout > 0, "hardware.timeout", self.timeout, "Give seconds above 0.")
        threads = self.threads
        require(threads is None or threads >= 1, "hardware.threads", threads, "Give 1 or more.")

    @property
    def membership(self) -> tuple[Any, ...]:
        """The addresses and the rank that are given."""
        return self.workers, self.rank

    @property
    def leads(self) -> bool:
        """Whether the rank is given as the first."""
        return self.rank == 0

    def connect(self) -> Alone:
        """Join the others; waits until all are there.

        Raises:
            ConfigError: Nothing says who they are, or the port is taken.
            PeerLost: One did not come in time.
        """
        place = self._found()
        self._settle(place)
        _workers.meet(place, self.timeout)
        return Member(lambda: self._strategy(place), place.workers, place.rank, self.timeout)

    def _found(self) -> _workers.Place:
        return _workers.find(self.workers, self.rank, os.environ, self.timeout)

    def place(self) -> tuple[int, int]:
        """Rank and number of workers, as they are given; nobody is asked."""
        place = self._found()
        return place.rank, len(place.workers)

    def settle(self) -> None:
        """Take the threads that are given, and this worker's GPU among those of its machine."""
        self._settle(self._found())

    def _settle(self, place: _workers.Place) -> None:
        if self.threads:
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
        gpus = tf.config.list_physical_devices("GPU")
        if gpus and place.local_rank is not None:
            gpus = [gpus[place.local_rank % len(gpus)]]
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)

    def _strategy(self, place: _workers.Place) -> Any:
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(place.workers)}),
            task_type="worker", task_id=place.rank, rpc_layer="grpc",
        )  # fmt: skip
        # Not CommunicationOptions.timeout_seconds: every collective would start a thread that
        # sleeps for so long, and after some thousands the process is aborted. See Member.waiting.
        try:
            return tf.distribute.MultiWorkerMirroredStrategy(resolver)
        except tf.errors.UnknownError as error:
            own = place.workers[place.rank]
            raise ConfigError(
                "hardware.workers", f"cannot listen at {own} ({error.message.splitlines()[0]})",
                "Choose a free port of this machine.",
            ) from None  # fmt: skip

    def strategy(self) -> Any:
        """The tf.distribute strategy of the workers."""
        return join(self).strategy
