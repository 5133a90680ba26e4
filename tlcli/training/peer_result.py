"""The networks of mutual learning: each written, the best of the student's kind shipped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tlcli.distill.pieces import Pieces
from tlcli.runs import best_of, checkpoint
from tlcli.runs.folder import RunFolder
from tlcli.training.kept import values_of
from tlcli.training.measured import described, measured
from tlcli.training.plan import Plan
from tlcli.training.progress import Outcome


@dataclass(frozen=True)
class Learnt:
    """A network of mutual learning at its best.

    Attributes:
        name: "student" or "peer_1", …
        backbone: Values of its backbone option.
        weights: Its variables, arrays.
        figure: Its best validation figure, or None.
    """

    name: str
    backbone: Mapping[str, Any]
    weights: list[Any]
    figure: float | None


def peer_weights(plan: Plan, outcome: Outcome) -> list[Learnt]:
    """The student and its peers at their best; empty where there are none."""
    peers, progress = plan.lesson.state.peers, outcome.progress
    if not peers:
        return []
    student = Learnt(
        "student", plan.pieces.job.config["backbone"],
        values_of(plan.lesson.student.model.variables), progress.best,
    )  # fmt: skip
    kept = zip(peers, outcome.kept.peers, progress.peers, strict=True)
    return [student, *(Learnt(f"peer_{number}", peer.backbone, weights, figure)
                       for number, (peer, weights, figure) in enumerate(kept, 1))]  # fmt: skip


def write_peers(
    plan: Plan, outcome: Outcome, networks: list[Learnt], folder: RunFolder
) -> dict[str, Any] | None:
    """Write each network into RUN/peers, and put the best of the student's kind into the student.

    Args:
        plan: Of the training.
        outcome: What came of it.
        networks: See `peer_weights`.
        folder: Of the run.

    Returns:
        What metadata.json says of them, or None without peers.
    """
    if not networks:
        return None
    metric, student = outcome.monitor, networks[0]
    alike = [one for one in networks if same_kind(one.backbone, student.backbone)]
    # The student is last, so that of equal ones it is kept.
    ordered = [*alike[1:], student]
    best = ordered[best_of.best_place(metric, [one.figure for one in ordered])]
    for variable, value in zip(plan.lesson.student.model.variables, best.weights, strict=True):
        variable.assign(value)
    for one in networks if folder.is_chief else ():
        _write_network(plan.pieces, one, folder.inside(f"peers/{one.name}"))
    figures = {one.name: one.figure for one in networks}
    return {"figure": f"validation {metric}", **figures, "shipped": best.name}


def same_kind(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two backbones are one network, wherever their first weights came from."""
    one, two = ({k: v for k, v in each.items() if k != "weights"} for each in (first, second))
    return one == two


def _write_network(pieces: Pieces, network: Learnt, folder: RunFolder) -> None:
    config = {**pieces.job.config, "backbone": dict(network.backbone)}
    classes = len(pieces.manifest.class_names)
    policy = keras.config.dtype_policy()
    model = checkpoint.rebuild(config, {"head": None}, classes, pieces.student.resize)
    keras.config.set_dtype_policy(policy)
    for variable, value in zip(model.variables, network.weights, strict=True):
        variable.assign(value)
    found = measured(pieces, model)
    facts = described(pieces, model, found)
    folder.write(model, config, found.figures, facts, found.predictions, found.known)
