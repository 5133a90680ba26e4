"""Photos without any labels, for a student that learns from its teacher alone."""

from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data.unlabelled import photos, with_classes
from tlcli.errors import require
from tlcli.options.data._read import Read
from tlcli.system.located import located


@dataclass(frozen=True)
class Data(Read):
    """All pictures below a folder; it is only read.

    Attributes:
        class_names: Names of the classes; null takes those that the teacher knows.
    """

    class_names: tuple[str, ...] | None

    def __post_init__(self) -> None:
        super().__post_init__()
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
        found = photos(root, cache_dir, "data.path", self.how(), seed)
        return found if self.class_names is None else with_classes(found, self.class_names)
