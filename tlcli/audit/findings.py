"""What an audit finds, as rows of audit.csv."""

import io
from collections.abc import Iterator, Sequence
from csv import writer
from dataclasses import dataclass

from tlcli.audit import leaks as leaking
from tlcli.audit.copies import Copies, believed, partners
from tlcli.audit.cues import Cue
from tlcli.audit.label_errors import LabelErrors
from tlcli.audit.leaks import Leak
from tlcli.audit.odd import EXCLUDE, LOOK, Odd
from tlcli.contracts.data import SPLIT_NAMES, Manifest
from tlcli.runs.folder import class_texts
from tlcli.system.shown import defused, shown

KINDS = (
    "label_error", "conflicting_label", "exact_duplicate", "near_duplicate", "leak",
    "spurious_cue", "odd_picture", "outlier",
)  # fmt: skip
COLUMNS = ("id", "split", "class", "kind", "score", "suggestion", "detail")
SCORES = ("id", "class", "suggestion", "label_error")


@dataclass(frozen=True)
class Finding:
    """One row.

    Attributes:
        row: Of the picture; -1 of what is found of a class as a whole.
        label: Class in words.
        kind: One of KINDS.
        score: 0 to 1, higher is more suspicious.
        suggestion: A class for a label; else exclude, keep or look.
        detail: Half a sentence.
    """

    row: int
    label: str
    kind: str
    score: float
    suggestion: str
    detail: str


@dataclass(frozen=True, eq=False)
class Seen:
    """What the leaves found.

    Attributes:
        errors: Of labels, or None where labels are not judged.
        copies: Copies.
        odd: Odd pictures.
        outliers: Pictures far from all others.
        cues: What tells classes beside the picture.
        leaks: Ways of grouping by which splits share groups.
    """

    errors: LabelErrors | None
    copies: Copies
    odd: Sequence[Odd]
    outliers: Sequence[Odd]
    cues: Sequence[Cue]
    leaks: Sequence[Leak]


def findings(manifest: Manifest, seen: Seen) -> list[Finding]:
    """All findings, by kind, the most suspicious first; copies side by side."""
    texts = list(class_texts(manifest))
    found = [
        *_labels(manifest, seen, texts), *_conflicts(manifest, seen, texts),
        *_exact(manifest, seen.copies, texts), *_near(manifest, seen.copies, texts),
        *_leaks(seen.leaks, texts), *_cues(manifest, seen.cues),
    ]  # fmt: skip
    for kind, some in (("odd_picture", seen.odd), ("outlier", seen.outliers)):
        found += [Finding(one.row, texts[one.row], kind, one.score, one.suggestion, one.detail)
                  for one in some]  # fmt: skip
    return found


def _labels(manifest: Manifest, seen: Seen, texts: Sequence[str]) -> Iterator[Finding]:
    errors = seen.errors
    if errors is None:
        return
    # Of a picture that shows nothing no class is right.
    empty = {one.row for one in seen.odd if one.suggestion == EXCLUDE}
    rows = {*errors.found.nonzero()[0].tolist()} - empty
    for row in sorted(rows, key=lambda row: (-errors.scores[row], row)):
        guess = int(errors.guesses[row])
        share = float(errors.shares([row])[0, guess])
        detail = f"probability {share:.2f} for it, {1 - errors.scores[row]:.3f} for the label"
        yield Finding(row, texts[row], "label_error", float(errors.scores[row]),
                      manifest.class_names[guess], detail)  # fmt: skip


def _conflicts(manifest: Manifest, seen: Seen, texts: Sequence[str]) -> Iterator[Finding]:
    numbers = {name: number for number, name in enumerate(manifest.class_names)}
    told: set[int] = set()
    exact = len(seen.copies.exact)
    for number, every in enumerate(seen.copies.together()):
        rows = [row for row in every if texts[row]]
        labels = [texts[row] for row in rows]
        if len(set(labels)) < 2:
            continue
        shares = {}
        if seen.errors is not None:
            means = seen.errors.shares(rows).mean(0)
            shares = {label: float(means[numbers[label]]) for label in labels}
        best = believed(labels, shares)
        names = ", ".join(sorted({shown(label, 60) for label in labels}))
        for row in sorted({*rows} - told):
            other = next(one for one in rows if texts[one] != texts[row])
            detail = f"labels {names}; also {_place(manifest, other)}"
            score = 1.0 if number < exact else 0.9
            yield Finding(row, texts[row], "conflicting_label", score, best, detail)
        told |= {*rows}


def _exact(manifest: Manifest, copies: Copies, texts: Sequence[str]) -> Iterator[Finding]:
    for rows in copies.exact:
        for row in rows:
            other = next(one for one in rows if one != row)
            detail = f"same content as {_place(manifest, other)}"
            yield Finding(row, texts[row], "exact_duplicate", 1.0, copies.suggestion(row), detail)


def _near(manifest: Manifest, copies: Copies, texts: Sequence[str]) -> Iterator[Finding]:
    for row, other, likeness, lies in partners(copies.near):
        how = f", {lies}" if lies else ""
        detail = f"copy of {_place(manifest, other)}{how}"
        yield Finding(row, texts[row], "near_duplicate", min(1.0, likeness),
                      copies.suggestion(row), detail)  # fmt: skip


def _leaks(leaks: Sequence[Leak], texts: Sequence[str]) -> Iterator[Finding]:
    for leak in leaks:
        for row in leak.rows.tolist():
            yield Finding(row, texts[row], "leak", leak.closer, LOOK, leaking.told(leak, row))


def _cues(manifest: Manifest, cues: Sequence[Cue]) -> Iterator[Finding]:
    for cue in cues:
        name = manifest.class_names[cue.label]
        detail = f"{cue.name} alone tells the class (AUC {cue.score:.2f}); {shown(cue.values)}"
        yield Finding(-1, name, "spurious_cue", max(cue.score, cue.part), LOOK, detail)


def _place(manifest: Manifest, row: int) -> str:
    return f"{shown(manifest.ids[row], 120)} ({split_of(manifest, row)})"


def split_of(manifest: Manifest, row: int) -> str:
    """Name of a picture's split, empty for none."""
    number = int(manifest.splits[row]) if row >= 0 else -1
    return SPLIT_NAMES[number] if 0 <= number < len(SPLIT_NAMES) else ""


def as_csv(manifest: Manifest, found: Sequence[Finding]) -> str:
    """The findings as audit.csv has them; `fused` gives a text back."""
    text = io.StringIO()
    rows = writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in found:
        name = str(manifest.ids[one.row]) if one.row >= 0 else ""
        texts = (name, split_of(manifest, one.row), one.label, one.kind)
        rows.writerow([*map(defused, texts), f"{one.score:.6g}", defused(one.suggestion),
                       defused(one.detail)])  # fmt: skip
    return text.getvalue()


def scores_csv(manifest: Manifest, errors: LabelErrors | None) -> str:
    """Every picture, as scores.csv has it."""
    text = io.StringIO()
    rows = writer(text, lineterminator="\n")
    rows.writerow(SCORES)
    for row, (name, label) in enumerate(zip(manifest.ids, class_texts(manifest), strict=True)):
        guess = "" if errors is None else manifest.class_names[int(errors.guesses[row])]
        score = 0.0 if errors is None else float(errors.scores[row])
        rows.writerow([defused(str(name)), defused(label), defused(guess), f"{score:.6g}"])
    return text.getvalue()
