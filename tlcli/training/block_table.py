"""What a phase trains, block by block: the table of the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.models.graph.blocks import LayerGroup, blocks
from tlcli.models.student import count
from tlcli.system.notes import EXPERT, Column, Table

MOST_ROWS = 10
COLUMNS = (
    Column(""), Column("blocks", 16, left=True), Column("layers", rank=2), Column("trained"),
    Column("of", rank=1), Column("rate", left=True),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Consecutive blocks that a phase treats alike.

    Attributes:
        first, last: Names of its blocks.
        layers: Layers with weights.
        trained: Numbers that the phase changes by gradients.
        total: All its numbers, statistics included.
        rates: Least and greatest peak learning rate, or None where nothing is trained.
    """

    first: str
    last: str
    layers: int
    trained: int
    total: int
    rates: tuple[float, float] | None

    @property
    def cells(self) -> tuple[str, ...]:
        """Its cells under COLUMNS."""
        name = self.first if self.first == self.last else f"{self.first}…{self.last}"
        rate = "frozen" if self.rates is None else rate_text(self.rates)
        return "", name, f"{self.layers}", f"{self.trained:,}", f"{self.total:,}", rate


def table(found: Sequence[Row]) -> Table:
    """The rows as the plan shows them."""
    return Table(COLUMNS, tuple(row.cells for row in found), kind=EXPERT)


def rate_text(rates: tuple[float, float]) -> str:
    """A learning rate, or a span of two."""
    low, high = (f"{rate:.2g}" for rate in rates)
    return low if low == high else f"{low}…{high}"


def rows(model: Any, rates: Mapping[str, float], peak: float) -> list[Row]:
    """Rows from the stem to the head, at most MOST_ROWS of them.

    Args:
        model: The student, marked by `trainable.apply`.
        rates: What that gave: multiplier of each trained variable by path.
        peak: Learning rate of multiplier 1 at its highest.
    """
    found: list[Row] = []
    for block in blocks(model):
        row = _row(block, rates, peak)
        if found and _alike(found[-1], row):
            row = _joined([found.pop(), row])
        found.append(row)
    if len(found) > MOST_ROWS:
        *body, head = found
        size = -(-len(body) // (MOST_ROWS - 1))
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        found = [*map(_joined, parts), head]
    return found


def _row(block: LayerGroup, rates: Mapping[str, float], peak: float) -> Row:
    own = [v for layer in block.layers for v in layer.variables]
    trained = [v for v in own if v.path in rates and v.trainable]
    spread = [peak * rates[v.path] for v in trained]
    span = (min(spread), max(spread)) if spread else None
    return Row(block.name, block.name, len(block.layers), count(trained), count(own), span)


def _alike(one: Row, other: Row) -> bool:
    whole = [row.trained == row.total for row in (one, other)]
    return one.rates == other.rates and (one.rates is None or whole[0] == whole[1])


def _joined(some: Sequence[Row]) -> Row:
    spans = [row.rates for row in some if row.rates is not None]
    return Row(
        some[0].first, some[-1].last, sum(row.layers for row in some),
        sum(row.trained for row in some), sum(row.total for row in some),
        (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None,
    )  # fmt: skip
