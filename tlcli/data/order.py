"""Which images a step sees: a pure function of (seed, step), so any step can be resumed at.

Training reads one endless sequence: the permutation of epoch 0, then of epoch 1, and so on, cut
into batches. Every batch is full, every image is seen once an epoch, nothing is dropped or padded;
an epoch is therefore samples / batch_size steps, which need not be whole.

A batch is cut into pieces, whose gradients are added, and each piece into shares, one a replica.
Piece k is the same images on any number of replicas.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tlcli.errors import ConfigError

# Images whose order is listed, 4 bytes each and 12 while it is drawn; that of more is computed.
MOST_LISTED = 1 << 24
# Of mixing: four make a permutation that none can tell from one drawn by chance.
ROUNDS = 6


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
            rows[chosen] = self._rows(int(epoch), offsets[chosen])
        return Slice(rows, epochs.astype(np.int64))

    def block(self, start: int, stop: int) -> tuple[Any, Any]:
        """Rows and epochs of several steps, each int64 (steps, batch)."""
        slices = [self.slice(step) for step in range(start, stop)]
        return np.array([s.rows for s in slices]), np.array([s.epochs for s in slices])

    def _rows(self, epoch: int, offsets: Any) -> Any:
        """Rows at some places of an epoch."""
        if self.pools is not None:
            return _balanced(self, epoch)[offsets]
        if self.samples > MOST_LISTED:
            return shuffled(offsets, self.samples, (self.seed, epoch))
        return _permutation(self.samples, self.seed, epoch)[offsets]


@functools.lru_cache(maxsize=2)
def _permutation(samples: int, seed: int, epoch: int) -> Any:
    found = np.random.Generator(np.random.Philox([seed, epoch])).permutation(samples)
    return found.astype(np.int32)


def shuffled(places: Any, count: int, key: Sequence[int]) -> Any:
    """What a permutation of many numbers has at some places, which is computed and not listed.

    Halves of a number's bits are mixed into each other in turns, which can be undone and so is a
    permutation (Luby and Rackoff 1988); what falls beyond the count goes round once more.

    Args:
        places: int64 (places,), from 0 up to, not including, the count.
        count: Of all.
        key: Decides the permutation.
    """
    half = -(-max(2, (count - 1).bit_length()) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = np.random.Philox([*key, 1]).random_raw(ROUNDS)
    found = np.asarray(places).astype(np.uint64)
    beyond = np.arange(len(found))
    while len(beyond):
        left, right = found[beyond] >> np.uint64(half), found[beyond] & mask
        for one in keys:
            left, right = right, left ^ (_mixed(right ^ one) & mask)
        found[beyond] = left << np.uint64(half) | right
        beyond = beyond[found[beyond] >= count]
    return found.astype(np.int64)


def _mixed(numbers: Any) -> Any:
    """Numbers whose bits each depend on all (the finish of SplitMix64, Steele et al. 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


@functools.lru_cache(maxsize=2)
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
