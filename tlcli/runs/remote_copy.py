"""The local copy of what is at an address: where it lies, how it is fetched, and how it is told."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tlcli.errors import DataError, TlError
from tlcli.runs.claim import Lost
from tlcli.system import console, remote
from tlcli.system.notes import WARNING
from tlcli.system.remote import Object, StoreError
from tlcli.system.remote_cache import current
from tlcli.system.remote_files import beside
from tlcli.system.shown import shown


def place_of(address: str, base: Path | None = None) -> Path:
    """Where what is written to an address is made.

    Args:
        address: Of a folder or a file.
        base: A folder that several machines see, where they write together; None for the cache.
    """
    address = address.rstrip("/")
    own = sha256(address.encode()).hexdigest()[:24]
    return (
        (base or current().root.parent).absolute() / "sending" / own / current().place(address).name
    )


def told_where(
    path: Path, send: Callable[[], None], then: str = "starting it again sends it"
) -> None:
    """Send, and where that fails say where the local copy is.

    Args:
        path: The copy.
        send: Sends it.
        then: What is to be done.

    Raises:
        StoreError: It failed.
    """
    try:
        send()
    except (DataError, StoreError) as error:
        # By its folder, for the path itself would be told by the address.
        raise StoreError(
            f"{error} All that was made is whole: {path.name} in the folder {path.parent}; {then}."
        ) from None


def fetch(one: Object, path: Path) -> None:
    """Write an object into a file, which appears whole.

    Raises:
        DataError: It is gone, may not be read, or was replaced meanwhile.
        StoreError: The store does not answer.
    """
    temporary = beside(path)
    try:
        with open(temporary, "wb") as file:
            remote.fetch(one, file.fileno())
        if remote.info_of(one.address) != one:
            remedy = "Run it again when nobody writes there."
            raise DataError(shown(one.address), "was replaced while it was read", remedy)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sent_if_possible(path: Path, send: Callable[[], None]) -> None:
    """Send what there is of work that goes on or was broken off; where that fails, tell it."""
    try:
        told_where(path, send, "it is sent with the next state, or when the work is started again")
    except Lost:
        raise
    except TlError as error:
        console.say(f"{'sending':<10} {error}", WARNING)
