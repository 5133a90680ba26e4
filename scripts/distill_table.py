"""Print test accuracy of teachers, controls and distilled students over seeds.

Use: python scripts/distill_table.py FOLDER
"""

import json
import math
import statistics
import sys
from pathlib import Path


def accuracy(run: Path) -> float:
    """Test accuracy of a finished run."""
    return float(json.loads((run / "metrics.json").read_text())["test"]["accuracy"])


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean, and its standard error from the sample deviation."""
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def table(folder: Path) -> list[str]:
    """One line a model, and the paired difference of distilled students and controls."""
    students = sorted(folder.glob("student-*"))
    if len(students) < 2:
        raise SystemExit(f"{folder} has fewer than two student runs.")
    seeds = [path.name.removeprefix("student-") for path in students]
    found = {
        "teacher": [accuracy(folder / f"teacher-{seed}") for seed in seeds],
        "control": [accuracy(path / "control") for path in students],
        "distilled": [accuracy(path) for path in students],
    }
    pairs = zip(found["distilled"], found["control"], strict=True)
    found["distilled - control"] = [ours - theirs for ours, theirs in pairs]
    lines = [f"{'test accuracy':<20} {'mean':>8} {'± s.e.':>8}  seeds {', '.join(seeds)}"]
    for name, values in found.items():
        mean, error = mean_and_error(values)
        shown = "  ".join(f"{value:+.4f}" if "-" in name else f"{value:.4f}" for value in values)
        lines.append(f"{name:<20} {mean:8.4f} {error:8.4f}  {shown}")
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print("\n".join(table(Path(sys.argv[1]))))
