"""Curves and diagrams as SVG, in the colours of the page that they stand in.

What is drawn in the marks below follows the page: light, dark and print.
"""

import io
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Colours that stand for the page's own.
INK, FIRST, SECOND, FAINT = "#010203", "#010204", "#010205", "#010206"
PAGES = {INK: "currentColor", FIRST: "var(--first)", SECOND: "var(--second)",
         FAINT: "var(--faint)"}  # fmt: skip
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "tl", "text.parse_math": False, "font.size": 9,
    "text.color": INK, "axes.edgecolor": FAINT, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "grid.color": FAINT, "grid.linewidth": 0.5, "axes.grid": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
    "figure.facecolor": "none", "legend.frameon": False, "legend.fontsize": 8,
}  # fmt: skip
Rows = Sequence[Mapping[str, float | None]]


def curves(rows: Rows) -> str:
    """Loss, accuracy and learning rate over all epochs, phases told apart."""
    several = any(row.get("validation_mean_average_precision") is not None for row in rows)
    figure = "mean_average_precision" if several else "accuracy"
    panels = (
        ("loss", (("training", "loss", FIRST), ("validation", "validation_loss", SECOND))),
        (figure.replace("_", " "), (("training", f"train_{figure}", FIRST),
                                    ("validation", f"validation_{figure}", SECOND))),
        ("learning rate", (("learning rate", "learning_rate", FIRST),)),
    )  # fmt: skip
    with _Figure(9.0, 2.6, len(panels)) as found:
        for axis, (title, lines) in zip(found.axes, panels, strict=True):
            _lines(axis, rows, lines)
            for place in _phases(rows):
                axis.axvline(place, color=FAINT, linestyle=":")
            axis.set(title=title, xlabel="epoch", xlim=(0.5, len(rows) + 0.5))
            axis.xaxis.get_major_locator().set_params(integer=True)
            if len(lines) > 1:
                axis.legend()
    return found.text


def _lines(axis: Any, rows: Rows, lines: Sequence[tuple[str, str, str]]) -> None:
    """Draw columns that have any number: label, column and colour of each."""
    marker, position = "." if len(rows) < 40 else "", np.arange(1, len(rows) + 1)
    for label, column, colour in lines:
        style = "-" if colour == FIRST else "--"
        axis.plot(position, _values(rows, column), style, color=colour, label=label, marker=marker)


def _values(rows: Rows, column: str) -> Any:
    """A column, nan where it is empty."""
    return np.array([np.nan if row.get(column) is None else row[column] for row in rows], float)


def _phases(rows: Rows) -> list[float]:
    """Where one phase ends and the next begins."""
    phases = [row.get("phase") for row in rows]
    return [i + 0.5 for i in range(1, len(phases)) if phases[i] != phases[i - 1]]


def reliability(before: Any, after: Any) -> str:
    """Share of right answers over confidence, before and after calibration.

    Args:
        before: Mean confidence, share and images of each bin, (bins, 3).
        after: The same, calibrated.
    """
    with _Figure(3.6, 3.2) as found:
        axis = found.axes[0]
        axis.plot([0, 1], [0, 1], color=FAINT, linestyle=":")
        axis.plot(before[:, 0], before[:, 1], "--", marker="o", color=SECOND, label="before")
        axis.plot(after[:, 0], after[:, 1], "-", marker="s", color=FIRST, label="calibrated")
        axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        axis.legend(loc="upper left")
    return found.text


def coverage(points: Any) -> str:
    """Accuracy of what is answered over the share that is answered."""
    with _Figure(3.6, 3.2) as found:
        axis = found.axes[0]
        axis.plot(points[:, 0], points[:, 1], "-", color=FIRST)
        axis.set(xlabel="share that is answered", ylabel="accuracy of the answers", xlim=(0, 1))
    return found.text


def compared(curves_of: Mapping[str, Rows], column: str) -> str:
    """One validation figure of several runs over their epochs."""
    with _Figure(7.0, 3.2) as found:
        for number, (name, rows) in enumerate(curves_of.items()):
            values = _values(rows, column)
            colour = (FIRST, SECOND)[number % 2]
            style = ("-", "--", "-.", ":")[number // 2 % 4]
            found.axes[0].plot(range(1, len(values) + 1), values, style, color=colour, label=name)
        found.axes[0].set(xlabel="epoch", ylabel=column.replace("_", " "))
        found.axes[0].xaxis.get_major_locator().set_params(integer=True)
        if len(curves_of) <= 8:
            found.axes[0].legend()
    return found.text


class _Figure:
    """Axes side by side; `text` is what was drawn on them, as SVG for a page.

    Attributes:
        axes: From left to right.
        text: Known at the end of the block.
    """

    def __init__(self, width: float, height: float, count: int = 1) -> None:
        self.size, self.count, self.text = (width, height), count, ""
        self.axes: list[Any] = []

    def __enter__(self) -> "_Figure":
        # Here and not above: half a second that only who draws waits for.
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        self.context: Any = rc_context(STYLE)
        self.context.__enter__()
        self.figure = Figure(figsize=self.size, layout="constrained")
        self.axes = list(self.figure.subplots(1, self.count, squeeze=False)[0])
        return self

    def __exit__(self, *problem: Any) -> None:
        out = io.StringIO()
        try:
            if problem[0] is None:
                nothing = dict.fromkeys(("Date", "Creator"))
                self.figure.savefig(out, format="svg", metadata=nothing)
        finally:
            self.context.__exit__(*problem)
        self.text = _inline(out.getvalue())


def _inline(text: str) -> str:
    """An SVG file as an element of a page, without names that another could have too."""
    found = text[text.find("<svg") :]
    found = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", found, flags=re.DOTALL)
    found = re.sub(r' id="[a-zA-Z]+_\d+"', "", found)
    found = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', found)
    for mark, colour in PAGES.items():
        found = found.replace(mark, colour)
    return re.sub(r"\n\s*", "\n", found)
