"""Where what a person typed lies: a path of theirs, or the one that stands for an address."""

from pathlib import Path

from tlcli.system import remote
from tlcli.system.files import expanded
from tlcli.system.remote_cache import current


def located(given: str, where: str) -> Path:
    """The path of what was typed.

    Args:
        given: A path or an address.
        where: Dotted place in the configuration, for messages.

    Raises:
        ConfigError: There is no such home folder, or nothing at the address.
        DataError: It may not be read.
        StoreError: The store does not answer.
    """
    return current().local(given, where) if remote.is_address(given) else expanded(given, where)


def parent(given: str) -> str:
    """What lies above a path or an address."""
    return given.rstrip("/").rpartition("/")[0] if remote.is_address(given) else str(
        Path(given).parent)  # fmt: skip
