"""What the parts of a training share."""

from dataclasses import dataclass
from typing import Any

from tlcli.config.job import TrainJob
from tlcli.contracts.data import Manifest
from tlcli.data.views import Views
from tlcli.models.frozen.tables import Tables
from tlcli.models.student import Student


@dataclass
class Run:
    """What all phases of a training share.

    Attributes:
        job: The checked configuration.
        strategy: tf.distribute strategy.
        manifest: The data.
        student: The model.
        train_views, plain_views: Augmented views; evaluation views.
        tables: Cache of frozen outputs.
        batch_norm: "frozen", "train" or "adapt", decided.
        teacher: Built teacher, or None (see tlcli.distill.attach).
        method, method_state: Distillation method and its connectors.
        weights_report: What the backbone's weights file gave.
        borrowed: What a head taken from the teacher is made of (see head._borrowed), or None.
        fixed: Names of layers that no phase trains.
    """

    job: TrainJob
    strategy: Any
    manifest: Manifest
    student: Student
    train_views: Views
    plain_views: Views
    tables: Tables
    batch_norm: str
    teacher: Any = None
    method: Any = None
    method_state: Any = None
    weights_report: Any = None
    borrowed: dict[str, Any] | None = None
    fixed: tuple[str, ...] = ()
