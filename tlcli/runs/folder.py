"""The folder of a run: found, made, described."""

import csv
import io
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.config.job import TrainJob
from tlcli.errors import ConfigError, TlError
from tlcli.system import files


def find_run_dir(job: TrainJob) -> Path:
    """The run's folder; it is not made yet.

    Raises:
        ConfigError: The folder to go on with is none, or holds something else.
    """
    settings = job.settings
    if settings.resume:
        path = Path(settings.resume).expanduser()
        if not (path / "config.json").is_file():
            raise ConfigError("resume", f"{path} is no run folder", "Give a folder of tl train.")
        own = settings.run_dir and Path(settings.run_dir).expanduser().resolve() == path.resolve()
        if settings.run_dir and not own:
            raise ConfigError("run_dir", "resume goes on in its own folder", "Leave run_dir out.")
        return path
    if settings.run_dir is None:
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        base = Path("runs") / (settings.name or "train")
        path, number = base / stamp, 1
        while path.exists():
            number += 1
            path = base / f"{stamp}-{number}"
        return path
    path = Path(settings.run_dir).expanduser()
    ours = (path / "config.json").is_file()
    if path.is_dir() and any(path.iterdir()) and not ours:
        raise ConfigError("run_dir", f"{path} holds other files", "Give an empty or a new folder.")
    return path


def make_run_dir(run_dir: Path) -> None:
    """Make the run's folder.

    Raises:
        TlError: It cannot be made, or nothing can be written in it.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # The flags of a folder do not tell of a disk that is mounted read-only.
        with tempfile.TemporaryFile(dir=run_dir):
            pass
    except OSError as error:
        kept = " What is in it is whole." if (run_dir / "config.json").is_file() else ""
        raise TlError(
            f"run_dir: {run_dir} cannot be made or written ({error.strerror}).{kept} "
            "Give another run_dir."
        ) from None


def write_split(manifest: Any, run_dir: Path) -> None:
    """Write split.csv: id, class and split of each sample."""
    from tlcli.contracts.data import SPLIT_NAMES

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "class", "split"])
    splits = np.array(SPLIT_NAMES, object)[manifest.splits]
    writer.writerows(zip(manifest.ids, class_texts(manifest), splits, strict=True))
    files.write_text(run_dir / "split.csv", text.getvalue())


def class_texts(manifest: Any) -> Iterable[str]:
    """Class of each sample in words; several are separated by |."""
    names = np.array([*manifest.class_names, ""], object)
    if manifest.multi_label:
        return ("|".join(names[:-1][label > 0]) for label in manifest.labels)
    return (
        str(name) for name in names[manifest.labels]
    )  # -1, of a sample without a label, is the last
