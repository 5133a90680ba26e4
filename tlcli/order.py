"""Which images a step sees: a pure function of (seed, step), so any step can be resumed at.

Training reads one endless sequence: the permutation of epoch 0, then of epoch 1, and so on, cut
into batches. Every batch is full, every image is seen once an epoch, nothing is dropped or padded;
an epoch is therefore samples / batch_size steps, which need not be whole.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Slice:
    """What one replica does in one step.

    Attributes:
        rows: Rows of the training table, int64 (local,).
        epochs: Epoch of each, int64 (local,).
        weights: 1 for an image, 0 for padding, float32 (local,).
    """

    rows: Any
    epochs: Any
    weights: Any


@dataclass(frozen=True, eq=False)
class Order:
    """The sequence of training images.

    Attributes:
        samples: Number of training images.
        batch_size: Images a step over all replicas.
        seed: Decides the permutations.
        replicas: Over how many replicas a batch is spread.
        first_epoch: Number of the first epoch; a later phase goes on counting.
        pools: For balanced sampling, the rows of each class; None shows every image once an epoch.
    """

    samples: int
    batch_size: int
    seed: int
    replicas: int = 1
    first_epoch: int = 0
    pools: tuple[Any, ...] | None = None

    @property
    def steps_per_epoch(self) -> float:
        """Steps of one epoch, a fraction of a step included."""
        return self.samples / self.batch_size

    @property
    def local_size(self) -> int:
        """Images a replica gets; even, so that pairs which are mixed stay together."""
        if self.replicas == 1:
            return self.batch_size
        share = -(-self.batch_size // self.replicas)
        return share + share % 2

    def total_steps(self, epochs: float) -> int:
        """Steps that show the images `epochs` times, at least one."""
        return max(1, round(epochs * self.samples / self.batch_size))

    def slice(self, step: int, replica: int = 0) -> Slice:
        """The images of one replica in one step."""
        local = self.local_size
        inside = np.arange(replica * local, (replica + 1) * local)
        real = inside < self.batch_size
        positions = step * self.batch_size + np.minimum(inside, self.batch_size - 1)
        epochs, offsets = np.divmod(positions, self.samples)
        epochs += self.first_epoch
        rows = np.empty(local, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = self._epoch(int(epoch))[offsets[chosen]]
        return Slice(rows, epochs.astype(np.int64), real.astype(np.float32))

    def block(self, start: int, stop: int) -> tuple[Any, Any, Any]:
        """Rows, epochs and weights of several steps, each (steps, replicas, local)."""
        slices = [
            [self.slice(step, replica) for replica in range(self.replicas)]
            for step in range(start, stop)
        ]
        return tuple(
            np.array([[getattr(one, field) for one in row] for row in slices])
            for field in ("rows", "epochs", "weights")
        )  # type: ignore[return-value]

    def _epoch(self, epoch: int) -> Any:
        if self.pools is None:
            return _permutation(self.samples, self.seed, epoch)
        return _balanced(self, epoch)


@functools.lru_cache(maxsize=4)
def _permutation(samples: int, seed: int, epoch: int) -> Any:
    return np.random.Generator(np.random.Philox([seed, epoch])).permutation(samples)


@functools.lru_cache(maxsize=4)
def _balanced(order: Order, epoch: int) -> Any:
    """One epoch in which each class has samples / classes places, small classes repeated."""
    assert order.pools is not None
    generator = np.random.Generator(np.random.Philox([order.seed, epoch]))
    places = np.full(len(order.pools), order.samples // len(order.pools))
    places[: order.samples % len(order.pools)] += 1
    drawn = []
    for pool, count in zip(order.pools, generator.permutation(places), strict=True):
        rounds = -(-count // len(pool))
        shuffled = [generator.permutation(pool) for _ in range(rounds)]
        drawn.append(np.concatenate(shuffled)[:count])
    return generator.permutation(np.concatenate(drawn))
