"""The folder of a run: found, made, described."""

import contextlib
import csv
import io
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.config.job import TrainJob
from tlcli.config.recipe import written
from tlcli.contracts.data import SPLIT_NAMES, Manifest
from tlcli.errors import ConfigError, TlError
from tlcli.evaluation.strangers import Strangers
from tlcli.runs import checkpoint, claim, logger_ids, predictions, remote_folder, strangers
from tlcli.runs.claim import Claim
from tlcli.runs.predictions import Predictions
from tlcli.runs.remote_copy import sent_if_possible
from tlcli.runs.remote_folder import RemoteFolder
from tlcli.system import files, remote_writing
from tlcli.system.files import expanded
from tlcli.system.remote import is_address
from tlcli.system.shown import defused, shown
from tlcli.system.standing import stands

# What a folder of a run at an address holds, if it holds anything.
OURS = ("config.json",)

RECIPE_HEAD = "# Chosen by config=auto; edit it and train by it: tl train config=THIS_FILE\n"


def find_run_dir(job: TrainJob, local: Path | None = None) -> Path:
    """The run's folder; made where its name was free to choose, unless only a plan is asked for.

    Args:
        job: What is trained in it.
        local: The folder that stands for its address, where it has one.

    Raises:
        ConfigError: The folder to go on with is none, or holds something else.
    """
    settings = job.settings
    if settings.resume:
        path = local or expanded(settings.resume, "resume")
        if not (path / "config.json").is_file():
            problem = f"{shown(path)} is no run folder"
            raise ConfigError("resume", problem, "Give a folder of tl train.")
        if settings.run_dir and not _same(settings.run_dir, settings.resume):
            raise ConfigError("run_dir", "resume goes on in its own folder", "Leave run_dir out.")
        return path
    if settings.run_dir is None:
        base = Path("runs") / (settings.name or "train")
        return claim.free_name(base) if settings.plan_only else claim.new_folder(base)
    path = local or expanded(settings.run_dir, "run_dir")
    ours = (path / "config.json").is_file()
    if path.is_dir() and {p.name for p in path.iterdir()} - {claim.LOCK} and not ours:
        raise ConfigError("run_dir", f"{path} holds other files", "Give an empty or a new folder.")
    return path


def _same(first: str, second: str) -> bool:
    """Whether two words name one folder."""
    if is_address(first) or is_address(second):
        return first.rstrip("/") == second.rstrip("/")
    return expanded(first, "run_dir").resolve() == expanded(second, "resume").resolve()


@contextlib.contextmanager
def chosen(job: TrainJob, finished: Callable[[Path], bool]) -> Iterator["RunFolder"]:
    """A run's folder, this process's own until the end unless there is nothing left to write.

    Args:
        job: What is trained in it.
        finished: Whether nothing is left to write in a folder.

    Raises:
        ConfigError: See find_run_dir; or another process has it.
        TlError: It cannot be made, nothing can be written in it, or its address does not answer.
    """
    given = job.settings.resume or job.settings.run_dir
    with contextlib.ExitStack() as stack:
        remote = None
        if given is not None and is_address(given):
            where = "resume" if job.settings.resume else "run_dir"
            looked_at = _planned if job.settings.plan_only else remote_folder.folder
            remote = stack.enter_context(looked_at(given, where, OURS))
        path = find_run_dir(job, None if remote is None else remote.path)
        if finished(path):
            yield RunFolder(path, True, job.settings.retry_seconds, remote=remote)
            return
        with claimed(job, path) as folder:
            yield replace(folder, remote=remote)


@contextlib.contextmanager
def _planned(address: str, where: str, holds: Iterable[str]) -> Iterator[RemoteFolder]:
    """A folder at an address that is only looked at, in a copy of its own."""
    remote_writing.check_writable(address, where)
    with tempfile.TemporaryDirectory(prefix="tl-") as base:
        one = RemoteFolder(address, None, Path(base))
        stands(one.path, address)
        one.begin(holds, where)
        yield one


@contextlib.contextmanager
def claimed(job: TrainJob, path: Path) -> Iterator["RunFolder"]:
    """A run's folder, this process's own until the end; for a plan nothing is claimed.

    Args:
        job: What is trained in it.
        path: Where it is; the folder need not exist.

    Raises:
        ConfigError: Another process has it.
        TlError: It cannot be made, or nothing can be written in it.
    """
    settings = job.settings
    folder = RunFolder(path, True, settings.retry_seconds)
    if settings.plan_only:
        yield folder
        return
    new = settings.run_dir is None and settings.resume is None
    with claim.owned(path, "resume" if settings.resume else "run_dir", new) as owner:
        yield replace(folder, owner=owner)


@dataclass(frozen=True)
class RunFolder:
    """A run's folder in use; the chief alone writes in it.

    Attributes:
        path: Where it is.
        is_chief: Whether this process is the one that writes.
        retry: Seconds that a full disk is waited for.
        owner: What makes it this process's own; None where nothing is written.
        remote: What of it is at an address; None of a run on this machine.
    """

    path: Path
    is_chief: bool
    retry: float
    owner: Claim | None = None
    remote: RemoteFolder | None = None

    def send(self) -> None:
        """Let the address of the run hold what the folder does; what fails is told, and ends none.

        Raises:
            Lost: Another process took the address over.
        """
        if self.remote is not None and self.is_chief:
            sent_if_possible(self.remote.path, self.remote.send)

    def check(self) -> None:
        """Make sure before each write that the folder is still ours.

        Raises:
            Lost: It is not.
        """
        if self.owner is not None:
            self.owner.check()

    def made(self) -> "RunFolder":
        """The same, there on disk.

        Raises:
            TlError: It cannot be made.
        """
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise claim.unwritable(self.path, "run_dir", error) from None
        return self

    def begin(self, job: TrainJob, manifest: Manifest) -> None:
        """Say in the folder what is trained on what."""
        if not self.is_chief:
            return
        self.check()
        files.remove_torn(self.path)
        checkpoint.write_config(self.path, job.config)
        if job.reasons:
            text = RECIPE_HEAD + written(job.config, job.reasons)
            files.write_text(self.path / "auto.yaml", text)
        write_split(manifest, self.path)

    def begin_again(self, job: TrainJob) -> None:
        """Let the folder be as if nothing of its training was done yet.

        Args:
            job: As it was before anything was measured on the data.
        """
        if self.is_chief:
            self.check()
            self.forget_state()
            logger_ids.forget(self.path)
            files.write_json(self.path / "config.json", dict(job.config))

    def note_contents(self, manifest: Manifest) -> None:
        """Say in split.csv what each picture was, now that all have been read."""
        if self.is_chief:
            hashes = manifest.images.hashes(np.arange(len(manifest.ids)))
            write_split(manifest, self.path, hashes)

    def inside(self, name: str) -> "RunFolder":
        """A folder of the same kind within this one."""
        return replace(self, path=self.path / name)

    def write(
        self, model: Any, config: Mapping[str, Any], figures: Mapping[str, Any],
        metadata: Mapping[str, Any], predicted: Predictions | None = None,
        known: Strangers | None = None,
    ) -> None:  # fmt: skip
        """Write a finished run: figures, predictions, what tells strangers, facts, weights."""
        if not self.is_chief:
            return
        path = self.made().path
        require_finite(figures, path)

        def write() -> None:
            self.check()
            try:
                files.write_json(path / "metrics.json", figures)
                if predicted is not None:
                    predictions.write(path, predicted)
                if known is not None:
                    strangers.write(path, known)
                checkpoint.write_run(path, model, dict(config), files.finite(dict(metadata)))
            except OSError as error:
                raise files.write_error(path, error) from error

        files.patiently(write, self.retry)
        self.check()

    def forget_state(self) -> None:
        """Take away what a finished run does not go on from."""
        if self.is_chief:
            shutil.rmtree(self.path / "state", ignore_errors=True)


def require_finite(figures: Mapping[str, Any], path: Path) -> None:
    """Refuse to make a run of figures that are not numbers.

    Raises:
        TlError: One is not finite.
    """
    for split, found in figures.items():
        for name, value in found.items():
            if not math.isfinite(value):
                raise TlError(
                    f"{path}: {name} on {split} is {value}, so this is no run. Lower "
                    "optimizer.learning_rate, or set optimizer.clip_norm=1."
                )


def write_split(manifest: Manifest, run_dir: Path, found: Any = None) -> None:
    """Write split.csv: id, class and split of each sample.

    Args:
        manifest: The data.
        run_dir: Where to write.
        found: Hash of each sample's picture for a column of its own, uint8 (samples, bytes); or
            None.
    """
    # What was left out at the end is in no split.
    names = np.array([*SPLIT_NAMES, ""], object)
    splits = names[np.minimum(manifest.splits, len(SPLIT_NAMES))]
    more = [] if found is None else [(bytes(row).hex() for row in found)]
    columns = [manifest.ids, class_texts(manifest), splits, *more]

    def fill(file: Any) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "class", "split", *(["content"] if more else [])])
        writer.writerows(
            (defused(str(name)), defused(label), *rest)
            for name, label, *rest in zip(*columns, strict=True) if rest[0]
        )  # fmt: skip
        text.detach()

    files.write(run_dir / "split.csv", fill)


def class_texts(manifest: Any) -> Iterable[str]:
    """Class of each sample in words; several are separated by |."""
    names = np.array([*manifest.class_names, ""], object)
    if manifest.multi_label:
        return ("|".join(names[:-1][label > 0]) for label in manifest.labels)
    return (
        str(name) for name in names[manifest.labels]
    )  # -1, of a sample without a label, is the last
