"""Runs two by two: is one really better, on the same images or over the same seeds?"""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.errors import ConfigError, DataError
from tlcli.evaluation import significance
from tlcli.evaluation.significance import Contrast
from tlcli.lazy import np
from tlcli.runs import checkpoint, predictions
from tlcli.runs.predictions import Predictions
from tlcli.system import opened
from tlcli.system.shown import shown

SPLITS = ("test", "validation")
# Of more, each is held against the best alone.
MOST_UNITS = 6


@dataclass(frozen=True)
class Unit:
    """A run, or runs of one configuration with several seeds.

    Attributes:
        name: Of the run, or of the first with how many there are.
        runs: Folders by seed.
    """

    name: str
    runs: dict[int, Path]


@dataclass(frozen=True)
class Pair:
    """Two units and what is known of their difference.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        split: Of the images.
        figure: Of metrics.json.
        by: "images" or "seeds".
        found: How they differ, first minus second; p is corrected for the number of pairs.
        verdict: Whether the first is "better" or "worse", or "cannot tell".
    """

    a: str
    b: str
    split: str
    figure: str
    by: str
    found: Contrast
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = self.found
        return {
            "a": self.a, "b": self.b, "figure": self.figure, "split": self.split,
            "difference": found.difference, "low": found.low, "high": found.high, "p": found.p,
            "verdict": self.verdict, "by": self.by, "count": found.count, "needed": found.needed,
        }  # fmt: skip

    @property
    def told(self) -> str:
        """The verdict in words; where none can be told, how many more images or seeds might."""
        more = self.found.needed if self.verdict == "cannot tell" else None
        return self.verdict + (f", about {more:,} more {self.by} would be needed" if more else "")

    @property
    def basis(self) -> str:
        """What the verdict rests on."""
        found = self.found
        text = f"{self.split} {self.figure.replace('_', ' ')} {found.difference:+.4f}"
        if found.low is not None and found.high is not None:
            text += f" ({found.low:+.4f} to {found.high:+.4f})"
        text += f" on {found.count:,} {self.by}"
        return text + ("" if found.p is None else f", p {found.p:.2g}")

    def line(self) -> str:
        """In words."""
        return f"{shown(self.a)} against {shown(self.b)}: {self.told} ({self.basis})\n"


def units_of(groups: Sequence[Sequence[Any]]) -> list[Unit]:
    """What is compared: each configuration, or each run where there is but one.

    Args:
        groups: Rows of `tl compare` that differ in their seed alone, together, in the order given.
    """
    groups = [[row for row in group if row.finished] for group in groups]
    groups = [group for group in groups if group]
    if len(groups) == 1:
        groups = [[row] for row in groups[0]]
    found = []
    for group in groups:
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        runs = {seed_of(Path(row.run)): Path(row.run) for row in group}
        found.append(Unit(f"{group[0].run}{more}", runs))
    return found


def seed_of(run: Path) -> int:
    """Seed of a run."""
    return int(checkpoint.read_config(run)["seed"])


def compared(units: Sequence[Unit], figure: str, unpaired: bool) -> tuple[list[Pair], list[str]]:
    """Every two units, and notes on those that cannot be compared.

    Args:
        units: The best first where there are many.
        figure: Of metrics.json.
        unpaired: Whether runs on different images are compared all the same.

    Raises:
        ConfigError: Two runs are measured on different images, and nobody said to go on.
    """
    few = len(units) <= MOST_UNITS
    chosen = list(itertools.combinations(units, 2) if few else
                  ((units[0], other) for other in units[1:]))  # fmt: skip
    pairs, notes = [], []
    for a, b in chosen:
        try:
            pairs.append(_pair(a, b, figure, unpaired))
        except DataError as error:
            notes.append(f"{shown(a.name)} against {shown(b.name)}: {error}\n")
    values = significance.holm([1.0 if p.found.p is None else p.found.p for p in pairs])
    corrected = []
    for pair, p in zip(pairs, values, strict=True):
        found = replace(pair.found, p=None if pair.found.p is None else p)
        told = significance.verdict(figure, found.difference, found.p)
        corrected.append(replace(pair, found=found, verdict=told))
    return corrected, notes


def _pair(a: Unit, b: Unit, figure: str, unpaired: bool) -> Pair:
    seeds = sorted(a.runs.keys() & b.runs.keys())
    if len(seeds) > 1:
        split, found = _over_seeds(a, b, seeds, figure)
        return Pair(a.name, b.name, split, figure, "seeds", found, "")
    chosen = seeds[0] if seeds else None
    first, second = (u.runs[chosen] if chosen is not None else next(iter(u.runs.values()))
                     for u in (a, b))  # fmt: skip
    split = _split(first, second, figure)
    found = _on_images(first, second, split, figure, unpaired)
    return Pair(a.name, b.name, split, figure, "images", found, "")


def _over_seeds(a: Unit, b: Unit, seeds: Sequence[int], figure: str) -> tuple[str, Contrast]:
    split = _split(a.runs[seeds[0]], b.runs[seeds[0]], figure)
    facts = [[checkpoint.facts_of(unit.runs[seed]) for seed in seeds] for unit in (a, b)]
    values: list[list[Any]] = [
        [one.metrics.get(split, {}).get(figure) for one in side] for side in facts
    ]
    if any(value is None for side in values for value in side):
        raise DataError(a.name, f"some seeds have no {split} {figure}", "Train them again.")
    return split, significance.over_seeds(values[0], values[1])


def _split(first: Path, second: Path, figure: str) -> str:
    """The split that both have a figure of: test, else validation."""
    metrics = [checkpoint.facts_of(run).metrics for run in (first, second)]
    for split in SPLITS:
        if all(figure in (one.get(split) or {}) for one in metrics):
            return split
    raise DataError(str(first), f"and {second} have no {figure} of one split", "Train them again.")


def _on_images(first: Path, second: Path, split: str, figure: str, unpaired: bool) -> Contrast:
    one, other = (predictions.read(run).of(split) for run in (first, second))
    sides = [_said(run, found, split) for run, found in ((first, one), (second, other))]
    if problem := different(first, one, second, other):
        if not unpaired:
            remedy = "Measure both on the same: tl eval data=PATH; or compare all the same: " \
                     "unpaired=true."  # fmt: skip
            raise ConfigError("runs", problem, remedy)
        left, right = ((z, p.labels, least) for (z, least), p in zip(sides, (one, other),
                                                                     strict=True))  # fmt: skip
        return significance.on_different_images(left, right, figure)
    order, places = np.argsort(one.ids), np.argsort(other.ids)
    classes = _places(one, other)
    logits = sides[0][0][order], sides[1][0][places][:, classes]
    least = sides[0][1], np.broadcast_to(sides[1][1], len(classes))[classes]
    return significance.on_images(*logits, one.labels[order], figure, least)


def _places(one: Predictions, other: Predictions) -> list[int]:
    """Where the classes of one stand among those of another that has the same."""
    known = {name: place for place, name in enumerate(other.class_names.tolist())}
    return [known[name] for name in one.class_names.tolist()]


def _said(run: Path, found: Predictions, split: str) -> tuple[Any, Any]:
    """Logits and thresholds as the figures of the split are made with."""
    if split == "validation":
        return found.logits, 0.5
    if found.multi_label:
        return found.logits, found.thresholds
    return checkpoint.facts_of(run).scaling(found.logits), 0.5


def different(first: Path, one: Predictions, second: Path, other: Predictions) -> str | None:
    """Why two runs are not measured on the same images with the same labels, or None."""
    names = f"{first} and {second}"
    if {*one.class_names} != {*other.class_names} or one.multi_label != other.multi_label:
        return f"{names} have different classes"
    places, order = np.argsort(one.ids), np.argsort(other.ids)
    if not np.array_equal(one.ids[places], other.ids[order]):
        return f"{names} are measured on different images"
    classes = _places(one, other)
    if one.multi_label:
        alike = np.array_equal(one.labels[places], other.labels[order][:, classes])
    else:
        alike = np.array_equal(one.class_names[one.labels[places]],
                               other.class_names[other.labels[order]])  # fmt: skip
    if not alike:
        return f"{names} have different labels"
    return None if _same_contents(first, second, one.ids) else \
        f"{names} have different pictures of the same names"  # fmt: skip


def _same_contents(first: Path, second: Path, ids: Any) -> bool:
    """Whether pictures are the same as far as split.csv tells."""
    facts = [checkpoint.facts_of(run).data_fingerprint for run in (first, second)]
    if facts[0] == facts[1]:
        return True
    one, other = contents(first), contents(second)
    known = [name for name in map(str, ids) if name in one and name in other]
    return all(one[name] == other[name] for name in known)


def contents(run: Path) -> dict[str, str]:
    """Hash of each picture by its id, as far as split.csv of a run tells."""
    path = run / "split.csv"
    if not path.is_file():
        return {}
    text = opened.read_text(path, "csv")
    with opened.reading(path):
        return {row["id"]: row["content"] for row in csv.DictReader(io.StringIO(text))
                if row.get("content")}  # fmt: skip
