"""What a command line stands for."""

from tlcli.config import compose
from tlcli.config.checking import check_request


def config(command, *words):
    """The plain configuration that a command line stands for."""
    return compose.plain(compose.read(command, [str(word) for word in words]))


def checked(command, *words):
    """What a command is given for a command line."""
    return check_request(compose.read(command, [str(word) for word in words]))
