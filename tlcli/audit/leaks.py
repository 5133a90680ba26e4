"""Groups of pictures that belong together and lie in several splits.

Pictures of one patient, one camera or one burst are alike; where some are trained on and others
tested, the test is too easy. A way of grouping is believed where it makes many groups of a few
pictures each, and where pictures of a group are more alike than others of their class.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.audit.facts import Facts
from tlcli.contracts.data import TEST
from tlcli.system.shown import shown

# Groups that there must be, and pictures that the usual one has at most.
FEWEST_GROUPS, MOST_MEMBERS = 5, 50
# Share of all pictures that must be in groups of two or more.
COVERED = 0.3
# Share of pairs within groups that must be more alike than a pair of the class at random.
CLOSER, PAIRS = 0.6, 2000
DEVIATIONS = 3.0  # by which it must be above one half
# Seconds between two pictures of a burst.
BURST = 2.0
_COUNTER = re.compile(r"[ _.()-]*\d+[ _.()-]*$")
_PARTED = re.compile(r"[ _.-]")


@dataclass(frozen=True, eq=False)
class Leak:
    """A way of grouping by which splits share groups.

    Attributes:
        name: What the groups have in common: prefix, name before a stroke, camera or capture time.
        groups: Name of the group of each picture, empty for none, str (samples,).
        rows: Pictures of groups that lie in several splits.
        shared: How many such groups there are.
        closer: Share of pairs within groups that are more alike than others of their class.
    """

    name: str
    groups: Any
    rows: Any
    shared: int
    closer: float


def leaks(
    ids: Any, facts: Facts, splits: Any, labels: Any, vectors: Any, seed: int
) -> list[Leak]:  # fmt: skip
    """Ways of grouping by which splits share groups; of ways that give the same groups the first.

    Args:
        ids: Of the pictures.
        facts: Of their files.
        splits: Of the pictures, int (samples,).
        labels: What pictures of a kind have in common, int (samples,).
        vectors: Embeddings of length 1, float32 (samples, channels).
        seed: Chooses pairs.
    """
    found: list[Leak] = []
    taken = np.zeros(len(ids), bool)
    for name, groups in _ways(ids, facts):
        leak = _of_one(name, groups, splits, labels, vectors, seed)
        if leak is None:
            continue
        fresh = ~taken[leak.rows]
        if fresh.any():
            found.append(leak)
            taken[leak.rows] = True
    return found


def _ways(ids: Any, facts: Facts) -> Iterator[tuple[str, Any]]:
    """Names of groups by each way of grouping."""
    stems = [re.sub(r"\.\w{1,5}$", "", str(one).replace("\\", "/").rsplit("/", 1)[-1])
             for one in ids]  # fmt: skip
    yield "capture time", bursts(facts)
    yield "prefix", np.array([_COUNTER.sub("", stem) for stem in stems], object)
    firsts = [_PARTED.split(stem, maxsplit=1) for stem in stems]
    yield "name before a stroke", np.array([p[0] if len(p) > 1 else "" for p in firsts], object)
    yield "camera", facts.camera


def bursts(facts: Facts) -> Any:
    """Pictures that one camera took within moments of each other, str (samples,)."""
    groups = np.full(len(facts.time), "", object)
    known = np.flatnonzero(np.isfinite(facts.time))
    order = known[np.lexsort((facts.time[known], facts.camera[known].astype(str)))]
    if not len(order):
        return groups
    same = facts.camera[order[1:]] == facts.camera[order[:-1]]
    near = np.diff(facts.time[order]) <= BURST
    numbers = np.concatenate([[0], np.cumsum(~(same & near))])
    groups[order] = [f"burst {number}" for number in numbers]
    return groups


def _of_one(
    name: str, groups: Any, splits: Any, labels: Any, vectors: Any, seed: int
) -> Leak | None:
    names, numbers, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    real = (names != "") & (counts > 1)
    inside = real[numbers]
    sizes = counts[real]
    burst = name == "capture time"
    if len(sizes) < (1 if burst else FEWEST_GROUPS) or np.median(sizes) > MOST_MEMBERS:
        return None
    if inside.mean() < (0 if burst else COVERED):
        return None
    tested = np.bincount(numbers[splits == TEST], minlength=len(names)) > 0
    others = np.bincount(numbers[splits < TEST], minlength=len(names)) > 0
    shared = real & tested & others
    if not shared.any():
        return None
    closer, pairs = likeness(np.where(inside, numbers, -1), labels, vectors, seed)
    least = max(CLOSER, 0.5 + DEVIATIONS * 0.5 / max(1, pairs) ** 0.5)
    if closer < least and not burst:
        return None
    return Leak(name, groups, np.flatnonzero(shared[numbers]), int(shared.sum()), closer)


def likeness(numbers: Any, labels: Any, vectors: Any, seed: int) -> tuple[float, int]:
    """Share of pairs of a group that are more alike than one of them and a third of its class.

    The second number is how many pairs there were.

    Args:
        numbers: Group of each picture, -1 for none.
        labels: Class of each picture.
        vectors: Of length 1, float32 (samples, channels).
        seed: Chooses pairs.
    """
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(numbers)), labels, numbers))
    order = order[numbers[order] >= 0]
    one, other = order[:-1], order[1:]
    same = (numbers[one] == numbers[other]) & (labels[one] == labels[other])
    one, other = one[same], other[same]
    if len(one) > PAIRS:
        chosen = random.choice(len(one), PAIRS, replace=False)
        one, other = one[chosen], other[chosen]
    wins = []
    members = {label: np.flatnonzero(labels == label) for label in np.unique(labels[one]).tolist()}
    for first, second in zip(one.tolist(), other.tolist(), strict=True):
        pool = members[int(labels[first])]
        third = int(pool[random.integers(len(pool))])
        if numbers[third] != numbers[first]:
            beside = vectors[first] @ vectors[second], vectors[first] @ vectors[third]
            wins.append(float(beside[0] > beside[1]))
    return (float(np.mean(wins)) if wins else 0.0), len(wins)


def told(leak: Leak, row: int) -> str:
    """Why a picture is one of a leak, half a sentence."""
    return f"{leak.name} {shown(leak.groups[row], 60)!r} is in test and in other splits"
