"""Nearest pictures of each, block by block, so that memory stays bounded however many there are."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tlcli.audit.together import ALONE, Together

# Numbers of a block of likenesses.
BLOCK = 1 << 24


def unit(vectors: Any) -> Any:
    """Vectors (…, channels) of length 1, those of length 0 as they are, float32."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def centred(embeddings: Any) -> Any:
    """Embeddings less their mean, each of length 1: their products are cosines."""
    return unit(embeddings - embeddings.mean(0))


def blocks(count: int, beside: int) -> Iterator[Any]:
    """Rows of a square of numbers, as many at a time as a block holds.

    Args:
        count: Of the rows.
        beside: Numbers of a row.
    """
    size = max(1, BLOCK // max(beside, 1))
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def nearest(vectors: Any, count: int, together: Together = ALONE) -> tuple[Any, Any]:
    """The most alike others of each vector, best first.

    Args:
        vectors: Of length 1, float32 (samples, channels).
        count: How many are wanted; fewer where there are no more.
        together: Who compares.

    Returns:
        Rows int64 and products float32, both (samples, count).
    """
    total = len(vectors)
    count = min(count, total - 1)

    def of(part: Any) -> tuple[Any, Any]:
        found = vectors[part] @ vectors.T
        found[np.arange(len(part)), part] = -np.inf
        return top(found, count)

    found = together.each("looking for neighbours", list(blocks(total, total)), of, "pictures")
    rows, likeness = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, likeness


def top(found: Any, count: int) -> tuple[Any, Any]:
    """Places and values of the largest numbers of each row, largest first."""
    if not count:
        empty = np.empty((len(found), 0))
        return empty.astype(np.int64), empty.astype(np.float32)
    places = np.argpartition(found, -count, 1)[:, -count:]
    values = np.take_along_axis(found, places, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(places, order, 1), np.take_along_axis(values, order, 1)
