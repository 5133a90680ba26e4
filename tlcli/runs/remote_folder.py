"""What is written to an address: made in a local folder, sent in an order that a cut does no harm.

A store renames nothing. So the file whose presence promises that a folder is whole is sent last,
when all else is there, and a state's description after its arrays; what is to be replaced by a
promise of other content is taken away first. What was sent is noted beside the local copy: a start
after a cut goes on from there, and knows what others changed.
"""

import contextlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tlcli.errors import ConfigError, TlError
from tlcli.runs.claim import LOCK
from tlcli.runs.remote_claim import RemoteClaim, claimed
from tlcli.runs.remote_copy import fetch, place_of, sent_if_possible, told_where
from tlcli.system import console, files, remote_writing
from tlcli.system.files import MARK
from tlcli.system.opened import read_text
from tlcli.system.remote import AT_A_TIME, Object
from tlcli.system.remote_cache import current
from tlcli.system.remote_listing import listed
from tlcli.system.shown import shown
from tlcli.system.standing import stands

# Files whose presence says that all else of their folder is there.
PROMISES = ("model.weights.h5", "manifest.json", "prepared.json")
RECORD = "sent.json"
_EARLY, _LATE, _LAST = range(3)


class RemoteFolder:
    """A folder at an address, and the local one in which it is made.

    Attributes:
        address: Without a slash at its end.
        path: The local folder.
    """

    def __init__(self, address: str, claim: RemoteClaim | None, base: Path | None = None) -> None:
        """What is there and what was sent before is not looked at yet."""
        self.address, self._claim = address.rstrip("/"), claim
        self.path = place_of(address, base)
        # Of each object its version, and size and time of the local file that it is.
        self._sent: dict[str, list[Any]] = {}
        self._lock = threading.Lock()

    # ---- at the start -------------------------------------------------------------------------

    def begin(self, holds: Iterable[str], where: str) -> None:
        """Let the local folder be what is at the address, or go on with what was not sent yet.

        Args:
            holds: Names of which one must be there, if anything is.
            where: Dotted place in the configuration that names it.

        Raises:
            ConfigError: There is something else, or what others wrote meanwhile.
            DataError: It may not be read.
            StoreError: The store does not answer.
        """
        there = {one.address[len(self.address) + 1 :]: one for one in listed(self.address) or ()}
        there.pop(LOCK, None)
        self._sent = self._noted()
        if there and not set(holds) & set(there) and not (self._sent and self._is_as_sent(there)):
            problem = f"{shown(self.address)} holds other files, or what a broken start left"
            remedy = "Give an address where nothing is, or remove them."
            raise ConfigError(where, problem, remedy)
        if self._goes_on(there, where):
            self._sent = {name: self._sent.get(name, [one.version, -1, -1])
                          for name, one in there.items()}  # fmt: skip
            return
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self._sent = {}
        self._fetch(there)

    def _goes_on(self, there: Mapping[str, Object], where: str) -> bool:
        """Whether the local folder is what is there, or what is to be there next."""
        unsent, same = self.unsent(), self._is_as_sent(there)
        if same and unsent:
            console.say(f"{self.path.parent} holds what was not sent to {shown(self.address)} "
                        "before; this process goes on with it")  # fmt: skip
        if unsent and not same:
            raise ConfigError(
                where, f"{shown(self.address)} was changed by others, and {self.path.parent} holds "
                f"{len(unsent)} files that were never sent there",
                "Remove one of them; without the local ones, what is in the store is gone on with.",
            )  # fmt: skip
        return same and self.path.is_dir() and there.keys() <= dict(self._files()).keys()

    def _is_as_sent(self, there: Mapping[str, Object]) -> bool:
        """Whether all that is at the address was sent from here."""
        return all(
            self._sent.get(name, [""])[0] == one.version
            # It may have been sent just before this could be noted.
            or remote_writing.matches(self.path / name, one)
            for name, one in there.items()
        )

    def _fetch(self, there: Mapping[str, Object]) -> None:
        files.make_folder(self.path)
        root = current().place(self.address)

        def fetched(one: tuple[str, Object]) -> None:
            path = self.path / current().place(one[1].address).relative_to(root)
            files.make_folder(path.parent)
            fetch(one[1], path)
            self._note(one[0], os.stat(path), one[1])

        size = sum(one.size for one in there.values())
        files.check_room(self.path, size, f"files of {shown(self.address)}")
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            parts = pool.map(fetched, there.items())
            list(console.staged(parts, "fetching what is there", len(there), "files"))
        self._write_record()

    # ---- sending ------------------------------------------------------------------------------

    def unsent(self) -> dict[str, os.stat_result]:
        """Local files that are not at the address as they are now, by name."""
        return {
            name: status for name, status in self._files()
            if self._sent.get(name, ["", 0, 0])[1:] != [status.st_size, status.st_mtime_ns]
        }  # fmt: skip

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder, _, names in os.walk(self.path):
            for name in sorted(names):
                path = Path(folder, name)
                hidden = name.startswith(".") or name.endswith(MARK) or name == LOCK
                with contextlib.suppress(FileNotFoundError):
                    if not hidden and stat.S_ISREG((status := path.stat()).st_mode):
                        yield path.relative_to(self.path).as_posix(), status

    def send(self) -> None:
        """Let the address hold what the local folder does.

        Raises:
            Lost: Another process took the address over.
            DataError: It may not be written.
            StoreError: The store does not answer.
        """
        unsent = self.unsent()
        gone = sorted(set(self._sent) - dict(self._files()).keys(), key=_rank, reverse=True)
        if not unsent and not gone:
            return
        self._check()
        try:
            for name in [one for one in unsent if _rank(one) == _LAST and one in self._sent]:
                self._remove(name)
            for rank in (_EARLY, _LATE, _LAST):
                self._put([name for name in unsent if _rank(name) == rank])
                self._check()
            for name in gone:
                self._remove(name)
        finally:
            self._write_record()

    def _check(self) -> None:
        if self._claim is not None:
            self._claim.check()

    def _put(self, names: list[str]) -> None:
        def put(name: str) -> None:
            status, one = remote_writing.put(self.path / name, f"{self.address}/{name}")
            self._note(name, status, one)
            self._write_record()

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            parts = pool.map(put, names)
            list(console.staged(parts, "sending files", len(names), "files"))

    def _remove(self, name: str) -> None:
        remote_writing.remove(f"{self.address}/{name}")
        self._sent.pop(name, None)

    # ---- what was sent ------------------------------------------------------------------------

    def _note(self, name: str, status: os.stat_result, one: Object) -> None:
        with self._lock:
            self._sent[name] = [one.version, status.st_size, status.st_mtime_ns]

    def _noted(self) -> dict[str, list[Any]]:
        try:
            found = json.loads(read_text(self.path.parent / RECORD, "json"))
        except (TlError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_record(self) -> None:
        with self._lock:
            files.write_json(self.path.parent / RECORD, self._sent)

    def end(self) -> None:
        """Give the address back; a local copy of what is there goes."""
        if self._claim is None:
            return
        self._claim.release()
        if not self.unsent():
            shutil.rmtree(self.path.parent, ignore_errors=True)


def _rank(name: str) -> int:
    folder, _, own = name.rpartition("/")
    if own in PROMISES:
        return _LAST
    return _LATE if folder.rpartition("/")[2] == "state" and own.endswith(".json") else _EARLY


@contextlib.contextmanager
def folder(
    address: str, where: str, holds: Iterable[str] = (), mine: bool = True,
    base: Path | None = None,
) -> Iterator[RemoteFolder]:  # fmt: skip
    """A folder at an address, this process's own; all is sent when its work is done.

    Args:
        address: As typed.
        where: Dotted place in the configuration that names it.
        holds: Names of which one must be there, if anything is.
        mine: Whether this process is the one of several that claims and sends.
        base: A folder that all of them see, or None.

    Raises:
        ConfigError: Another process has it, or there is something else.
        DataError: It may not be written.
        StoreError: The store does not answer; a local copy stays.
    """
    remote_writing.check_writable(address, where)
    address = address.rstrip("/")
    lock = claimed(f"{address}/{LOCK}", address, where) if mine else None
    one = RemoteFolder(address, lock, base)
    stands(one.path, address)
    try:
        one.begin(holds, where)
        try:
            yield one
        except BaseException:
            if mine:
                sent_if_possible(one.path, one.send)
            raise
        if mine:
            told_where(one.path, one.send)
    finally:
        one.end()
