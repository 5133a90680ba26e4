"""What lies before the first trained layer: cut off, computed once, kept."""

from typing import Any

import tensorflow as tf

from tlcli.data.views import Views
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models import fold
from tlcli.models.frozen.place import Place, place_of
from tlcli.models.frozen.tables import Tables
from tlcli.models.graph.split import Split
from tlcli.models.graph.split import split as split_model
from tlcli.models.graph.trace import single
from tlcli.models.student import Student, is_head
from tlcli.system.files import NoRoom
from tlcli.system.memory import Budget

EVALUATION_BATCH = 128


class Joined:
    """A frozen part in inference mode, then the rest, as one callable model.

    Attributes:
        inputs: Of the frozen part.
        losses: Of the rest.
    """

    def __init__(self, split: Split) -> None:
        assert split.prefix is not None
        self._frozen: Any = fold.folded(split.prefix) or split.prefix
        self._suffix = split.suffix
        self.inputs = split.prefix.inputs
        self.losses = split.suffix.losses

    def __call__(self, images: Any, training: bool) -> Any:
        """Outputs of the whole model."""
        cut = tf.nest.flatten(self._frozen(images, training=False))
        return self._suffix(single(cut), training=training)


def frozen_split(student: Student) -> Split:
    """The student cut where its constant part ends; a part without weights is not worth a cache."""
    split = split_model(student.extended, _is_frozen)
    if split.prefix is not None and not split.prefix.variables:
        return Split(None, student.extended, ())
    return split


def cached_split(lesson: Lesson) -> Split:
    """The student cut where its cached part ends; nothing is cached where all images are needed."""
    if "images" in lesson.method.needs:
        return Split(None, lesson.student.extended, ())
    return frozen_split(lesson.student)


def _is_frozen(layer: Any) -> bool:
    if layer.trainable_variables:
        return False
    random = any("seed" in v.path for v in layer.non_trainable_variables)
    return not (is_head(layer) and (random or "dropout" in layer.name))


def placed(pieces: Pieces, prefix: Any, views: Views, samples: int, budget: Budget) -> Place | None:
    """How a frozen part's outputs over some views are kept; None where they are not."""
    if not samples:
        return None
    place = place_of(pieces.job.settings, prefix, views, samples, budget)
    return None if place is None or (place.mapped and pieces.tables.folder is None) else place


def outputs(
    tables: Tables, prefix: Any, views: Views, rows: Any, place: Place | None
) -> list[Any] | None:
    """Those outputs; None where they are not kept or the disk is too small."""
    if place is None:
        return None
    count = views.finite or 1
    try:
        return tables.outputs(
            prefix, views, rows, count, EVALUATION_BATCH, place.half, place.mapped
        )
    except NoRoom:  # which is told; they are computed at each use
        return None
