"""What loggers keep of a run, so that one that goes on goes on with theirs too."""

from collections.abc import Mapping
from pathlib import Path

from tlcli.errors import DataError
from tlcli.runs import checkpoint
from tlcli.runs.schema import by_name, text
from tlcli.system import files

FILE = "loggers.json"


def read(run_dir: Path) -> dict[str, dict[str, str]]:
    """Texts of each logger by its label; nothing where none kept any.

    Raises:
        DataError: The file is damaged.
    """
    path = run_dir / FILE
    if not path.is_file():
        return {}
    try:
        found: dict[str, dict[str, str]] = by_name(by_name(text))(checkpoint.read_json(path))
    except ValueError as problem:
        raise DataError(str(path), str(problem), "Remove it: loggers begin anew.") from None
    return found


def write(run_dir: Path, kept: Mapping[str, Mapping[str, str]]) -> None:
    """Write the texts of all loggers.

    Raises:
        WriteError: The disk is full, or the folder cannot be written.
    """
    files.write_json(run_dir / FILE, {label: dict(own) for label, own in kept.items()})


def forget(run_dir: Path) -> None:
    """Let loggers begin anew."""
    (run_dir / FILE).unlink(missing_ok=True)
