"""The result in words."""

from pathlib import Path

from tlcli.distill import likeness
from tlcli.distill.fidelity import fidelity_line
from tlcli.runs import best_of
from tlcli.system import console
from tlcli.training.result import Result


def closing_lines(result: Result, classes: tuple[str, ...], run_dir: Path) -> list[str]:
    """Figures, weak classes, the run folder and what to type next."""
    found, metadata = result.figures, result.metadata
    lines = []
    if "test" in found:
        lines.append(f"test       {console.figures_line(found['test'], len(classes))}")
        worst = console.worst_classes(result.test.per_class(), classes)
        lines.append(f"worst      {worst}")
    elif "validation" in found:
        lines.append(f"validation {console.figures_line(found['validation'], len(classes))}")
    if metadata["peers"]:
        told = {k: v for k, v in metadata["peers"].items() if k not in ("figure", "shipped")}
        lines.append("peers      " + best_of.told(
            metadata["peers"]["figure"].removeprefix("validation "), told,
            metadata["peers"]["shipped"]))  # fmt: skip
    if "temperature" in metadata:
        lines.append(
            f"calibrated temperature {metadata['temperature']:.3f}: validation ECE "
            f"{metadata['validation_ece_before']:.4f} -> {metadata['validation_ece_after']:.4f}"
        )
    if metadata["fidelity"]:
        lines.append(fidelity_line(metadata["fidelity"]))
        lines += likeness.lines(metadata["fidelity"])
    given = quoted(str(run_dir))
    lines += [
        f"run        {run_dir}",
        f"next       tl eval checkpoint={given}",
        f"           tl predict photo.jpg checkpoint={given}",
    ]
    return lines


def quoted(text: str) -> str:
    """A word as a shell takes it."""
    import shlex

    return shlex.quote(text)
