"""What the folder of a finished run holds, as a report takes it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.runs import checkpoint, predictions
from tlcli.runs.facts import Facts
from tlcli.runs.predictions import Predictions
from tlcli.system import opened
from tlcli.system.shown import fused

# Of the findings of an audit.
FINDING = ("id", "split", "class", "kind", "score", "suggestion", "detail")


@dataclass(frozen=True)
class RunValues:
    """A finished run, without its network and its pictures.

    Attributes:
        path: The run folder.
        config: Its configuration.
        facts: Its metadata.json.
        metrics: Its metrics.json, by split.
        curve: Rows of metrics.csv, numbers or None by column.
        predictions: Its predictions.npz, or None where it has none.
        teacher: Those of the run that taught it, or None.
    """

    path: Path
    config: Mapping[str, Any]
    facts: Facts
    metrics: Mapping[str, Mapping[str, float]]
    curve: Sequence[Mapping[str, float | None]]
    predictions: Predictions | None
    teacher: Predictions | None = None

    @property
    def split(self) -> str:
        """What is reported on: the test images, or else those of validation."""
        names = ("test", "validation")
        told = self.predictions
        there = [n for n in names if told is not None and (told.splits == n).any()]
        return (there or [n for n in names if n in self.metrics] or ["validation"])[0]


def read(path: Path) -> RunValues:
    """The values of a run folder.

    Raises:
        DataError: It is no finished run, or one of its files is damaged.
    """
    config, facts = checkpoint.read_facts(path)
    teacher = _folder_of_teacher(config)
    return RunValues(
        path, config, facts, checkpoint.read_metrics(path), _curve(path / "metrics.csv"),
        _predictions(path), None if teacher is None else _predictions(teacher),
    )  # fmt: skip


def _predictions(path: Path) -> Predictions | None:
    return predictions.read(path) if (path / predictions.FILE).is_file() else None


def _folder_of_teacher(config: Mapping[str, Any]) -> Path | None:
    teacher = config.get("teacher") or {}
    given = teacher.get("path")
    return Path(given) if teacher.get("name") == "run" and isinstance(given, str) else None


def _curve(path: Path) -> list[dict[str, float | None]]:
    """Rows of metrics.csv; none where a run was carried elsewhere without it."""
    if not path.is_file():
        return []
    text = opened.read_text(path, "csv")
    with opened.reading(path, "Restore or train again."):
        return [
            {str(key): float(value) if value else None for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]


def findings(path: Path) -> list[dict[str, str]]:
    """Rows of an audit's audit.csv.

    Raises:
        DataError: It is no such table.
    """
    text = opened.read_text(path, "csv")
    with opened.reading(path, "Give audit.csv of tl audit."):
        rows = csv.DictReader(io.StringIO(text, newline=""))
        if not {"id", "kind"} <= set(rows.fieldnames or ()):
            raise ValueError("it has no columns id and kind")
        return [{name: fused(row.get(name) or "") for name in FINDING} for row in rows]
