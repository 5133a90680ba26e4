"""Pictures whose headers are whole and that decode with a fault: found once, and remembered.

A scan reads headers alone, for decoding everything takes as long as an epoch. What fails in the
first pass is written down with the file's size, times and number, and left out from then on; the
splits stay as they were, so that the rest is what it would have been.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcli.errors import DataError
from tlcli.system.shown import shown

# Share of pictures above which a decoder, not the pictures, is to blame.
MOST_SHARE = 0.25
ERROR, WARNING = "error", "warning"


class Damage:
    """What is remembered of the pictures of a folder.

    Attributes:
        on_error: "skip" or "fail", for pictures that cannot be decoded.
        damaged: "skip", "use" or "fail", for those that libjpeg warns of.
        skipped: How many of how many files the scan left out.
    """

    def __init__(
        self, root: str, cache_dir: Path, on_error: str, damaged: str, skipped: tuple[int, int]
    ) -> None:
        """Nothing is read yet."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self._root, self._path = root, cache_dir / f"damage-{name}.json"
        self.on_error, self.damaged, self.skipped = on_error, damaged, skipped

    def known(self, ids: Sequence[str]) -> dict[int, str]:
        """Row to the reason, for the files that are remembered and did not change since."""
        held = self._held()
        if not held:
            return {}
        found = {}
        for row, name in enumerate(ids):
            if name in held:
                kind, why, *stamp = held[name]
                used = self.damaged == "use" if kind == WARNING else False
                if not used and stamp == self._stamp(name):
                    found[row] = str(why)
        return found

    def remember(self, found: Mapping[str, tuple[str, str]]) -> bool:
        """Write down kind and reason by id; whether that worked and something was new."""
        held = self._held()
        new = {name: [*why, *self._stamp(name)] for name, why in found.items()}
        if all(held.get(name) == entry for name, entry in new.items()):
            return False
        temporary = self._path.with_name(f"{self._path.stem}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({**held, **new}), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError:
            return False
        return True

    def fault(self, found: Mapping[str, tuple[str, str]], count: int) -> DataError:
        """What is raised for faults, by id, among so many pictures."""
        name, (kind, why) = next(iter(found.items()))
        more = f" ({len(found)} such files)" if len(found) > 1 else ""
        policy = self.on_error if kind == ERROR else self.damaged
        if policy == "fail":
            key = "on_error" if kind == ERROR else "damaged"
            remedy = f"Replace or remove it, or set data.{key}=skip."
            return DataError(shown(name), f"{why}{more}", remedy)
        left, of = self.skipped
        if len(found) > max(3 * left * count / max(of, 1), MOST_SHARE * count):
            what = f"{why}; {len(found)} of {count} pictures fail so, far more than at the scan"
            return DataError(shown(name), what, "Replace them, or set data.damaged=use.")
        return FaultyPictures(self, found)

    def _held(self) -> dict[str, list[Any]]:
        try:
            held = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return {k: v for k, v in held.items() if isinstance(v, list) and len(v) == 6} if isinstance(
            held, dict) else {}  # fmt: skip

    def _stamp(self, name: str) -> list[int]:
        try:
            status = os.stat(os.path.join(self._root, name))
        except OSError:
            return [0, 0, 0, 0]
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class FaultyPictures(DataError):  # noqa: N818 - named after what was found
    """Pictures that a pass could not use; the pass can begin again without them.

    Attributes:
        found: Kind and reason by id.
    """

    def __init__(self, damage: Damage, found: Mapping[str, tuple[str, str]]) -> None:
        self._damage, self.found = damage, found
        name, (_, why) = next(iter(found.items()))
        more = f" ({len(found)} such files)" if len(found) > 1 else ""
        super().__init__(shown(name), f"{why}{more}", "Replace or remove it.")

    def remember(self) -> bool:
        """Let later manifests be without them; False where that is not possible."""
        return self._damage.remember(self.found)

    def lines(self, most: int = 8) -> list[str]:
        """Each picture and why, for a person."""
        lines = [f"skipped    {shown(n)}: {why}" for n, (_, why) in list(self.found.items())[:most]]
        more = len(self.found) - most
        return [*lines, f"skipped    and {more} more"] if more > 0 else lines
