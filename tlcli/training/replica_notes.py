"""What of a training on several devices is not that of one, for the plan."""

from typing import Any

import keras

from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models.image_dropout import ImageDropout
from tlcli.models.norms import is_batch_norm
from tlcli.models.student import leaf_layers
from tlcli.system.notes import EXPERT, WARNING, Note


def plan_notes(pieces: Pieces, lesson: Lesson) -> list[Note]:
    """A note for batch statistics of each device alone, and one for layers that draw by device."""
    if pieces.replicas == 1:
        return []
    notes = []
    layers = leaf_layers(lesson.student.model)
    trains = pieces.batch_norm == "train" and any(is_batch_norm(layer) for layer in layers)
    if trains and pieces.job.hardware.batch_norm == "local":
        told = "each normalises by its own images; the averages are shared"
        notes.append(Note("devices", told, EXPERT))
    names = drawing_by_device(layers)
    if names:
        told = "draw the same on every device: the weights depend on their number"
        notes.append(Note("warning", f"{', '.join(names)} {told}", WARNING))
    return notes


def drawing_by_device(layers: list[Any]) -> list[str]:
    """Classes of the layers whose draws depend on how a batch is spread, sorted."""
    ours = (keras.layers.Dropout, ImageDropout)
    return sorted({type(layer).__name__ for layer in layers
                   if hasattr(layer, "seed_generator") and type(layer) not in ours})  # fmt: skip
