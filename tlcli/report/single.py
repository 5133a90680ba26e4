"""The report of one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from tlcli.report import measures, plots, tables
from tlcli.report.galleries import galleries
from tlcli.report.page import drawn, filled
from tlcli.report.pictures import Source, matrix
from tlcli.report.values import RunValues
from tlcli.runs.predictions import Predictions
from tlcli.system.shown import shown

# Classes of which the whole matrix is shown as a table.
MOST_TABLE = 30
EMPTY: dict[str, Any] = {
    "pairs": [], "square": None, "matrix": None, "together": [], "classes": [],
    "class_note": "", "class_columns": [], "diagrams": [], "calibration": "", "galleries": [],
    "galleries_note": "", "heated": False, "curves": "", "curves_note": "",
}  # fmt: skip


def page(
    run: RunValues, source: Source | None, thumbnails: int, findings: Sequence[Mapping[str, str]],
    why: str = "",
) -> str:  # fmt: skip
    """The page of a run.

    Args:
        run: Its values.
        source: Its pictures; None where they are gone.
        thumbnails: Pictures of each gallery.
        findings: Of an audit of its data.
        why: Why there are no pictures, a sentence.
    """
    values: dict[str, Any] = {
        **EMPTY, "title": f"Report of {shown(run.path)}", "split": run.split,
        "figures": tables.figures(run), "figures_note": _figures_note(run),
        "subject": tables.subject(run), "changed": tables.changed(run),
        "command": tables.repeated(run), "facts": tables.facts_of(run),
        "teacher": tables.beside_teacher(run), "findings": tables.audit_rows(findings),
    }  # fmt: skip
    if run.curve:
        note = "An epoch each; dotted lines part phases." if len(run.curve) > 1 else "One epoch."
        values |= {"curves": drawn(plots.curves(run.curve)), "curves_note": note}
    if run.predictions is None:
        values["galleries_note"] = "The run has no predictions.npz, so nothing is told of images."
    else:
        told = run.predictions.of(run.split)
        guesses = measures.guesses_of(told)
        values |= _of_classes(run, told, guesses)
        values |= _calibration(run, told, guesses)
        values |= _pictures(run, told, guesses, source, thumbnails)
    values["galleries_note"] = values["galleries_note"] or why
    values["sections"] = [(key, name) for key, name, there in _sections(values) if there]
    return filled("report.html", values)


def _sections(values: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    confusion = values["pairs"] or values["square"] or values["matrix"]
    return [
        ("figures", "Figures", True), ("training", "What was trained", True),
        ("curves", "Curves", values["curves"]), ("confusion", "Confusion", confusion),
        ("together", "Errors", values["together"]), ("classes", "Classes", values["classes"]),
        ("calibration", "Calibration", values["diagrams"]),
        ("teacher", "Teacher", values["teacher"]),
        ("pictures", "Pictures", values["galleries"] or values["galleries_note"]),
        ("audit", "Audit", values["findings"]),
    ]  # fmt: skip


def _figures_note(run: RunValues) -> str:
    parts = ["Ranges are intervals of 95 %."]
    if "test" not in run.metrics:
        parts.append("There is no test split: figures of validation chose the weights and are "
                     "too good.")  # fmt: skip
    return " ".join(parts)


def _of_classes(run: RunValues, told: Predictions, guesses: Any) -> dict[str, Any]:
    """Table of classes, and what is taken for what."""
    names, classes = run.facts.class_names, len(run.facts.class_names)
    found = measures.counts(told.labels, guesses, classes)
    values: dict[str, Any] = {
        "classes": tables.class_rows(run, found),
        "class_columns": tables.class_columns(run),
        "class_note": tables.class_note(classes),
    }
    if told.multi_label:
        titles = ("Wrongly given beside", "Missed beside")
        parts = measures.together(told.labels, guesses, tables.MOST_PAIRS)
        values["together"] = [
            (title, [(shown(names[a]), shown(names[b]), n) for a, b, n in part])
            for title, part in zip(titles, parts, strict=True) if part
        ]  # fmt: skip
        return values
    pairs = measures.confused(told.labels, guesses, classes, tables.MOST_PAIRS)
    values["pairs"] = tables.pair_rows(run, pairs, found.real)
    if classes <= MOST_TABLE:
        square = measures.square(told.labels, guesses, classes)
        values["square"] = tables.square_of(names, square)
    elif classes <= measures.MOST_SQUARE:
        values["matrix"] = _clustered(names, measures.square(told.labels, guesses, classes))
    return values


def _clustered(names: Sequence[str], square: Any) -> dict[str, Any]:
    """The matrix as a picture, confused classes side by side."""
    order = measures.clustered(square)
    share = square[order][:, order] / square.sum(1)[order].clip(1)[:, None]
    told = ", ".join(shown(names[i], 40) for i in order[:200])
    more = f" and {len(order) - 200:,} more" if len(order) > 200 else ""
    return {"image": matrix(share), "count": len(order), "order": told + more}


def _calibration(run: RunValues, told: Predictions, guesses: Any) -> dict[str, Any]:
    """Reliability before and after, and accuracy over coverage."""
    facts = run.facts
    if told.multi_label:
        shares = told.probabilities.astype(float)
        right = told.labels > 0
        points = measures.reliability(shares, right)
        text = "Every class is a decision of its own; thresholds are in the table of classes."
        svg = plots.reliability(points, points)
        return {"diagrams": [(drawn(svg), "Share that has the class over its probability.")],
                "calibration": text}  # fmt: skip
    before, after = measures.confidences(told)
    right = guesses == told.labels
    diagrams = (
        (plots.reliability(*(measures.reliability(one, right) for one in (before, after))),
         f"{run.split.capitalize()} images in bins of confidence; on the line is calibrated."),
        (plots.coverage(measures.coverage(after, right)),
         "Accuracy where only the surest part is answered (abstain_below=)."),
    )  # fmt: skip
    text = "No temperature was fitted." if facts.temperature is None else (
        f"Temperature {facts.temperature:.3f}, fitted on validation.")  # fmt: skip
    if facts.vector_scale is not None:
        text = "A factor and a summand of each class's logit, fitted on validation."
    return {"diagrams": [(drawn(svg), words) for svg, words in diagrams], "calibration": text}


def _pictures(
    run: RunValues, told: Predictions, guesses: Any, source: Source | None, most: int
) -> dict[str, Any]:
    """Galleries with the pictures, or with their names alone where those are gone."""
    found = galleries(told, guesses, most)
    asked = [(row, label) for one in found for row, label in zip(one.rows, one.asked, strict=True)]
    shown_ones: list[Any] = [None] * len(asked)
    if source is not None:
        ids = [str(told.ids[row]) for row, _ in asked]
        shown_ones = list(source.shown(ids, [label for _, label in asked]))
    pictures = iter(shown_ones)
    cards = [
        {"title": one.title, "why": one.why, "cards": [
            _card(run, told, guesses, row, label, next(pictures)) for row, label in
            zip(one.rows, one.asked, strict=True)]}
        for one in found
    ]  # fmt: skip
    heated = any(one is not None and one.heated for one in shown_ones)
    return {"galleries": cards, "heated": heated}


def _card(
    run: RunValues, told: Predictions, guesses: Any, row: int, asked: int, picture: Any
) -> dict[str, Any]:  # fmt: skip
    """What is shown of a picture."""
    names = run.facts.class_names
    if told.multi_label:
        label, answer = (_several(names, one[row]) for one in (told.labels > 0, guesses))
        share = float(told.probabilities[row, asked])
    else:
        label, answer = shown(names[told.labels[row]], 60), shown(names[guesses[row]], 60)
        share = float(told.probabilities[row, guesses[row]])
    return {
        "id": shown(told.ids[row], 80), "label": label, "answer": answer,
        "right": label == answer, "probability": f"{share:.2f}", "asked": shown(names[asked], 60),
        "plain": None if picture is None else drawn(picture.plain),
        "heated": None if picture is None or picture.heated is None else drawn(picture.heated),
    }  # fmt: skip


def _several(names: Sequence[str], chosen: Any) -> str:
    found = [shown(name, 40) for name, there in zip(names, chosen, strict=True) if there]
    return ", ".join(found) or "nothing"
