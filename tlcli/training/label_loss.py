"""The loss of labels, prepared for the training images."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.data import TRAIN
from tlcli.contracts.loss import Prepared
from tlcli.data.samples import class_counts
from tlcli.distill.pieces import Pieces
from tlcli.lazy import Tensor, ops


def label_loss(pieces: Pieces) -> Any:
    """The loss of labels, prepared for the training images."""
    manifest, rows = pieces.manifest, pieces.manifest.rows(TRAIN)
    counts = class_counts(manifest.labels[rows], len(manifest.class_names))
    known = manifest.labelled(TRAIN)
    if not len(known):
        return Partly(None)
    whole = pieces.job.loss.prepared(counts, manifest.class_names)
    return whole if len(known) == len(rows) else Partly(whole)


@dataclass(frozen=True)
class Partly:
    """A prepared loss where some images have no label: those add nothing.

    The sum goes over the labelled images and is divided, as ever, by the size of the batch, so a
    labelled image pulls as hard as it would among labelled images alone. An image mixed of both
    counts by the labelled share: its labels, which then sum to less than 1, are scaled up to 1 and
    its loss down by the same factor.

    Attributes:
        whole: The prepared loss, or None where no image has a label.
    """

    whole: Prepared | None

    def loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        labels = ops.cast(labels, "float32")
        known = ops.sum(labels, axis=-1)
        if self.whole is None:
            return ops.zeros_like(known)
        scaled = labels / ops.where(known > 0, known, 1.0)[:, None]
        return known * self.whole.loss(scaled, logits)
