"""Pictures whose headers are whole and that decode with a fault: found once, and remembered.

A scan reads headers alone, for decoding everything takes as long as an epoch. What fails in the
first pass is written down by its content and left out from then on; the splits stay as they were,
so that the rest is what it would have been.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from tlcli.data.content import content_hash
from tlcli.errors import DataError, TlError
from tlcli.system import cache
from tlcli.system.opened import read_text
from tlcli.system.remote import is_address
from tlcli.system.shown import shown

Value = TypeVar("Value")

# Share of pictures above which a decoder, not the pictures, is to blame.
MOST_SHARE = 0.25
ERROR, WARNING = "error", "warning"
# What was found by this process, for a cache that cannot be written.
_found_here: dict[Path, dict[str, "Fault"]] = {}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a picture.

    Attributes:
        kind: ERROR where it cannot be decoded, WARNING where libjpeg warns of it.
        why: In words that follow its name.
        content: Hash of its bytes, hex.
        size: Bytes of the file that it is in.
        mark: See stamps.mark; with the size it spares reading the picture again.
    """

    kind: str
    why: str
    content: str
    size: int
    mark: int


class Damage:
    """What is remembered of the pictures of a source.

    Attributes:
        on_error: "skip" or "fail", for pictures that cannot be decoded.
        damaged: "skip", "use" or "fail", for those that libjpeg warns of.
        skipped: How many of how many files the scan left out.
        left: How many more are left out because they are remembered.
    """

    def __init__(
        self, root: str, cache_dir: Path, on_error: str, damaged: str, skipped: tuple[int, int]
    ) -> None:
        """Nothing is read yet."""
        place = root if is_address(root) else os.path.realpath(root)
        name = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
        self._path = cache_dir / f"faults-{name}.json"
        self.on_error, self.damaged, self.skipped, self.left = on_error, damaged, skipped, 0
        # What this listing knew: another process may write down the same fault meanwhile.
        self._told: dict[str, Fault] = {}

    def known(
        self, ids: Sequence[str], stamps: Any, read: Callable[[int], bytes]
    ) -> dict[int, str]:
        """Row to the reason, for pictures that are remembered, still the same and not to be used.

        Args:
            ids: Of all samples.
            stamps: Bytes and mark of the file of each, int64 (samples, 2).
            read: Bytes of a row, asked of those alone whose file has another stamp.

        Raises:
            DataError: Such a picture is to stop the command.
        """
        held = self._told = self._held()
        found: dict[int, Fault] = {}
        for row, name in enumerate(ids) if held else ():
            fault = held.get(name)
            if fault is None or self._policy(fault) == "use":
                continue
            if (fault.size, fault.mark) == tuple(stamps[row].tolist()) or _same(fault, read, row):
                found[row] = fault
        for row, fault in found.items():
            if self._policy(fault) == "fail":
                raise self._refusal(ids[row], fault, len(found))
        self.left = len(found)
        return {row: fault.why for row, fault in found.items()}

    def remember(self, found: Mapping[str, Fault]) -> bool:
        """Keep faults by id; whether one was new to this listing of the data."""
        if all(self._told.get(name) == fault for name, fault in found.items()):
            return False
        together = {**self._held(), **found}
        self._told = _found_here[self._path] = together
        text = json.dumps({name: astuple(fault) for name, fault in together.items()})
        # Where that cannot be, other commands find them again.
        cache.write(self._path, lambda file: file.write(text.encode()))
        return True

    def fault(self, found: Mapping[str, Fault], count: int) -> DataError:
        """What is raised for faults, by id, among so many pictures that were not left out."""
        name, one = next(iter(found.items()))
        refused = next((f for f in found.items() if self._policy(f[1]) == "fail"), None)
        if refused is not None:
            return self._refusal(*refused, len(found))
        count, faulty, (left, of) = count + self.left, len(found) + self.left, self.skipped
        if faulty > max(3 * left * count / max(of, 1), MOST_SHARE * count):
            what = f"{one.why}; {faulty} of {count} pictures fail so, far more than at the scan"
            remedy = "Replace them." if one.kind == ERROR else (
                "Replace them, or set data.damaged=use.")  # fmt: skip
            return DataError(shown(name), what, remedy)
        return FaultyPictures(self, found)

    def _policy(self, fault: Fault) -> str:
        return self.on_error if fault.kind == ERROR else self.damaged

    def _refusal(self, name: str, fault: Fault, count: int) -> DataError:
        more = f" ({count} such files)" if count > 1 else ""
        key = "on_error" if fault.kind == ERROR else "damaged"
        remedy = f"Replace or remove it, or set data.{key}=skip."
        return DataError(shown(name), f"{fault.why}{more}", remedy)

    def _held(self) -> dict[str, Fault]:
        here = _found_here.get(self._path, {})
        return (cache.read(self._path, _read_faults) or {}) | here


def _read_faults(path: Path) -> dict[str, Fault]:
    held = json.loads(read_text(path, "json"))
    return {name: Fault(*map(_typed, one)) for name, one in held.items()}


def _typed(value: Any) -> Any:
    """A field of a fault as JSON has it.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, (str, int)):
        raise TypeError(value)
    return value


def _same(fault: Fault, read: Callable[[int], bytes], row: int) -> bool:
    try:
        return bool(fault.content) and content_hash(read(row)).hex() == fault.content
    except (TlError, OSError):
        return False


class FaultyPictures(DataError):  # noqa: N818 - named after what was found
    """Pictures that a pass could not use; the pass can begin again without them.

    Attributes:
        found: What is wrong by id.
    """

    def __init__(self, damage: Damage, found: Mapping[str, Fault]) -> None:
        self._damage, self.found = damage, found
        name, fault = next(iter(found.items()))
        more = f" ({len(found)} such files)" if len(found) > 1 else ""
        super().__init__(shown(name), f"{fault.why}{more}", "Replace or remove it.")

    def remember(self) -> bool:
        """Let later manifests be without them; False where they were to be already."""
        return self._damage.remember(self.found)

    def lines(self, most: int = 8) -> list[str]:
        """Each picture and why, for a person."""
        some = list(self.found.items())[:most]
        lines = [f"skipped    {shown(name)}: {fault.why}" for name, fault in some]
        more = len(self.found) - most
        return [*lines, f"skipped    and {more} more"] if more > 0 else lines


def persistent(action: Callable[[], Value], say: Callable[[str], object]) -> Value:
    """What an action gives, begun again without the pictures that it found faulty.

    Args:
        action: Lists the data anew each time.
        say: Gets a line for each such picture.

    Raises:
        FaultyPictures: One that was to be left out already.
    """
    while True:
        try:
            return action()
        except FaultyPictures as fault:
            if not fault.remember():
                raise
            for line in fault.lines():
                say(line)
