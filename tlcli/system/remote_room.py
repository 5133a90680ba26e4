"""How much of what was fetched stays: what was not used for longest makes room."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tlcli.system.remote_files import alone, beside, is_hole, is_mine, stand

# What is evicted leaves so much of the size.
_LEFT = 0.9


class Room:
    """The bytes of a cache's files, counted over all processes.

    Attributes:
        root: Folder of the cache.
        limit: Bytes of fetched files that it may hold.
    """

    def __init__(self, root: Path, limit: int) -> None:
        """Nothing is counted yet."""
        self.root, self.limit = root, limit

    @contextlib.contextmanager
    def counted(self, size: int) -> Iterator[None]:
        """Count a file that becomes whole meanwhile, and make room where that is too much.

        No other becomes whole at that time, so that a first count holds none that is added later.
        """
        with alone(self.root, ""):
            path = self.root / ".used"
            try:
                used = int(path.read_text())
            except (OSError, ValueError):
                used = sum(status.st_size for *_, status in self.full())
            yield
            used += size
            if used > self.limit:
                used = self.evicted()
            temporary = beside(path)
            temporary.write_text(str(used))
            os.replace(temporary, path)

    def full(self) -> Iterator[tuple[int, str, os.stat_result]]:
        """Time of use, path and status of each file that is there."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.lstat(path)
                    if is_mine(status) and not is_hole(status):
                        yield status.st_atime_ns, path, status

    def evicted(self) -> int:
        """Make holes of what was not used for longest; gives the bytes that are left."""
        full = sorted(self.full(), key=lambda one: one[:2])
        used = sum(status.st_size for *_, status in full)
        for _, path, status in full[:-1]:
            if used <= _LEFT * self.limit:
                break
            with contextlib.suppress(OSError):
                stand(Path(path), status.st_size, status.st_mtime_ns)
                used -= status.st_size
        return used
