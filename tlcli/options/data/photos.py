"""Photos without any labels, for a student that learns from its teacher alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tlcli.contracts.data import Manifest
from tlcli.data.choosing import Choosing
from tlcli.data.grouping import by_expression
from tlcli.data.readable import Reading
from tlcli.data.split import check_fractions
from tlcli.data.unlabelled import photos, with_classes
from tlcli.errors import require
from tlcli.system.located import located


@dataclass(frozen=True)
class Data(Choosing):
    """All pictures below a folder; it is only read.

    Attributes:
        path: The folder; `~` is the home folder.
        class_names: Names of the classes; null takes those that the teacher knows.
        validation_fraction: Share on which student and teacher are compared after the training.
        on_error: What to do about files that are no readable image: leave out, or stop.
        damaged: What to do about pictures that libjpeg warns of, parts of which are made up.
        max_pixels: Width times height above which a picture counts as unreadable.
    """

    path: str
    class_names: tuple[str, ...] | None
    validation_fraction: float
    on_error: Literal["skip", "fail"]
    damaged: Literal["skip", "use", "fail"]
    max_pixels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.validation_fraction, 0.0)
        require(self.max_pixels > 0, "data.max_pixels", self.max_pixels, "Give a number above 0.")
        names = self.class_names
        good = names is None or len(set(names)) == len(names) > 1
        require(good, "data.class_names", names, "Give two different names or more, or null.")

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """List and scan the folder; without labels, and without classes where none are given.

        Args:
            seed: Decides which photos are held out.
            cache_dir: Where the scan is kept.

        Raises:
            ConfigError: There is no such folder.
            DataError: No photos, or unreadable files under "fail".
        """
        root = located(self.path, "data.path")
        fractions = (self.validation_fraction, 0.0)
        groups = by_expression(self.groups)
        reading = Reading(fractions, self.max_pixels, self.on_error, self.damaged, groups)
        found = photos(root, cache_dir, "data.path", reading, seed)
        return found if self.class_names is None else with_classes(found, self.class_names)
