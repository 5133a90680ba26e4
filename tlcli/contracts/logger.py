"""Loggers: where the figures of a training go beside its own files, for those who look elsewhere.

A new option is a frozen dataclass `Logger` that subclasses `Logger` of this module and has a
`label` and the method `open`, which gives a `Writer`. All of a writer runs in a thread of its own
behind a queue: it may be slow, and may raise what it likes, for the training goes on without it.
`distance`, `view_count` and `wants_gradients` say what it is given.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from tlcli.errors import ConfigError
from tlcli.system.installed import is_importable

Ending = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Begun:
    """A training that begins or goes on.

    Attributes:
        run_dir: Its folder.
        title: What the run is called.
        config: Its configuration, flat: plain values by dotted key.
        chosen: Those of them that are no defaults, and the option of each group.
        step: Steps over all phases that were done before; 0 where it begins.
        kept: What the logger kept when it first logged this run, as its identity elsewhere; empty
            then.
    """

    run_dir: Path
    title: str
    config: Mapping[str, Any]
    chosen: Mapping[str, Any]
    step: int
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Figures:
    """Numbers at a step, by name.

    Attributes:
        step: Over all phases.
        when: Seconds since 1970.
        values: Numbers, which may not be finite.
    """

    step: int
    when: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Steps:
    """Figures of some steps in a row.

    Attributes:
        first: The step before them, over all phases.
        when: When the last was done.
        columns: Of each name a number a step.
    """

    first: int
    when: float
    columns: Mapping[str, Any]

    def every(self, distance: int) -> list[Figures]:
        """Those of the steps whose number is a multiple of a distance."""
        count = len(next(iter(self.columns.values()), ()))
        chosen = [i for i in range(count) if (self.first + i + 1) % distance == 0]
        return [
            Figures(self.first + i + 1, self.when,
                    {name: float(column[i]) for name, column in self.columns.items()})
            for i in chosen
        ]  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """Pictures in rows.

    Attributes:
        step: Over all phases.
        when: Seconds since 1970.
        name: What they show.
        rows: Of each row its pictures, uint8 (height, width, 3).
    """

    step: int
    when: float
    name: str
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for each other.

    Attributes:
        step: Over all phases.
        when: Seconds since 1970.
        split: Of the images.
        counts: int (classes, classes), a row a real class.
        classes: Their names.
    """

    step: int
    when: float
    split: str
    counts: Any
    classes: Sequence[str]


@dataclass(frozen=True)
class Finished:
    """A run that is whole.

    Attributes:
        step: Over all phases.
        when: Seconds since 1970.
        values: Its figures by name.
        files: Those of the run.
    """

    step: int
    when: float
    values: Mapping[str, float]
    files: Sequence[Path]


class Writer(ABC):
    """A logger at work; its methods are called in turn, in one thread.

    Attributes:
        kept: What it must be given to go on with this run later, plain texts without secrets.
    """

    kept: Mapping[str, str] = {}

    @abstractmethod
    def figures(self, points: Sequence[Figures]) -> None:
        """Take in figures, in the order of their steps."""

    def pictures(self, found: Pictures) -> None:  # noqa: B027 - it may be left out
        """Take in pictures."""

    def confusion(self, found: Confusion) -> None:  # noqa: B027
        """Take in a matrix."""

    def finished(self, found: Finished) -> None:  # noqa: B027
        """Take in what came of the run, before it is closed."""

    def close(self, ending: Ending) -> None:  # noqa: B027
        """Write what is left; nothing comes after."""


class Logger(ABC):
    """What every option has.

    Attributes:
        label: What messages call it, and what it keeps of a run is kept under.
        modules: What must be installed for it.
        extra: The extra that brings them.
    """

    label: ClassVar[str] = ""
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    @abstractmethod
    def open(self, begun: Begun) -> Writer:
        """What takes the training in from now on; called in the thread that it will work in."""

    @property
    def parts(self) -> tuple["Logger", ...]:
        """The loggers that it stands for."""
        return (self,)

    @property
    def distance(self) -> int:
        """Steps between two points of the training's loss, accuracy, rate and gradient."""
        return 1

    @property
    def view_count(self) -> int:
        """Images of which it shows augmented views when a training begins."""
        return 0

    @property
    def wants_gradients(self) -> bool:
        """Whether it shows the norm of the gradients."""
        return False

    def require_installed(self) -> None:
        """Refuse to begin without what it needs.

        Raises:
            ConfigError: A package is missing.
        """
        for module in self.modules:
            if not is_importable(module):
                raise ConfigError(
                    "logger", f"{self.label} needs the package {module}, which is not installed",
                    f"Install it: pip install 'tlcli[{self.extra}]'.",
                )  # fmt: skip
