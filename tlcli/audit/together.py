"""Comparisons of all pictures with all, some rows at a time, by one worker or by several.

Their number grows with the square of the pictures'; of 100,000 they take as long as the look.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.system import console, parts
from tlcli.system import crew as crews
from tlcli.system.crew import Crew

# Parts that the work is cut into, about.
PARTS = 64


@dataclass(frozen=True)
class Together:
    """Who compares.

    Attributes:
        crew: This worker.
        facts: What all that is compared follows from.
    """

    crew: Crew = crews.ALONE
    facts: str = ""

    @classmethod
    def of(cls, crew: Crew, arrays: Sequence[Any]) -> "Together":
        """Workers that all have some arrays."""
        digest = hashlib.sha256()
        for one in () if crew.is_alone else arrays:
            digest.update(np.ascontiguousarray(one).data)
        return cls(crew, digest.hexdigest())

    def each(
        self, what: str, rows: Sequence[Any], make: Callable[[Any], Sequence[Any]], unit: str
    ) -> Iterator[Sequence[Any]]:
        """Arrays that a function makes of some rows at a time, in order.

        Args:
            what: Is done, in words.
            rows: The rows of each time, as `blocks` gives them.
            make: Called with each of them; what it gives depends on nothing else.
            unit: What rows are.
        """
        if self.crew.is_alone:
            count = sum(map(len, rows))
            yield from map(make, console.staged(rows, what, count, unit, len))
            return
        size = max(1, len(rows) // PARTS)
        groups = [rows[start : start + size] for start in range(0, len(rows), size)]

        def group(number: int) -> list[Any]:
            columns = zip(*map(make, groups[number]), strict=True)
            return [np.concatenate(column) for column in columns]

        place = self.crew.place(what.replace(" ", "-"), f"{self.facts} {list(map(len, rows))}")
        yield from parts.computed(self.crew, place, len(groups), group, what)


ALONE = Together()
