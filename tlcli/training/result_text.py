"""The result in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.distill import likeness
from tlcli.distill.fidelity import fidelity_line
from tlcli.evaluation import conformal
from tlcli.evaluation.calibration import BOUNDS, at_bound
from tlcli.evaluation.conformal import Sets
from tlcli.runs import best_of
from tlcli.system.figures import figures_line, worst_classes
from tlcli.system.notes import WORST, Note, Said, of_line
from tlcli.training.result import Result


def closing_notes(result: Result, classes: tuple[str, ...], run_dir: Path) -> list[Said]:
    """Figures, weak classes, the run folder and what to type next."""
    found, metadata = result.figures, result.metadata
    notes: list[Said] = []
    if "test" in found:
        notes.append(Note("test", figures_line(found["test"], len(classes))))
        worst = worst_classes(result.test.per_class(), classes)
        notes.append(Note("worst", worst, WORST))
    elif "validation" in found:
        notes.append(Note("validation", figures_line(found["validation"], len(classes))))
    if metadata["peers"]:
        each = {k: v for k, v in metadata["peers"].items() if k not in ("figure", "shipped")}
        figure = metadata["peers"]["figure"].removeprefix("validation ")
        notes.append(Note("peers", best_of.told(figure, each, metadata["peers"]["shipped"])))
    if "validation_ece_after" in metadata:
        notes.append(Note("calibrated", calibrated(metadata)))
    if "conformal" in metadata:
        notes.append(Note("sets", conformal.told(Sets.of(metadata["conformal"]))))
    if metadata["fidelity"]:
        lines = [fidelity_line(metadata["fidelity"]), *likeness.lines(metadata["fidelity"])]
        notes += map(of_line, lines)
    given = quoted(str(run_dir))
    return [
        *notes,
        Note("run", f"{run_dir}"),
        Note("next", f"tl eval checkpoint={given}"),
        Note("", f"tl predict photo.jpg checkpoint={given}"),
    ]


def calibrated(metadata: Mapping[str, Any]) -> str:
    """What was fitted on validation, and what it does to the calibration error."""
    temperature = metadata.get("temperature")
    how = "a factor and a summand a class" if temperature is None else \
        f"temperature {temperature:.3f}"  # fmt: skip
    before, after = (metadata[f"validation_ece_{name}"] for name in ("before", "after"))
    told = f"{how}: validation ECE {before:.4f} -> {after:.4f}"
    if temperature is not None and at_bound(temperature):
        least, most = BOUNDS
        told += f"; it is kept within {least:g} to {most:g}, and a better one lies beyond"
    return told


def quoted(text: str) -> str:
    """A word as a shell takes it."""
    import shlex

    return shlex.quote(text)
