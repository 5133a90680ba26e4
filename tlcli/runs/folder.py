"""The folder of a run: found, made, described."""

import csv
import io
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.config.job import TrainJob
from tlcli.config.recipe import written
from tlcli.contracts.data import SPLIT_NAMES, Manifest
from tlcli.errors import ConfigError, TlError
from tlcli.runs import checkpoint
from tlcli.system import files
from tlcli.system.files import expanded

RECIPE_HEAD = "# Chosen by config=auto; edit it and train by it: tl train config=THIS_FILE\n"


def find_run_dir(job: TrainJob) -> Path:
    """The run's folder; it is not made yet.

    Raises:
        ConfigError: The folder to go on with is none, or holds something else.
    """
    settings = job.settings
    if settings.resume:
        path = expanded(settings.resume, "resume")
        if not (path / "config.json").is_file():
            raise ConfigError("resume", f"{path} is no run folder", "Give a folder of tl train.")
        own = settings.run_dir and expanded(settings.run_dir, "run_dir").resolve() == path.resolve()
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
    path = expanded(settings.run_dir, "run_dir")
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


@dataclass(frozen=True)
class RunFolder:
    """A run's folder in use; the chief alone writes in it.

    Attributes:
        path: Where it is.
        is_chief: Whether this process is the one that writes.
        retry: Seconds that a full disk is waited for.
    """

    path: Path
    is_chief: bool
    retry: float

    def begin(self, job: TrainJob, manifest: Manifest) -> None:
        """Say in the folder what is trained on what."""
        if not self.is_chief:
            return
        files.remove_torn(self.path)
        files.write_json(self.path / "config.json", dict(job.config))
        if job.reasons:
            text = RECIPE_HEAD + written(job.config, job.reasons)
            files.write_text(self.path / "auto.yaml", text)
        write_split(manifest, self.path)

    def note_contents(self, manifest: Manifest) -> None:
        """Say in split.csv what each picture was, now that all have been read."""
        if self.is_chief:
            hashes = manifest.images.hashes(np.arange(len(manifest.ids)))
            write_split(manifest, self.path, [bytes(row).hex() for row in hashes])

    def inside(self, name: str) -> "RunFolder":
        """A folder of the same kind within this one."""
        return replace(self, path=self.path / name)

    def write(
        self, model: Any, config: Mapping[str, Any], figures: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Write a finished run: figures, facts, weights."""
        if not self.is_chief:
            return
        path = self.path
        path.mkdir(parents=True, exist_ok=True)
        for action in (
            lambda: files.write_json(path / "metrics.json", figures),
            lambda: checkpoint.write_run(path, model, dict(config), dict(metadata)),
        ):
            files.patiently(action, self.retry)

    def forget_state(self) -> None:
        """Take away what a finished run does not go on from."""
        if self.is_chief:
            shutil.rmtree(self.path / "state", ignore_errors=True)


def write_split(manifest: Manifest, run_dir: Path, found: Sequence[str] = ()) -> None:
    """Write split.csv: id, class and split of each sample.

    Args:
        manifest: The data.
        run_dir: Where to write.
        found: Hash of each sample's picture for a column of its own, or none.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "class", "split", *(["content"] if found else [])])
    splits = np.array(SPLIT_NAMES, object)[manifest.splits]
    columns = [manifest.ids, class_texts(manifest), splits, *([found] if found else [])]
    writer.writerows(zip(*columns, strict=True))
    files.write_text(run_dir / "split.csv", text.getvalue())


def class_texts(manifest: Any) -> Iterable[str]:
    """Class of each sample in words; several are separated by |."""
    names = np.array([*manifest.class_names, ""], object)
    if manifest.multi_label:
        return ("|".join(names[:-1][label > 0]) for label in manifest.labels)
    return (
        str(name) for name in names[manifest.labels]
    )  # -1, of a sample without a label, is the last
