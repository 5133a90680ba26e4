"""One owner of an address: an object beside what is written says whose it is, and is kept fresh.

A store has no locks. The object is made where none is, which stores do for one of several that ask
at once; its owner writes it anew every minute, so that one of an owner that is gone is known by its
age, on the same machine by its process.
"""

import contextlib
import json
import threading
import uuid
from typing import Any

from tlcli.errors import ConfigError, TlError
from tlcli.runs.claim import Lost, held, myself, owner
from tlcli.system import console, remote_writing
from tlcli.system.shown import shown

# Seconds between two writings of it, and after which its owner is taken for gone.
FRESH, STALE = 60.0, 900.0


class RemoteClaim:
    """An address that this process alone writes to.

    Attributes:
        address: Of the object that says so.
        of: What it is for.
    """

    def __init__(self, address: str, of: str, content: bytes) -> None:
        """It is there already; from now on it is kept fresh."""
        self.address, self.of, self._content = address, of, content
        self._over = threading.Event()
        threading.Thread(target=self._keep, daemon=True).start()

    def check(self) -> None:
        """Make sure that it is still ours.

        Raises:
            Lost: Another process took it over, or somebody removed it.
            StoreError: That cannot be seen now.
        """
        if remote_writing.content_of(self.address) != self._content:
            raise Lost(
                f"{shown(self.of)}: was taken over or removed meanwhile. Nothing more is written."
            )

    def _keep(self) -> None:
        while not self._over.wait(FRESH):
            # What fails now is tried again in a minute; what is lost is told by `check`.
            with contextlib.suppress(TlError):
                self.check()
                if not self._over.is_set():
                    remote_writing.replace(self.address, self._content)

    def release(self) -> None:
        """Give it back."""
        self._over.set()
        with contextlib.suppress(TlError):
            if remote_writing.content_of(self.address) == self._content:
                remote_writing.remove(self.address)


def claimed(address: str, of: str, where: str) -> RemoteClaim:
    """Claim an address.

    Args:
        address: Of the object that says so.
        of: What it is for, an address.
        where: Dotted place in the configuration that names it.

    Raises:
        ConfigError: Another process has it.
        DataError: There is no such bucket, or nothing may be written.
        StoreError: The store does not answer.
    """
    content = json.dumps({**myself(), "claim": uuid.uuid4().hex}).encode()
    if remote_writing.create(address, content):
        return RemoteClaim(address, of, content)
    found = _read(address)
    if not _is_left(address, found):
        raise ConfigError(
            where, f"{shown(of)} is in use by {owner(found)}",
            f"Wait for it, end it, or give another {where}; if it is gone, remove {address} or "
            f"wait {STALE / 60:.0f} minutes.",
        )  # fmt: skip
    console.say(f"{shown(of)} was left by {owner(found)}, which is gone; this process goes on")
    remote_writing.remove(address)
    if remote_writing.create(address, content):
        return RemoteClaim(address, of, content)
    raise ConfigError(where, f"{shown(of)} is in use by {owner(_read(address))}", "Wait for it.")


def _read(address: str) -> dict[str, Any]:
    """What the object says; nothing where it says nothing of use."""
    try:
        found = json.loads(remote_writing.content_of(address) or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_left(address: str, found: dict[str, Any]) -> bool:
    """Whether an owner is gone: its process on this machine, or by what it has not written."""
    if held(found) is False and found:
        return True
    try:
        return remote_writing.age(address) > STALE
    except TlError:
        return remote_writing.content_of(address) is None
