"""metrics.csv: a row an epoch."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("phase", "epoch", "step", "loss", "train_accuracy", "learning_rate")


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows so far as CSV, a column for each validation figure that any of them has."""
    text = io.StringIO()
    names = sorted({name for row in rows for name in row["validation"]})
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"validation_{name}" for name in names), "best"])
    for row in rows:
        figures = [row["validation"].get(name, "") for name in names]
        writer.writerow([*(row[column] for column in COLUMNS), *figures, int(row["best"])])
    return text.getvalue()
