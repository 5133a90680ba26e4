"""One pass over all pictures: embeddings, small grey pictures, and figures of light and detail."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.audit.network import Embedder
from tlcli.data.views import Views
from tlcli.evaluation.shares import Sharing, shared_answers
from tlcli.system.crew import ALONE, Crew

# Pixels of a side of the grey pictures by which copies are known.
SIDE = 32
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class Looked:
    """What is kept of each picture, in the order of the manifest.

    Attributes:
        embeddings: float32 (samples, channels).
        grey: Whole picture squashed to a square, uint8 (samples, SIDE, SIDE).
        light: Mean of grey, float32 (samples,), 0 to 255.
        spread: Standard deviation of grey, float32 (samples,).
        detail: Root mean square of its Laplacian, float32 (samples,).
    """

    embeddings: Any
    grey: Any
    light: Any
    spread: Any
    detail: Any


def look(embedder: Embedder, views: Views, count: int, batch: int, crew: Crew = ALONE) -> Looked:
    """Decode every picture once; each is looked at by one of the workers.

    Args:
        embedder: Gives embeddings.
        views: Whole pictures at the size that it takes.
        count: Of the pictures.
        batch: Pictures at a time.
        crew: This worker.
    """
    rows, start, found = np.arange(count), 0, None
    facts = "" if crew.is_alone else embedder.network.identity
    sharing = Sharing(crew, "looking at pictures", facts)

    def call(images: Any) -> tuple[Any, ...]:
        return _of(embedder, np.asarray(images))

    for part in shared_answers(sharing, call, views, rows, batch):
        if found is None:
            found = [np.empty((count, *one.shape[1:]), one.dtype) for one in part]
        for whole, one in zip(found, part, strict=True):
            whole[start : start + len(one)] = one
        start += len(part[0])
    assert found is not None
    return Looked(*found)


def _of(embedder: Embedder, images: Any) -> tuple[Any, ...]:
    grey = images.astype(np.float32) @ LUMA
    small = np.clip(squeezed(grey, SIDE) + 0.5, 0, 255).astype(np.uint8)
    flat = grey.reshape(len(grey), -1)
    detail = laplacian(grey).reshape(len(grey), -1)
    embeddings = embedder.network.call(images)[0].numpy().astype(np.float32)
    return embeddings, small, flat.mean(1), flat.std(1), np.sqrt((detail**2).mean(1))


def squeezed(images: Any, side: int) -> Any:
    """Pictures float (batch, height, width) at another size, each pixel the mean of what it covers.

    Enlarged ones repeat pixels.
    """
    return covering(images.shape[1], side) @ images @ covering(images.shape[2], side).T


def covering(old: int, new: int) -> Any:
    """Shares of old pixels in new ones, float32 (new, old); rows sum to 1."""
    edges = np.linspace(0, old, new + 1)
    pixels = np.arange(old)
    first = np.maximum(edges[:-1, None], pixels)
    last = np.minimum(edges[1:, None], pixels + 1)
    return (np.maximum(last - first, 0) * new / old).astype(np.float32)


def laplacian(grey: Any) -> Any:
    """Second differences of pictures (batch, height, width), without their edges."""
    return (4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1]
            - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:])  # fmt: skip
