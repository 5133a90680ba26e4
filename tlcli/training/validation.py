"""Validation figures of the weights as they are."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.distill.pieces import Run
from tlcli.evaluation.metrics import new_scores
from tlcli.models import fold
from tlcli.models.graph.split import Split
from tlcli.models.graph.trace import single
from tlcli.models.norms import is_batch_norm
from tlcli.training.frozen_part import EVALUATION_BATCH, outputs, placed


class SplitEvaluator:
    """Scores the student on some rows, again and again; frozen outputs are computed once."""

    def __init__(self, run: Run, split: Split, rows: Any) -> None:
        self.run, self.rows = run, rows
        self.labels = run.manifest.labels[rows]
        self.model = keras.Model(split.suffix.inputs, split.suffix.outputs[0])
        self.inference = fold.folded(self.model) if _has_batch_norm(self.model) else None
        model = self.inference or self.model
        self.call = tf.function(
            lambda *inputs: model(single(list(inputs)), training=False),
            reduce_retracing=True, autograph=False,
        )  # fmt: skip
        self.front = self.arrays = None
        prefix = split.prefix
        if len(rows):
            place = placed(run, prefix, run.plain_views, len(rows))
            self.arrays = outputs(run, prefix, run.plain_views, rows, place)
        if self.arrays is None and prefix is not None:
            frozen: Any = fold.folded(prefix) or prefix
            self.front = tf.function(
                lambda images: frozen(images, training=False),
                reduce_retracing=True,
                autograph=False,
            )

    def __call__(self) -> Any:
        """The scores of the weights as they are now."""
        if self.inference is not None:
            fold.refresh(self.inference, self.model)
        scores, start = new_scores(self.run.manifest), 0
        for tensors in self._inputs():
            logits = np.asarray(tf.cast(self.call(*tensors), tf.float32))
            scores.update(logits, self.labels[start : start + len(logits)])
            start += len(logits)
        return scores

    def _inputs(self) -> Iterator[list[Any]]:
        size = EVALUATION_BATCH
        if self.arrays is not None:
            for start in range(0, len(self.rows), size):
                parts = [tf.constant(a[start : start + size]) for a in self.arrays]
                yield [tf.cast(p, i.dtype) for p, i in zip(parts, self.model.inputs, strict=True)]
            return
        for images in self.run.plain_views.batches(self.rows, np.zeros(len(self.rows)), size):
            yield [images] if self.front is None else tf.nest.flatten(self.front(images))


def _has_batch_norm(model: Any) -> bool:
    return any(is_batch_norm(layer) for layer in model._flatten_layers())
