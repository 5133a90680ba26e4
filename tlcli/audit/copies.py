"""Which of several copies of a picture is kept, and what label it should have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.audit.near import Pairs

KEEP, EXCLUDE = "keep", "exclude"
# Of `near.turned`, in the order of its numbers.
_TURNS = (
    "", "mirrored", "upside down and mirrored", "turned by 180 degrees", "turned and mirrored",
    "turned by 90 degrees", "turned by 90 degrees", "turned and mirrored",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Copies:
    """Pairs of pictures that are copies.

    Attributes:
        exact: Groups of rows whose content is the same to the last byte.
        near: Pairs that are not among them.
        kept: Rows that are copies of others and stay when copies are left out.
    """

    exact: Sequence[Sequence[int]]
    near: Pairs
    kept: frozenset[int]

    def suggestion(self, row: int) -> str:
        """KEEP or EXCLUDE."""
        return KEEP if row in self.kept else EXCLUDE

    def together(self) -> Iterator[Sequence[int]]:
        """Rows that are copies of each other: exact groups, then near pairs."""
        yield from self.exact
        yield from zip(self.near.first.tolist(), self.near.second.tolist(), strict=True)


def same_content(hashes: Any) -> list[list[int]]:
    """Groups of two or more rows of one hash, in order.

    Args:
        hashes: uint8 (samples, bytes).
    """
    if not len(hashes):
        return []
    _, numbers, counts = np.unique(hashes, axis=0, return_inverse=True, return_counts=True)
    numbers = numbers.reshape(-1)
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(counts[numbers] > 1).tolist():
        found.setdefault(int(numbers[row]), []).append(row)
    return sorted(found.values())


def copies(hashes: Any, pairs: Pairs, splits: Any) -> Copies:
    """All copies, and which of them are kept: of test before validation before train, the first.

    Args:
        hashes: Of the contents, uint8 (samples, bytes).
        pairs: Near copies, exact ones perhaps among them.
        splits: 0 train, 1 validation, 2 test, int (samples,).
    """
    exact = same_content(hashes)
    group = {row: number for number, rows in enumerate(exact) for row in rows}
    both = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    other = np.array([group.get(a, -1) != group.get(b, -2) for a, b in both], bool)
    near = pairs.keep(np.flatnonzero(other))
    beside: dict[int, set[int]] = {}
    for rows in Copies(exact, near, frozenset()).together():
        for row in rows:
            beside.setdefault(row, set()).update(rows)
    kept: set[int] = set()
    for row in sorted(beside, key=lambda row: (-int(splits[row]), row)):
        if not kept & (beside[row] - {row}):
            kept.add(row)
    return Copies(exact, near, frozenset(kept))


def partners(near: Pairs) -> Iterator[tuple[int, int, float, str]]:
    """Each picture of a near pair with the one it is most alike, how much, and how it lies."""
    best: dict[int, tuple[int, float, str]] = {}
    columns: Mapping[str, Any] = {"a": near.first, "b": near.second}
    for place in range(len(near.first)):
        a, b = (int(columns[name][place]) for name in "ab")
        likeness, lies = float(near.likeness[place]), _TURNS[int(near.turns[place])]
        for row, other in ((a, b), (b, a)):
            if row not in best or best[row][1] < likeness:
                best[row] = (other, likeness, lies)
    for row, (other, likeness, lies) in best.items():
        yield row, other, likeness, lies


def believed(labels: Sequence[str], shares: Mapping[str, float]) -> str:
    """The label of copies that have several: that of most, of as many the most probable.

    Args:
        labels: Of each copy.
        shares: By label, its mean probability for the copies; empty where nobody knows.

    Returns:
        A label; empty where nothing speaks for any.
    """
    counts = {label: list(labels).count(label) for label in dict.fromkeys(labels)}
    most = max(counts.values())
    best = [label for label, count in counts.items() if count == most]
    if len(best) == 1:
        return best[0]
    if not all(label in shares for label in best):
        return ""
    return max(best, key=shares.__getitem__)
