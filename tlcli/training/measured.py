"""A network's figures, and what metadata.json says of it."""

import functools
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TEST, VALIDATION, Manifest
from tlcli.data.views import Views
from tlcli.distill.pieces import Pieces
from tlcli.evaluation import conformal, strangers
from tlcli.evaluation.answered import Answered, kept_places
from tlcli.evaluation.calibration import can_calibrate, chosen, fit_thresholds
from tlcli.evaluation.classifier import answers, looker
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.metrics import Scores, probabilities, softmax
from tlcli.evaluation.scaling import Scaling
from tlcli.evaluation.strangers import Strangers
from tlcli.models.graph.cost import parameters
from tlcli.runs import predictions
from tlcli.runs.predictions import Predictions
from tlcli.system import console

# Numbers that a temperature is fitted to, which looks at them 200 times: 25,000 images of 1,000
# classes, 335 of 100,000.
MOST_FITTED = 1 << 25


@dataclass(frozen=True)
class Measured:
    """A network's figures and what calibrates it.

    Attributes:
        figures: By split, as in metrics.json.
        facts: What was fitted on validation, for metadata.json.
        test: Scores on the test images, or None.
        rows: Test images whose logits are kept, or else those of validation; None without either.
        logits: On these.
        predictions: Of validation and test images, as many as their logits are kept of.
        known: What tells strangers, or None.
    """

    figures: dict[str, Any]
    facts: dict[str, Any]
    test: Any
    rows: Any
    logits: Any
    predictions: Predictions
    known: Strangers | None


def measured(pieces: Pieces, model: Any) -> Measured:
    """Figures of a model on validation and test, and what calibrates it."""
    manifest, views = pieces.manifest, pieces.plain_views
    validation, test = (manifest.labelled(split) for split in (VALIDATION, TEST))
    figures: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    every: list[Answered] = []
    scores = known = None
    look = looker(model)
    if len(validation):
        kept = strangers.chosen(manifest.labels[validation])
        every.append(Answered(manifest, validation))
        signs = looked(every[0], look, views, kept)
        figures["validation"] = every[0].figures()
        facts = fitted(pieces, every[0].logits, manifest.labels[every[0].kept_rows])
        known = known_by(pieces, *signs)
    if len(test):
        sets = Sets.of(facts["conformal"]) if "conformal" in facts else None
        least = facts.get("thresholds", 0.5)
        every.append(Answered(manifest, test, Scaling.of(facts), least, sets))
        strange = watched(every[-1], look, known, views)
        scores, figures["test"] = every[-1].scores, every[-1].figures()
        if known is not None:
            figures["test"]["stranger_share"] = float(known.are(strange).mean())
    last = every[-1] if every else None
    return Measured(
        figures, facts, scores, None if last is None else last.kept_rows,
        None if last is None else last.logits, predicted_rows(manifest, every, facts), known,
    )  # fmt: skip


def fitted(pieces: Pieces, logits: Any, labels: Any) -> dict[str, Any]:
    """What is fitted on validation, for metadata.json."""
    manifest, settings = pieces.manifest, pieces.job.settings
    facts: dict[str, Any] = {}
    if settings.calibrate and can_calibrate(manifest, len(labels)):
        with console.Stage("calibrating"):
            facts = calibration(logits, labels, manifest.multi_label)
    if settings.conformal is not None:
        shares = softmax(Scaling.of(facts)(logits))
        facts["conformal"] = conformal.fitted(shares, labels, settings.conformal).as_json()
    return facts


def known_by(pieces: Pieces, logits: Any, embeddings: Any) -> Strangers | None:
    """What tells strangers, from validation images, where that is asked for and they are enough."""
    inside, several = pieces.job.settings.strangers, pieces.manifest.multi_label
    return None if inside is None else strangers.fitted(logits, embeddings, inside, several)


def looked(found: Answered, look: Any, views: Views, kept: Any) -> tuple[Any, Any]:
    """Count what is said of all rows; gives logits and embeddings of those places that are kept."""
    wanted, start = np.zeros(len(found.rows), bool), 0
    wanted[kept] = True
    signs: list[tuple[Any, Any]] = []
    for said, embedding in answers(look, views, found.rows):
        found.add(said)
        chosen = wanted[start : start + len(said)]
        signs.append((said[chosen], embedding[chosen]))
        start += len(said)
    logits, embeddings = map(np.concatenate, zip(*signs, strict=True))
    return logits, embeddings


def watched(found: Answered, look: Any, known: Strangers | None, views: Views) -> Any:
    """Count what is said of all rows; gives how strange each is, 0 where nothing tells that."""
    strange = []
    for said, embedding in answers(look, views, found.rows):
        found.add(said)
        strange.append(known.scores(said, embedding) if known is not None else np.zeros(len(said)))
    return np.concatenate(strange)


def predicted_rows(
    manifest: Manifest, every: Sequence[Answered], facts: Mapping[str, Any]
) -> Predictions:
    """What the network says of labelled rows, calibrated by what was fitted on validation."""
    none = np.empty((0, len(manifest.class_names)), np.float32)
    logits = np.concatenate([none, *(one.logits for one in every)])
    rows = np.concatenate([np.zeros(0, np.int64), *(one.kept_rows for one in every)])
    scaling, several = Scaling.of(facts), manifest.multi_label
    shares = functools.partial(probabilities, multi_label=several, scaling=scaling)
    return predictions.made(manifest, rows, logits, shares, facts.get("thresholds", 0.5))


def described(pieces: Pieces, model: Any, found: Measured) -> dict[str, Any]:
    """What metadata.json says of any network of a run."""
    manifest, settings = pieces.manifest, pieces.job.settings
    return {
        "class_names": list(manifest.class_names),
        "multi_label": manifest.multi_label,
        "resize": pieces.student.resize.as_dict(),
        "head": None,
        "abstain_below": settings.abstain_below,
        **found.facts,
        "seed": settings.seed,
        "data_fingerprint": manifest.identity(),
        "data_root": manifest.root,
        "parameters": parameters(model),
        "metrics": dict(found.figures),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def calibration(logits: Any, labels: Any, multi_label: bool) -> dict[str, Any]:
    """Temperature or vector (one label), or thresholds (several), fitted on validation."""
    if multi_label:
        return {"thresholds": fit_thresholds(logits, labels)}
    some = kept_places(len(labels), logits.shape[1], MOST_FITTED)
    scaling = chosen(logits[some], labels[some])
    after = Scores(logits.shape[1])
    before = Scores(logits.shape[1])
    before.update(logits, labels)
    after.update(scaling(logits), labels)
    return {
        **scaling.facts(),
        "validation_ece_before": before.result()["ece"],
        "validation_ece_after": after.result()["ece"],
    }


def versions() -> dict[str, str]:
    """What the weights were made with."""
    return {
        "python": platform.python_version(), "tensorflow": tf.__version__,
        "keras": keras.__version__, "numpy": np.__version__,
    }  # fmt: skip


def git_commit() -> str | None:
    """Commit of the folder the command was typed in, or None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
