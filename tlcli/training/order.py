"""The sequence of training images of a phase."""

from dataclasses import replace
from typing import Any

import numpy as np

from tlcli.config.train_settings import Train
from tlcli.contracts.data import Manifest
from tlcli.data.order import Order
from tlcli.distill.pieces import Pieces


def make_order(pieces: Pieces, rows: Any, first_epoch: int) -> Order:
    """The sequence of training images of a phase."""
    job = pieces.job
    order = order_of(job.settings, pieces.manifest, rows, first_epoch)
    return replace(
        order, replicas=pieces.replicas, together=1 if job.augmentation.mix is None else 2,
        pieces=job.settings.accumulation_steps,
    )  # fmt: skip


def order_of(settings: Train, manifest: Manifest, rows: Any, first_epoch: int = 0) -> Order:
    """The sequence of some training images from some epoch on."""
    pools = None
    if settings.sampler == "balanced":
        pools = pools_of(manifest.labels[rows])
    return Order(
        len(rows), int(settings.batch_size), settings.seed, first_epoch=first_epoch, pools=pools
    )


def pools_of(labels: Any) -> tuple[Any, ...]:
    """Places of the images of each class that has any; unlabelled ones are in none.

    Args:
        labels: Class indices, int (images,), -1 where unlabelled.
    """
    order = np.argsort(labels, kind="stable")
    there, starts = np.unique(labels[order], return_index=True)
    pools = np.split(order, starts[1:]) if len(there) else []
    return tuple(pool for label, pool in zip(there.tolist(), pools, strict=True) if label >= 0)
