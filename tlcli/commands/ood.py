"""Pictures that a run should not know: how strange it finds them."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from tlcli.commands.namer import limit_of
from tlcli.config.settings import Eval
from tlcli.data import named
from tlcli.data.views import worker_count
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError, TlError
from tlcli.evaluation import detection
from tlcli.evaluation.strangers import Strangers
from tlcli.lazy import np, tf
from tlcli.runs.checkpoint import Checkpoint
from tlcli.system import console


def require_known(given: str | None, known: Strangers | None, found: Checkpoint) -> None:
    """Refuse to tell strangers by a run that cannot.

    Raises:
        ConfigError: It has no strangers.npz.
    """
    if given is not None and known is None:
        raise ConfigError(
            "ood", f"{found.path} has no strangers.npz, so it knows no strangers",
            "Train it again, with strangers=0.95 and 20 validation images or more.",
        )  # fmt: skip


def figures_of(
    settings: Eval, known: Strangers, found: Checkpoint, call: Any, inside: Any
) -> dict[str, float]:
    """How many images are marked; and, of a folder of strangers, how well they are told apart.

    Args:
        settings: Their `ood` is the folder.
        known: What tells strangers.
        found: The run.
        call: `classifier.watcher`.
        inside: Scores of the images that it is to know.

    Raises:
        ConfigError: The folder holds no picture that can be read.
    """
    figures = {"stranger_share": float(known.are(inside).mean())}
    if settings.ood is None:
        return figures
    paths = list(named.expand((settings.ood,), LeftOut()))
    parts = [call(images)[1] for images in _batches(found, paths, worker_count(settings.workers))]
    if not parts:
        raise ConfigError("ood", f"no picture of {settings.ood} can be read",
                          "Give another folder.")  # fmt: skip
    outside = np.concatenate(parts)
    if len(outside) < len(paths):
        console.say(f"{'ood':<10} {len(paths) - len(outside)} of {len(paths)} pictures cannot be "
                    "read and are left out")  # fmt: skip
    figures |= detection.figures(inside, outside)
    return {**figures, "ood_marked": float(known.are(outside).mean())}


def _batches(found: Checkpoint, paths: list[str], workers: int, size: int = 32) -> Iterator[Any]:
    read = named.reader(found.resize, limit_of(found.config.get("data")))
    decoded = named.ahead(read, paths, workers, 2 * size + workers)
    shown = console.staged(decoded, "looking at strangers", len(paths), "pictures")
    while part := list(itertools.islice(shown, size)):
        images = [image for _, image in part if not isinstance(image, TlError)]
        if images:
            yield tf.stack(images)


def lines(figures: Mapping[str, float]) -> str:
    """What was found, for a person; nothing where the run knows no strangers."""
    if "stranger_share" not in figures:
        return ""
    text = f"{'strangers':<10} {figures['stranger_share']:.4f} of these images are marked"
    if "ood_auroc" not in figures:
        return f"{text}\n"
    told = ", ".join(
        f"{name} {figures[key]:.4f} ({figures[f'{key}_low']:.4f} to {figures[f'{key}_high']:.4f})"
        for name, key in (("AUROC", "ood_auroc"), ("FPR@95", "ood_fpr95"))
    )
    text += f", and {figures['ood_marked']:.4f} of the {figures['ood_samples']} strangers"
    return f"{text}\n{'ood':<10} {told}\n"
