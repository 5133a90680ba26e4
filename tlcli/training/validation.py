"""Validation figures of the weights as they are, again and again."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import VALIDATION
from tlcli.distill.pieces import Pieces
from tlcli.evaluation.classifier import scored
from tlcli.models import fold
from tlcli.models.frozen.place import Place
from tlcli.models.graph.split import Split
from tlcli.models.graph.trace import single
from tlcli.models.norms import has_batch_norm
from tlcli.system import console
from tlcli.system.array_file import check_whole
from tlcli.training.frozen_part import EVALUATION_BATCH, outputs


class Validation:
    """Scores a network on the validation images; its frozen outputs are computed once.

    Args:
        pieces: Of the training.
        split: The network cut in two.
        place: How the first part's outputs are kept, or None.

    Attributes:
        confusion: Of the last figures, int (classes, classes), a row a real class; None before
            any, and where an image has several classes.
    """

    def __init__(self, pieces: Pieces, split: Split, place: Place | None) -> None:
        self.manifest, self.views = pieces.manifest, pieces.plain_views
        self.rows = pieces.manifest.labelled(VALIDATION)
        self.model = keras.Model(split.suffix.inputs, split.suffix.outputs[0])
        self.inference = fold.folded(self.model) if has_batch_norm(self.model) else None
        model = self.inference or self.model
        self.call = tf.function(
            lambda *inputs: model(single(list(inputs)), training=False),
            reduce_retracing=True, autograph=False,
        )  # fmt: skip
        self.confusion: Any = None
        self.arrays = outputs(pieces.tables, split.prefix, self.views, self.rows, place)
        self.front = None
        if self.arrays is None and split.prefix is not None:
            frozen: Any = fold.folded(split.prefix) or split.prefix
            self.front = tf.function(
                lambda images: frozen(images, training=False),
                reduce_retracing=True,
                autograph=False,
            )

    def figures(self) -> dict[str, float]:
        """Figures of the weights as they are now; none without labelled validation images."""
        if not len(self.rows):
            return {}
        if self.inference is not None:
            fold.refresh(self.inference, self.model)
        scores = scored(self._logits(), self.manifest, self.rows)
        self.confusion = None if self.manifest.multi_label else scores.confusion
        found: dict[str, float] = scores.result()
        return found

    def _logits(self) -> Iterator[Any]:
        inputs = console.staged(
            self._inputs(), "validating", len(self.rows), "images", lambda tensors: len(tensors[0])
        )
        for tensors in inputs:
            yield np.asarray(tf.cast(self.call(*tensors), tf.float32))

    def _inputs(self) -> Iterator[list[Any]]:
        size = EVALUATION_BATCH
        if self.arrays is not None:
            for array in self.arrays:
                check_whole(array)
            for start in range(0, len(self.rows), size):
                parts = [tf.constant(a[start : start + size]) for a in self.arrays]
                yield [tf.cast(p, i.dtype) for p, i in zip(parts, self.model.inputs, strict=True)]
            return
        for images in self.views.batches(self.rows, np.zeros(len(self.rows)), size):
            yield [images] if self.front is None else tf.nest.flatten(self.front(images))
