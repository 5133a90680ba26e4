"""The sequence of training images of a phase."""

from dataclasses import replace
from typing import Any

import numpy as np

from tlcli.config.train_settings import Train
from tlcli.contracts.data import Manifest
from tlcli.data.order import Order
from tlcli.distill.pieces import Run


def make_order(run: Run, rows: Any, first_epoch: int) -> Order:
    """The sequence of training images of a phase."""
    mixes = getattr(run.job.augmentation, "mix", None) is not None
    order = order_of(run.job.settings, run.manifest, rows, first_epoch)
    return replace(
        order, replicas=run.strategy.num_replicas_in_sync, together=2 if mixes else 1,
        pieces=run.job.settings.accumulation_steps,
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
