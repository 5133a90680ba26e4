"""`tl export`: a run in the format of another runtime, proved to answer as the run does."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlcli.commands.evaluate import data_of
from tlcli.commands.namer import limit_of
from tlcli.config import bundled
from tlcli.config.checking import Checked
from tlcli.config.settings import Export
from tlcli.contracts.data import TEST, TRAIN, VALIDATION, Manifest
from tlcli.data.views import Views, worker_count
from tlcli.errors import ConfigError, TlError
from tlcli.evaluation.strangers import Strangers
from tlcli.export import licences, network, proof, rounding, texts
from tlcli.export import manifest as manifests
from tlcli.export.contract import Format, Wanted, format_of
from tlcli.lazy import np
from tlcli.runs import checkpoint, latest, output, strangers
from tlcli.runs.checkpoint import Checkpoint
from tlcli.system import console, files
from tlcli.system.chatter import silent
from tlcli.system.shown import shown
from tlcli.system.standing import addressed

# Images that the answers are compared on.
MOST = 2000
# Share of them that run and export are to mark alike as strangers, or as none.
ALIKE = 0.98
# Those of training that a converter runs to see what ranges numbers have.
SHOWN = 200


def run(checked: Checked[Export, None]) -> int:
    """Export as configured and print the folder; returns the exit code."""
    console.start_log(None)
    settings = checked.settings
    kind = format_of(settings.format)
    require(kind, settings.quantize)
    given = latest.chosen(settings.checkpoint, settings.runs, "Train one, or give checkpoint=RUN.")
    wanted = settings.output or str(bundled.home(given, "checkpoint") / usual_name(settings))
    with output.folder(wanted, "output", (manifests.FILE,)) as folder:
        return _export(settings, kind, given, folder)


def _export(settings: Export, kind: Format, given: str, folder: Path) -> int:
    place = free(settings, folder)
    with console.Stage("reading the checkpoint"):
        found = checkpoint.read_run(given)
    views, why = views_of(found, settings)
    if views is None and settings.quantize == "int8":
        raise ConfigError("quantize", f"int8 is fitted to training images. {why}", "Take another.")
    # Of this process alone: another may export the same.
    made = place.with_name(f".new.{place.name}.{os.getpid()}")
    shutil.rmtree(made, ignore_errors=True)
    files.make_folder(made)
    try:
        written(found, kind, settings, views, made)
        put(made, place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    sys.stdout.write(f"{shown(place)}\n")
    return 0


def require(kind: Format, quantize: str) -> None:
    """Refuse what the format has not, or what is not installed."""
    if quantize not in kind.quantize:
        problem = f"{kind.name} has no {quantize}"
        raise ConfigError("quantize", problem, f"Choose one of {', '.join(kind.quantize)}.")
    kind.require((*kind.writes, *kind.runs))


def usual_name(settings: Export) -> Path:
    """Where an export lies in the folder of its run."""
    name = settings.format if settings.quantize == "none" else (
        f"{settings.format}-{settings.quantize}")  # fmt: skip
    return Path("export", name)


def free(settings: Export, place: Path) -> Path:
    """The folder to write, which holds nothing or an export that may be replaced.

    Raises:
        ConfigError: Something else is there.
    """
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return place
    if manifests.is_export(place) and (settings.overwrite or settings.output is None):
        return place
    remedy = "Give another folder, or overwrite=true where an export is there."
    raise ConfigError("output", f"{place} is there", remedy)


def put(made: Path, place: Path) -> None:
    """Let a whole export take its place; what was there goes when it has."""
    before = place.with_name(f".old.{place.name}.{os.getpid()}")
    shutil.rmtree(before, ignore_errors=True)
    if place.exists():
        place.rename(before)
    made.rename(place)
    files.sync_folder(place.parent)
    shutil.rmtree(before, ignore_errors=True)


def views_of(found: Checkpoint, settings: Export) -> tuple[Views | None, str]:
    """The run's own images as the network sees them; None and why where they are gone."""
    try:
        data = data_of(found, None)
    except TlError as problem:
        return None, str(problem)
    return Views(data, found.resize, None, 0, worker_count(settings.workers)), ""


def written(
    found: Checkpoint, kind: Format, settings: Export, views: Views | None, folder: Path
) -> None:
    """Write the model and all that lies beside it, and see that it answers as the run does."""
    known, most = strangers.read(found.path), limit_of(found.config.get("data"))
    whole = network.network_of(found, known is not None)
    fitted, images = fitted_of(whole, views, settings)
    with console.Stage(f"writing {kind.name}"), silent():
        kind.write(Wanted(fitted, found.resize, most, settings.quantize, images), folder)
    with console.Stage("comparing it with the run"), silent():
        seen, both = compared(found, kind, whole, views, settings, folder)
    proof.check(seen, settings.quantize, settings.tolerance, kind.name,
                lambda: [] if images is None else rounding.worst(fitted, images))  # fmt: skip
    about = manifests.Manifest(
        facts=found.facts, format=kind.name, quantize=settings.quantize, model=kind.file,
        max_pixels=most, run=addressed(str(found.path.absolute())),
        licence=licences.known(found.config), proof=seen.as_json(), sha256={},
    )  # fmt: skip
    carry(known, both, found.path, folder)
    # By which `tl eval` finds the run's own data.
    shutil.copyfile(found.path / "config.json", folder / "config.json")
    files.write_text(folder / "labels.txt", texts.labels(about))
    files.write_text(folder / "example.py", texts.example(about))
    files.write_text(folder / "README.md", texts.card(about, found.config))
    about = manifests.with_hashes(about, folder)
    files.write_json(folder / manifests.FILE, about.as_json())
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    console.say(f"{'export':<10} {kind.name}, {size / 1e6:.2f} MB; {texts.proved(seen.as_json())}")


def carry(known: Strangers | None, both: Any, run: Path, folder: Path) -> None:
    """Take over what tells strangers, where run and export tell the same ones."""
    if known is None:
        return
    same = proof.same_marks(known, *both)
    if same >= ALIKE:
        shutil.copyfile(run / strangers.FILE, folder / strangers.FILE)
        return
    console.say(f"{'strangers':<10} left out: run and export mark {same:.1%} of images alike, "
                f"and are to mark {ALIKE:.0%}")  # fmt: skip


def fitted_of(whole: Any, views: Views | None, settings: Export) -> tuple[Any, Any]:
    """The network to write, and the images that ranges of int8 are measured on, or None."""
    if views is None or settings.quantize not in ("int8", "dynamic"):
        return whole, None
    int8 = settings.quantize == "int8"
    with console.Stage("fitting to 8 bits", settings.fit_steps, "steps") as stage, silent():
        images = fitting(views, settings)
        made = rounding.fitted(whole, images, settings.fit_steps, stage.move, int8)
    return made, images[:: -(-len(images) // SHOWN)] if int8 else None


def fitting(views: Views, settings: Export) -> Any:
    """Training images that whole numbers are fitted to, uint8 (images, side, side, 3)."""
    rows = views.manifest.labelled(TRAIN)
    rows = np.sort(np.random.default_rng(0).permutation(rows)[: settings.samples])
    return np.concatenate(list(views.batches(rows, np.zeros(len(rows)), settings.batch_size)))


def compared(
    found: Checkpoint, kind: Format, whole: Any, views: Views | None, settings: Export, folder: Path
) -> tuple[proof.Proof, Any]:
    """The export beside the run's network, on its test images, else on those of validation.

    Returns:
        What was seen, and the outputs of both.
    """
    split, rows = rows_of(views.manifest if views else None)
    both = [
        proof.answers(call, images(views, rows, found, settings.batch_size))
        for call in (network.engine(whole), kind.engine(folder))
    ]
    labels = None if views is None or not len(rows) else views.manifest.labels[rows]
    calibrated = (lambda z: z) if found.multi_label else found.scaling
    return proof.proved(both[0], both[1], labels, split, found.thresholds, calibrated), both


def rows_of(data: Manifest | None) -> tuple[str, Any]:
    """The images that are compared: of the test split, else of validation; at most MOST."""
    for split, number in (("test", TEST), ("validation", VALIDATION)):
        rows = np.array([], int) if data is None else data.labelled(number)
        if len(rows):
            return split, np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    return "", np.array([], int)


def images(views: Views | None, rows: Any, found: Checkpoint, size: int) -> Iterator[Any]:
    """Batches of those images; where there are none, of noise in patches."""
    if views is not None and len(rows):
        yield from views.batches(rows, np.zeros(len(rows)), size)
        return
    side = found.resize.size
    random = np.random.default_rng(0)
    for _ in range(4):
        coarse = random.integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
        yield coarse.repeat(-(-side // 8), 1).repeat(-(-side // 8), 2)[:, :side, :side]
