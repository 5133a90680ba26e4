"""What options have in common whose files hold many pictures."""

from dataclasses import dataclass
from typing import Literal

from tlcli.data.choosing import Choosing
from tlcli.data.grouping import by_expression
from tlcli.data.readable import Reading
from tlcli.data.split import check_fractions
from tlcli.errors import require


@dataclass(frozen=True)
class Several(Choosing):
    """Keys of every such option.

    Attributes:
        path: Where the files are; `~` is the home folder.
        class_names: In the order of the labels; null for those that the data tells.
        multi_label: Whether a picture may have several labels; null: when any has.
        validation_fraction: Share of train for validation when no file is for it.
        test_fraction: Share of train for test when no file is for either.
        on_error: What to do about what is no readable image: leave out, or stop.
        damaged: What to do about pictures that libjpeg warns of, parts of which are made up.
        max_pixels: Width times height above which a picture counts as unreadable.
    """

    path: str
    class_names: tuple[str, ...] | None
    multi_label: bool | None
    validation_fraction: float
    test_fraction: float
    on_error: Literal["skip", "fail"]
    damaged: Literal["skip", "use", "fail"]
    max_pixels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.validation_fraction, self.test_fraction)
        require(self.max_pixels > 0, "data.max_pixels", self.max_pixels, "Give a number above 0.")
        names = self.class_names
        good = names is None or len({*names}) == len(names) > 0
        require(good, "data.class_names", names, "Give each class a name of its own, or null.")

    def how(self) -> Reading:
        """How pictures are read."""
        fractions = (self.validation_fraction, self.test_fraction)
        groups = by_expression(self.groups)
        return Reading(fractions, self.max_pixels, self.on_error, self.damaged, groups)
