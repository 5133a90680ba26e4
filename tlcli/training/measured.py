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
from tlcli.evaluation.calibration import can_calibrate, chosen, fit_thresholds
from tlcli.evaluation.classifier import answers, looker, scored
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.intervals import with_intervals
from tlcli.evaluation.metrics import Scores, probabilities, softmax
from tlcli.evaluation.scaling import Scaling
from tlcli.evaluation.strangers import Strangers
from tlcli.models.graph.cost import parameters
from tlcli.runs import predictions
from tlcli.runs.predictions import Predictions
from tlcli.system import console


@dataclass(frozen=True)
class Measured:
    """A network's figures and what calibrates it.

    Attributes:
        figures: By split, as in metrics.json.
        facts: What was fitted on validation, for metadata.json.
        test: Scores on the test images, or None.
        logits: On the test images, or else those of validation; None without either.
        predictions: Of validation and test images.
        known: What tells strangers, or None.
    """

    figures: dict[str, Any]
    facts: dict[str, Any]
    test: Any
    logits: Any
    predictions: Predictions
    known: Strangers | None


def measured(pieces: Pieces, model: Any) -> Measured:
    """Figures of a model on validation and test, and what calibrates it."""
    manifest, views = pieces.manifest, pieces.plain_views
    validation, test = (manifest.labelled(split) for split in (VALIDATION, TEST))
    figures: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    scores = logits = known = None
    every: list[Any] = []
    look = looker(model)
    if len(validation):
        labels = manifest.labels[validation]
        kept = strangers.chosen(labels)
        batches, embeddings = looked(look, views, validation, kept)
        logits = np.concatenate(batches)
        figures["validation"] = with_intervals(
            scored(batches, manifest, validation).result(), logits, labels
        )
        every.append(logits)
        facts = fitted(pieces, logits, labels)
        known = known_by(pieces, logits[kept], embeddings)
    if len(test):
        batches, strange = watched(look, known, views, test)
        scaling, least = Scaling.of(facts), facts.get("thresholds", 0.5)
        scores = scored(batches, manifest, test, scaling, least)
        logits = np.concatenate(batches)
        every.append(logits)
        figures["test"] = with_intervals(
            scores.result(), scaling(logits), manifest.labels[test], least
        )
        figures["test"] |= of_sets(facts, scaling(logits), manifest.labels[test])
        if known is not None:
            figures["test"]["stranger_share"] = float(known.are(strange).mean())
    rows = np.concatenate([validation, test])
    predicted = predicted_rows(manifest, rows, every, facts)
    return Measured(figures, facts, scores, logits, predicted, known)


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


def looked(look: Any, views: Views, rows: Any, kept: Any) -> tuple[list[Any], Any]:
    """Logits of batches of rows, and the embeddings of those places among them that are kept."""
    wanted, logits, embeddings, start = np.zeros(len(rows), bool), [], [], 0
    wanted[kept] = True
    for said, embedding in answers(look, views, rows):
        logits.append(said)
        embeddings.append(embedding[wanted[start : start + len(said)]])
        start += len(said)
    return logits, np.concatenate(embeddings)


def watched(look: Any, known: Strangers | None, views: Views, rows: Any) -> tuple[list[Any], Any]:
    """Logits of batches of rows, and how strange each is; 0 where nothing tells that."""
    logits, strange = [], []
    for said, embedding in answers(look, views, rows):
        logits.append(said)
        strange.append(known.scores(said, embedding) if known is not None else np.zeros(len(said)))
    return logits, np.concatenate(strange)


def predicted_rows(
    manifest: Manifest, rows: Any, parts: Sequence[Any], facts: Mapping[str, Any]
) -> Predictions:
    """What the network says of labelled rows, calibrated by what was fitted on validation."""
    logits = np.concatenate([np.empty((0, len(manifest.class_names)), np.float32), *parts])
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
    scaling = chosen(logits, labels)
    after = Scores(logits.shape[1])
    before = Scores(logits.shape[1])
    before.update(logits, labels)
    after.update(scaling(logits), labels)
    return {
        **scaling.facts(),
        "validation_ece_before": before.result()["ece"],
        "validation_ece_after": after.result()["ece"],
    }


def of_sets(facts: Mapping[str, Any], logits: Any, labels: Any) -> dict[str, float]:
    """Figures of the sets of some images, where the run has any.

    Args:
        facts: For metadata.json.
        logits: Calibrated, float (images, classes).
        labels: Class indices (images,).
    """
    if "conformal" not in facts:
        return {}
    return conformal.figures(Sets.of(facts["conformal"]).members(softmax(logits)), labels)


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
