"""What computed outputs are of: some views of some pictures, told apart by content."""

import hashlib
from typing import Any, Protocol

import numpy as np

from tlcli.data.content import combined
from tlcli.data.views import Views, sample_uids


class Sources(Protocol):
    """What is computed, item by item."""

    def __len__(self) -> int:
        """How many items there are."""

    def named(self, places: range) -> str:
        """Hash of what some items are called, for which nothing is read."""

    def made_of(self, places: range) -> str:
        """Hash of what the outputs of some items follow from, beside what computes them."""


class Items:
    """All rows in view 0, then in view 1, ...

    Attributes:
        views: The views.
        rows: Manifest rows of each view, int64 (rows,).
        count: Views of each row.
    """

    def __init__(self, views: Views, rows: Any, count: int) -> None:
        self.views, self.rows, self.count = views, np.asarray(rows, np.int64), count

    def __len__(self) -> int:
        return len(self.rows) * self.count

    def split(self, items: Any) -> tuple[Any, Any]:
        """Manifest rows and views of some items, each int64 (items,)."""
        views, places = np.divmod(np.asarray(items, np.int64), max(1, len(self.rows)))
        return self.rows[places], views

    def named(self, places: range) -> str:
        """Hash of the ids and views of some items."""
        rows, views = self.split(places)
        ids = "\0".join(map(str, self.views.manifest.ids[rows]))
        return hashlib.blake2b(ids.encode() + views.tobytes(), digest_size=8).hexdigest()

    def made_of(self, places: range) -> str:
        """Hash of the content of some items' pictures, of their views and what draws these."""
        rows, views = self.split(places)
        drawn = views
        if self.views.augmentation is not None:
            drawn = sample_uids(self.views.manifest.ids[rows])
        facts = np.ascontiguousarray(np.stack([views, drawn], -1).astype(np.int64))
        hashes = self.views.manifest.images.hashes(rows)
        return combined(np.concatenate([hashes, facts.view(np.uint8)], -1))


def blocks_of(length: int, size: int) -> list[range]:
    """Places of items in blocks of a size; the last may be shorter."""
    return [range(start, min(start + size, length)) for start in range(0, length, size)]
