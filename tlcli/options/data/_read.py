"""What options have in common whose pictures are files that somebody encoded."""

from dataclasses import dataclass
from typing import Literal

from tlcli.data.choosing import Choosing
from tlcli.data.grouping import Groups, by_expression
from tlcli.data.readable import Reading
from tlcli.data.split import check_fractions
from tlcli.errors import require


@dataclass(frozen=True, kw_only=True)
class Read(Choosing):
    """Keys of every such option.

    Attributes:
        path: Where the data is; `~` is the home folder.
        validation_fraction: Share of train for validation when nothing is for it.
        on_error: What to do about what is no readable image: leave out, or stop.
        damaged: What to do about pictures that libjpeg warns of, parts of which are made up.
        max_pixels: Width times height above which a picture counts as unreadable.
    """

    path: str
    validation_fraction: float
    on_error: Literal["skip", "fail"]
    damaged: Literal["skip", "use", "fail"]
    max_pixels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(*self.fractions)
        require(self.max_pixels > 0, "data.max_pixels", self.max_pixels, "Give a number above 0.")

    @property
    def fractions(self) -> tuple[float, float]:
        """Shares of train for validation and test."""
        return self.validation_fraction, 0.0

    def how(self, groups: Groups | None = None) -> Reading:
        """How pictures are read.

        Args:
            groups: What a table says of them; else the expression counts.
        """
        found = groups or by_expression(self.groups)
        return Reading(self.fractions, self.max_pixels, self.on_error, self.damaged, found)


@dataclass(frozen=True, kw_only=True)
class ReadTested(Read):
    """The same with a test split.

    Attributes:
        test_fraction: Share of train for test when nothing is for either.
    """

    test_fraction: float

    @property
    def fractions(self) -> tuple[float, float]:
        """Shares of train for validation and test."""
        return self.validation_fraction, self.test_fraction
