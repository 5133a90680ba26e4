"""What a training is made of before anything is decided."""

from dataclasses import dataclass, replace
from typing import Any

from tlcli.config.job import TrainJob
from tlcli.contracts.backbone import HeadReport, LoadReport
from tlcli.contracts.data import Manifest
from tlcli.data.views import Views
from tlcli.models.frozen.tables import Tables
from tlcli.models.student import Student
from tlcli.system.memory import Budget


@dataclass(frozen=True)
class Pieces:
    """Data, network and devices of a training.

    Attributes:
        job: The checked configuration.
        strategy: tf.distribute strategy.
        manifest: The data.
        student: The network, its pretrained weights loaded.
        train_views, plain_views: Augmented views; evaluation views.
        tables: Cache of frozen outputs.
        batch_norm: "frozen", "train" or "adapt", decided.
        loaded: What the backbone's weights file gave.
        head: What the head begins with.
        budget: Memory that all that is kept shares.
    """

    job: TrainJob
    strategy: Any
    manifest: Manifest
    student: Student
    train_views: Views
    plain_views: Views
    tables: Tables
    batch_norm: str
    loaded: LoadReport
    head: HeadReport
    budget: Budget

    @property
    def replicas(self) -> int:
        """Number of devices that share a batch."""
        return int(self.strategy.num_replicas_in_sync)

    def with_data(self, manifest: Manifest) -> "Pieces":
        """The pieces with other samples of the same pictures: manifest and views together."""
        return replace(
            self, manifest=manifest, train_views=self.train_views.of(manifest),
            plain_views=self.plain_views.of(manifest),
        )  # fmt: skip
