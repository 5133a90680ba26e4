"""A file that is written to an address: made in the cache, sent whole, then gone from there."""

import contextlib
import shutil
from hashlib import sha256
from pathlib import Path

from tlcli.errors import ConfigError, TlError
from tlcli.runs.remote_claim import RemoteClaim, claimed
from tlcli.runs.remote_copy import place_of, told_where
from tlcli.system import files, remote_writing
from tlcli.system.opened import read_text
from tlcli.system.remote import Object
from tlcli.system.remote_cache import current
from tlcli.system.remote_listing import listed
from tlcli.system.shown import shown
from tlcli.system.standing import stands


class RemoteFile:
    """A file at an address, and the local one in which it is made."""

    def __init__(self, address: str, claim: RemoteClaim | None) -> None:
        """Nothing is made yet."""
        self.address, self.path, self.claim = address, place_of(address), claim

    @property
    def note(self) -> Path:
        """The file that says which version at the address was sent from here."""
        own = sha256(self.address.encode()).hexdigest()[:32]
        return current().root.parent / "outputs" / f"{own}.sent"

    def send(self) -> None:
        """Send what was made; the local file goes."""
        if self.claim is None:
            return
        self.claim.check()
        _, one = remote_writing.put(self.path, self.address)
        with contextlib.suppress(TlError):
            files.make_folder(self.note.parent)
            files.write_text(self.note, one.version)
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self.end()

    def end(self) -> None:
        """Give the address back."""
        if self.claim is not None:
            self.claim.release()
            self.claim = None


_open: dict[Path, RemoteFile] = {}


def file(address: str, overwrite: bool, where: str, mine: bool) -> Path:
    """The local file in which one at an address is made.

    Args:
        address: As typed.
        overwrite: Whether an object of another's may be replaced.
        where: Dotted place in the configuration that names it.
        mine: Whether this process is the one that writes.

    Raises:
        ConfigError: There is an object that tl did not write, or another process writes it.
        DataError: It may not be written.
        StoreError: The store does not answer.
    """
    remote_writing.check_writable(address, where)
    one = RemoteFile(address, None)
    found = listed(address) if mine else None
    if found and not overwrite and not _is_ours(one, found):
        problem = f"{shown(address)} is there, and tl did not write it"
        raise ConfigError(where, problem, "Give another file, or overwrite=true.")
    if mine:
        one.claim = claimed(f"{address}.lock", address, where)
        _open[one.path] = one
    stands(one.path, address)
    files.make_folder(one.path.parent)
    return one.path


def _is_ours(one: RemoteFile, found: list[Object]) -> bool:
    try:
        return [one.address] == [object_.address for object_ in found] and (
            read_text(one.note, "recipe") == found[0].version
        )
    except TlError:
        return False


def arrived(path: Path) -> None:
    """Send a file that was made for an address; any other stays where it is.

    Raises:
        Lost: Another process took the address over.
        StoreError: It could not be sent; where the local copy is, it says.
    """
    if (one := _open.pop(path, None)) is None:
        return
    try:
        told_where(path, one.send, "copy it there, or run the command again")
    finally:
        one.end()


def release_all() -> None:
    """Give back the addresses of files that were not made."""
    for path in list(_open):
        _open.pop(path).end()
