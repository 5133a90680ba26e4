"""A teacher in use: its signals in a step, its tables, what plan and metadata.json say of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.contracts.distillation import Outputs
from tlcli.contracts.teacher import BuiltTeacher
from tlcli.system.notes import EXPERT, Note


class Teaching(ABC):
    """What the rest of a training asks of a teacher.

    Attributes:
        built: What the teacher option made, or None without a teacher.
    """

    built: BuiltTeacher | None

    @property
    @abstractmethod
    def tabular(self) -> bool:
        """Whether its outputs may be computed once."""

    @property
    def table_bytes(self) -> int:
        """What a table of all its outputs takes in memory."""
        return 0 if self.built is None else self.built.table_bytes

    @property
    def on_disk(self) -> bool:
        """Whether `feed` finds its outputs on disk."""
        return self.built is not None and self.built.on_disk

    def check(self) -> None:
        """Refuse stored outputs that were cut off; see BuiltTeacher."""
        if self.built is not None:
            self.built.check()

    @abstractmethod
    def outputs(self, batch: Mapping[str, Any]) -> Outputs | None:
        """Signals of a batch inside a step; None without a teacher."""

    @abstractmethod
    def table(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """Signals of `count` views of each row by name, arrays (count * rows, ...)."""

    @abstractmethod
    def feed(self) -> Callable[[Any], Any] | None:
        """What adds the teacher's signals to a batch inside tf.data, or None."""

    @abstractmethod
    def plan_notes(self) -> list[Note]:
        """The teacher and the method, for the plan."""

    @abstractmethod
    def reference(self) -> dict[str, Any] | None:
        """Where the teacher came from and how good it is, for metadata.json."""


class NoTeacher(Teaching):
    """Nobody teaches: the labels alone, or a method that makes its own targets."""

    built = None

    @property
    def tabular(self) -> bool:
        """True: there is nothing to compute."""
        return True

    def outputs(self, batch: Mapping[str, Any]) -> None:
        """None."""

    def table(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """No signals."""
        return {}

    def feed(self) -> None:
        """None."""

    def plan_notes(self) -> list[Note]:
        """No notes."""
        return []

    def reference(self) -> None:
        """None."""


@dataclass(frozen=True)
class Taught(Teaching):
    """A teacher that is there.

    Attributes:
        built: What the teacher option made.
        adapters: Trained variables of the method.
        method: Name of the method.
        accuracy: Accuracy (mean average precision where classes are independent) and on what; None
            where no labelled image is there to measure it on.
        maps: Lines of the plan: which maps are compared, and how they meet.
    """

    built: BuiltTeacher
    adapters: list[Any]
    method: str
    accuracy: tuple[float, str] | None
    maps: tuple[str, ...]

    @property
    def tabular(self) -> bool:
        """Whether its outputs may be computed once."""
        return self.built.tabular

    def outputs(self, batch: Mapping[str, Any]) -> Outputs:
        """Signals of a batch inside a step."""
        return self.built.outputs(batch)

    def table(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """Signals of `count` views of each row by name, arrays (count * rows, ...)."""
        return self.built.compute(views, rows, count)

    def feed(self) -> Callable[[Any], Any] | None:
        """What adds the teacher's signals to a batch inside tf.data, or None."""
        return self.built.feed()

    def plan_notes(self) -> list[Note]:
        """The teacher and the method, for the plan."""
        figure = "accuracy unknown, for no image has a label"
        if self.accuracy is not None:
            value, where = self.accuracy
            figure = f"{where} {value:.4f}"
        numbers = sum(int(np.prod(v.shape)) for v in self.adapters)
        seen = ", ".join(name.removeprefix("teacher_") for name in self.built.names)
        return [
            Note("teacher", f"{self.built.label}: {figure}; {self.built.classes}"),
            Note("", f"{self.method} on {seen}; adapters {numbers:,} numbers"),
            *(Note("", told, EXPERT) for told in self.maps),
        ]

    def reference(self) -> dict[str, Any]:
        """Where the teacher came from and how good it is, for metadata.json."""
        value, figure = self.accuracy or (None, None)
        return {**self.built.reference(), "figure": figure, "value": value}
