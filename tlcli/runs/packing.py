"""What of a run or an export is carried elsewhere, and what a finished run does not need."""

from collections.abc import Iterator
from pathlib import Path

from tlcli.runs import checkpoint, sealed
from tlcli.system.files import MARK

# Beside what is sealed; of no use to a reader but a person.
TOLD = ("report.html", "train.log")


def files_of_run(folder: Path) -> list[str]:
    """Names of a finished run's files, and of those of the finished runs inside it.

    Its state, its exports and what loggers wrote stay behind.

    Raises:
        DataError: It is no finished run, or a file of it is damaged.
    """
    checkpoint.read_facts(folder)
    names = (*sealed.FILES, sealed.METADATA, sealed.SEAL, *TOLD)
    own = [name for name in names if (folder / name).is_file()]
    return own + [
        f"{inner.name}/{name}" for inner in _inner(folder) for name in files_of_run(inner)
    ]


def _inner(folder: Path) -> Iterator[Path]:
    """Finished runs that belong to a run: its teacher, its control, its generations."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and checkpoint.is_finished(path):
            yield path


def needless(folder: Path) -> list[Path]:
    """What a finished run and those inside it keep without need: states, and torn files.

    Raises:
        DataError: It is no finished run, or a file of it is damaged.
        ConfigError: Another process works in it.
    """
    checkpoint.read_facts(folder)
    found = [folder / "state"] if (folder / "state").is_dir() else []
    found += sorted({*folder.glob(f".*{MARK}"), *folder.glob(".new.*")})
    for inner in _inner(folder):
        found += needless(inner)
    return found
