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
        labels = manifest.labels[rows]
        pools = tuple(np.flatnonzero(labels == c) for c in range(len(manifest.class_names)))
        pools = tuple(pool for pool in pools if len(pool))
    return Order(
        len(rows), int(settings.batch_size), settings.seed, first_epoch=first_epoch, pools=pools
    )
