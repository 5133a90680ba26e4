"""Which images a step sees: a pure function of (seed, step), so any step can be resumed at.

Training reads one endless sequence: the permutation of epoch 0, then of epoch 1, and so on, cut
into batches. Every batch is full, every image is seen once an epoch, nothing is dropped or padded;
an epoch is therefore samples / batch_size steps, which need not be whole.

A batch is cut into pieces, whose gradients are added, and each piece into shares, one a replica.
Piece k is the same images on any number of replicas.
"""

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tlcli.errors import ConfigError


@dataclass(frozen=True)
class Slice:
    """The images of one step.

    Attributes:
        rows: Rows of the training table, int64 (batch,).
        epochs: Epoch of each, int64 (batch,).
    """

    rows: Any
    epochs: Any


@dataclass(frozen=True, eq=False)
class Order:
    """The sequence of training images.

    Attributes:
        samples: Number of training images.
        batch_size: Images a step over all replicas.
        seed: Decides the permutations.
        replicas: Over how many replicas a batch is spread.
        pieces: Parts of a batch that are computed one after the other.
        together: How many neighbours stay in one share; 2 where images are mixed in pairs.
        first_epoch: Number of the first epoch; a later phase goes on counting.
        pools: For balanced sampling, the rows of each class; None shows every image once an epoch.
    """

    samples: int
    batch_size: int
    seed: int
    replicas: int = 1
    pieces: int = 1
    together: int = 1
    first_epoch: int = 0
    pools: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        groups = -(-self.batch_size // self.together)
        if groups // self.pieces < self.replicas:
            least = self.replicas * self.pieces * self.together
            cut = f" in {self.pieces} pieces (accumulation_steps)" if self.pieces > 1 else ""
            who = "one of them" if self.replicas == 1 else f"one of {self.replicas} devices"
            raise ConfigError(
                "batch_size", f"{self.batch_size} images{cut} leave {who} without any",
                f"Give {least} or more.",
            )  # fmt: skip

    @property
    def steps_per_epoch(self) -> float:
        """Steps of one epoch, a fraction of a step included."""
        return self.samples / self.batch_size

    def parts(self) -> list[range]:
        """Places in the batch of each piece's images."""
        return self._cut(range(self.batch_size), self.pieces)

    def shares(self, replica: int) -> list[range]:
        """Places in the batch of a replica's images, a range for each piece."""
        return [self._cut(piece, self.replicas)[replica] for piece in self.parts()]

    def places(self, replica: int) -> Any:
        """Places in the batch of a replica's images, in order, int64 (local,)."""
        return np.concatenate([np.asarray(share, np.int64) for share in self.shares(replica)])

    @property
    def local_size(self) -> int:
        """Images of the replica that has most."""
        return max(len(self.places(replica)) for replica in range(self.replicas))

    def _cut(self, places: range, parts: int) -> list[range]:
        """Parts as equal as groups that stay together let them be."""
        groups = -(-len(places) // self.together)
        ends = [min(len(places), groups * i // parts * self.together) for i in range(parts + 1)]
        return [places[a:b] for a, b in pairwise(ends)]

    def total_steps(self, epochs: float) -> int:
        """Steps that show the images `epochs` times, at least one."""
        return max(1, round(epochs * self.samples / self.batch_size))

    def slice(self, step: int) -> Slice:
        """The images of one step."""
        positions = step * self.batch_size + np.arange(self.batch_size)
        epochs, offsets = np.divmod(positions, self.samples)
        epochs += self.first_epoch
        rows = np.empty(self.batch_size, np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = self._epoch(int(epoch))[offsets[chosen]]
        return Slice(rows, epochs.astype(np.int64))

    def block(self, start: int, stop: int) -> tuple[Any, Any]:
        """Rows and epochs of several steps, each int64 (steps, batch)."""
        slices = [self.slice(step) for step in range(start, stop)]
        return np.array([s.rows for s in slices]), np.array([s.epochs for s in slices])

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
