"""The figure that chooses the best epoch."""

import numpy as np

from tlcli.config.job import TrainJob
from tlcli.contracts.data import Manifest


def better(metric: str, new: float, old: float | None) -> bool:
    """Whether a figure improves on the best so far; a loss is better when lower."""
    if old is None:
        return bool(np.isfinite(new))
    return new < old if metric == "loss" else new > old


def monitored(job: TrainJob, manifest: Manifest) -> str:
    """The validation figure that chooses the best epoch."""
    if job.settings.monitor != "auto":
        return job.settings.monitor
    return "mean_average_precision" if manifest.multi_label else "accuracy"
