"""Answers of a network to many images, each batch computed by one of several workers.

A batch is computed whole, as one process would: which images are in it decides how sums are
rounded, so the answers of any number of workers are the same bit for bit.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tlcli import __version__
from tlcli.data.views import Views
from tlcli.evaluation.classifier import answers
from tlcli.lazy import np
from tlcli.system import parts
from tlcli.system.crew import Crew

# Batches of a part, at most; and parts that there are at least, where there are so many batches.
MOST_BATCHES, LEAST_PARTS = 16, 16


def part_of(items: int, batch: int) -> int:
    """Items of a part: whole batches, whatever the number of workers."""
    batches = -(-items // batch)
    return batch * max(1, min(MOST_BATCHES, batches // LEAST_PARTS))


@dataclass(frozen=True)
class Sharing:
    """Who asks what.

    Attributes:
        crew: This worker.
        what: Is done, in words.
        facts: What the answers depend on beside views and rows.
    """

    crew: Crew
    what: str
    facts: str


def shared_answers(
    sharing: Sharing, call: Any, views: Views, rows: Any, batch: int
) -> Iterator[tuple[Any, ...]]:
    """What a function says of some rows, in order, a tuple of arrays for some of them at a time.

    Args:
        sharing: Who asks what.
        call: uint8 images to arrays (batch, …); of None at the end nothing is given by several.
        views: Evaluation views.
        rows: Manifest rows.
        batch: Images at a time.
    """
    crew, what = sharing.crew, sharing.what
    if crew.is_alone:
        yield from answers(call, views, rows, batch, what)
        return
    size = part_of(len(rows), batch)
    cut = [rows[start : start + size] for start in range(0, len(rows), size)]

    def make(number: int) -> list[Any]:
        said = list(answers(call, views, cut[number], batch, what))
        columns = zip(*said, strict=True)
        return [np.concatenate(one) for one in columns if one[0] is not None]

    facts = "\0".join([sharing.facts, identity(views, rows, batch)])
    place = crew.place(what.split()[0], facts)
    for found in parts.computed(crew, place, len(cut), make, what):
        yield tuple(found)


def identity(views: Views, rows: Any, batch: int) -> str:
    """Hash of the ids of some rows, of how they are seen, and of the batches that they come in."""
    facts = f"{__version__}{views.resize}{batch}{views.manifest.fingerprint}"
    digest = hashlib.sha256(facts.encode())
    digest.update("\0".join(map(str, views.manifest.ids[rows])).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
