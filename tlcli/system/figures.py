"""Figures in words and in rows of blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

from tlcli.lazy import np
from tlcli.system.shown import shown as harmless

SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], most: int = 40) -> str:
    """Numbers as a row of blocks, the least the lowest; of too many, evenly chosen ones."""
    if len(values) > most:
        values = [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low
    return "".join(SPARKS[round((v - low) / span * 7) if span > 0 else 0] for v in values)


def bars(heights: Sequence[float], rows: int) -> list[str]:
    """Numbers from 0 to 1 as columns of blocks, the top row first."""
    blocks = f" {SPARKS}"
    levels = [1 + round(h * (8 * rows - 1)) for h in heights]
    return [
        "".join(blocks[max(0, min(8, level - 8 * row))] for level in levels)
        for row in reversed(range(rows))
    ]


NAMES = {
    "accuracy": "top-1", "top5_accuracy": "top-5", "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy", "mean_average_precision": "mAP", "ece": "ECE",
    "loss": "loss", "coverage": "coverage", "set_size": "set size",
}  # fmt: skip


def figures_line(figures: Mapping[str, float], classes: int) -> str:
    """Metrics in one line; top-5 only of more than five classes."""
    shown = {k for k in figures if k != "top5_accuracy" or classes > 5}
    return "  ".join(f"{NAMES[k]} {figures[k]:.4f}" for k in NAMES if k in shown)


def intervals_line(figures: Mapping[str, float], classes: int) -> str:
    """The intervals of metrics in one line, as far as they have one."""
    shown = {k for k in NAMES if f"{k}_low" in figures and (k != "top5_accuracy" or classes > 5)}
    return "  ".join(
        f"{NAMES[k]} {figures[f'{k}_low']:.4f} to {figures[f'{k}_high']:.4f}"
        for k in NAMES if k in shown
    )  # fmt: skip


def worst_classes(per_class: Any, names: Sequence[str], count: int = 3) -> str:
    """The classes with the lowest figure."""
    order = [int(i) for i in np.argsort(np.nan_to_num(per_class, nan=2.0), kind="stable")]
    order = [i for i in order if np.isfinite(per_class[i])]
    return ", ".join(f"{harmless(names[i])} {per_class[i]:.2f}" for i in order[:count])
