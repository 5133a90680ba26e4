"""What lies before the first trained layer: cut off, computed once, kept."""

import logging
from typing import Any

import tensorflow as tf

from tlcli.data.views import Views
from tlcli.distill.pieces import Run
from tlcli.models import fold
from tlcli.models.frozen.place import Place, place_of
from tlcli.models.graph.split import Split, split
from tlcli.models.graph.trace import single
from tlcli.models.student import Student, is_head
from tlcli.system import files

log = logging.getLogger(__name__)


def _joined(parts: Split) -> Any:
    """Prefix in inference mode, then suffix, as one callable model-like object."""
    frozen: Any = fold.folded(parts.prefix) or parts.prefix

    class Joined:
        losses = parts.suffix.losses

        def __call__(self, images: Any, training: bool) -> Any:
            cut = tf.nest.flatten(frozen(images, training=False))
            return parts.suffix(single(cut), training=training)

    return Joined()


def frozen_split(student: Student) -> Split:
    """The student cut where its constant part ends; a part without weights is not worth a cache."""
    cut = split(student.extended, _is_frozen)
    if cut.prefix is not None and not cut.prefix.variables:
        return Split(None, student.extended, ())
    return cut


def cached_split(run: Run) -> Split:
    """The student cut where its cached part ends; nothing is cached where all images are needed."""
    if "images" in run.job.distillation.needs:
        return Split(None, run.student.extended, ())
    return frozen_split(run.student)


def _is_frozen(layer: Any) -> bool:
    if layer.trainable_variables:
        return False
    random = any("seed" in v.path for v in layer.non_trainable_variables)
    return not (is_head(layer) and (random or "dropout" in layer.name))


def placed(run: Run, prefix: Any, views: Views, samples: int) -> Place | None:
    """How a frozen part's outputs over some views are kept; None where they are not."""
    place = place_of(run.job.settings, prefix, views, samples)
    return None if place is None or (place.mapped and run.tables.folder is None) else place


def outputs(
    run: Run, prefix: Any, views: Views, rows: Any, place: Place | None
) -> list[Any] | None:
    """Those outputs; None where they are not kept or the disk is too small."""
    if place is None:
        return None
    count = views.finite or 1
    try:
        return run.tables.outputs(
            prefix, views, rows, count, EVALUATION_BATCH, place.half, place.mapped
        )
    except files.NoRoom as problem:
        log.warning("cache: %s. They are computed at each use.", problem)
        return None


EVALUATION_BATCH = 128
