"""Pictures that are copies of each other but for their encoding, a narrow crop, a turn or a mirror.

Candidates are those whose low frequencies agree in one of the eight turns and mirrors, as with
perceptual hashes but without their rounding, and neighbours among the embeddings. A candidate is a
copy where, one laid over the other, what is left without low frequencies agrees too: two pictures
of one kind of thing agree in their light alone. Where many pairs nearly agree, as among scans of
digits, the pictures hold too little to tell copies, and only almost equal ones count.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.audit.looked import SIDE, Looked
from tlcli.audit.neighbours import blocks, top, unit
from tlcli.audit.together import ALONE, Together

FREQUENCIES = 8
# Likeness of frequencies, and of embeddings, from which two pictures are compared.
ALIKE, ALIKE_EMBEDDED = 0.65, 0.9
# Candidates of each picture; and how many times as alike one is as the next after these, where all
# are less than ALIKE.
MOST, STANDS_OUT = 3, 1.25
# Correlation of grey, and of what is left of it without low frequencies, of copies.
LIGHT, DETAIL = 0.9, 0.9
# The latter where many pairs have NEARLY as much: more than MANY, a share of all pictures, and half
# as many as have enough.
NEARLY, EQUAL = 0.8, 0.985
MANY, SHARE = 10, 1 / 300
# Standard deviation of grey below which a picture shows nothing to compare.
FLAT = 3.0
# Parts of a side that a crop leaves, and places of it that are tried.
CROPS = ((1.0, 1), (0.95, 3), (0.9, 5))
BLUR = 2.0  # pixels; deviation of what counts as low frequencies
_AT_ONCE = 128
_SIGNS = (-1.0) ** np.arange(FREQUENCIES)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures that are compared.

    Attributes:
        first, second: Rows, int64 (pairs,), first below second.
        turns: By which `turned` makes the first one like the second, int64 (pairs,).
        likeness: 0 to 1, float (pairs,); of candidates -1.
    """

    first: Any
    second: Any
    turns: Any
    likeness: Any

    def keep(self, chosen: Any) -> "Pairs":
        """Some of them."""
        return Pairs(self.first[chosen], self.second[chosen], self.turns[chosen],
                     self.likeness[chosen])  # fmt: skip


def near_copies(
    looked: Looked, neighbours: Any, closeness: Any, together: Together = ALONE
) -> Pairs:
    """Pairs of copies, most alike first.

    Args:
        looked: All pictures.
        neighbours: Rows of the nearest embeddings of each, int (samples, some).
        closeness: Cosines of these, float (samples, some).
        together: Who compares.
    """
    rows = np.flatnonzero(looked.spread >= FLAT)
    if len(rows) < 2:
        return Pairs(*(np.zeros(0, np.int64),) * 3, np.zeros(0))
    spectra = frequencies(looked.grey[rows])
    found = _alike(spectra, together)
    places = np.full(len(looked.spread), -1)
    places[rows] = np.arange(len(rows))
    beside, close = places[neighbours[rows, :MOST]], closeness[rows, :MOST]
    one, other = np.nonzero((close >= ALIKE_EMBEDDED) & (beside >= 0))
    found = _joined(spectra, found, one, beside[one, other])
    found = compared(looked.grey[rows], found, together)
    found = found.keep(np.flatnonzero(found.likeness >= limit(found.likeness, len(rows))))
    found = Pairs(rows[found.first], rows[found.second], found.turns, found.likeness)
    return found.keep(np.lexsort((found.second, found.first, -found.likeness)))


def limit(likeness: Any, count: int) -> float:
    """Likeness from which a pair is a copy.

    Args:
        likeness: Of all candidates, float (pairs,).
        count: Of the pictures.
    """
    enough = (likeness >= DETAIL).sum()
    nearly = ((likeness >= NEARLY) & (likeness < DETAIL)).sum()
    return EQUAL if nearly > max(MANY, SHARE * count, enough / 2) else DETAIL


def frequencies(grey: Any) -> Any:
    """Low frequencies of pictures, each weighed by how much it varies among them.

    Args:
        grey: (samples, SIDE, SIDE).

    Returns:
        float32 (samples, FREQUENCIES, FREQUENCIES), the mean left out.
    """
    base = cosines(SIDE, FREQUENCIES)
    found = np.concatenate([
        base @ grey[part].astype(np.float32) @ base.T for part in blocks(len(grey), SIDE * SIDE)
    ])  # fmt: skip
    spread = np.sqrt((found.astype(np.float64) ** 2).mean(0))
    found /= np.where(spread > 0, spread, 1).astype(np.float32)
    found[:, 0, 0] = 0
    return found


def cosines(side: int, count: int) -> Any:
    """The first rows of the discrete cosine transform, float32 (count, side)."""
    angle = np.pi * np.arange(count)[:, None] * (np.arange(side) + 0.5) / side
    return np.cos(angle).astype(np.float32)


def turned(pictures: Any, turn: int) -> Any:
    """Pictures (…, height, width) mirrored along an axis where a bit of 0 to 7 says so."""
    if turn & 4:
        pictures = pictures.swapaxes(-1, -2)
    if turn & 2:
        pictures = pictures[..., ::-1, :]
    return pictures[..., ::-1] if turn & 1 else pictures


def turned_frequencies(spectra: Any, turn: int) -> Any:
    """Frequencies of the pictures that `turned` gives: odd ones change their sign."""
    if turn & 4:
        spectra = spectra.swapaxes(-1, -2)
    if turn & 2:
        spectra = spectra * _SIGNS[:, None].astype(np.float32)
    return spectra * _SIGNS.astype(np.float32) if turn & 1 else spectra


def _alike(spectra: Any, together: Together) -> Pairs:
    """Each picture with those whose frequencies agree, in the best of its turns."""
    count = len(spectra)
    every = [unit(turned_frequencies(spectra, turn).reshape(count, -1)) for turn in range(8)]
    plain = every[0]

    def of(part: Any) -> tuple[Any, Any]:
        best = every[0][part] @ plain.T
        for turn in range(1, 8):
            np.maximum(best, every[turn][part] @ plain.T, out=best)
        best[np.arange(len(part)), part] = -np.inf
        places, values = top(best, min(MOST + 1, count - 1))
        limits = np.minimum(ALIKE, STANDS_OUT * np.maximum(values[:, -1:], 0.1))
        row, column = np.nonzero(values[:, :MOST] >= limits)
        return part[row], places[row, column]

    found = together.each("comparing pictures", list(blocks(count, count)), of, "pictures")
    ones, others = (np.concatenate(column) for column in zip(*found, strict=True))
    empty = Pairs(*(np.zeros(0, np.int64),) * 3, np.zeros(0))
    return _joined(spectra, empty, ones, others)


def _joined(spectra: Any, pairs: Pairs, one: Any, other: Any) -> Pairs:
    """Pairs and more of them, each once, with the best turn of each."""
    first = np.concatenate([pairs.first, np.minimum(one, other)])
    second = np.concatenate([pairs.second, np.maximum(one, other)])
    keys = np.unique(first * len(spectra) + second)
    first, second = keys // len(spectra), keys % len(spectra)
    turns = np.zeros(len(keys), np.int64)
    for part in blocks(len(keys), 2 * FREQUENCIES**2):
        there = spectra[second[part]]
        likeness = [
            (turned_frequencies(spectra[first[part]], turn) * there).sum((1, 2))
            for turn in range(8)
        ]
        turns[part] = np.argmax(likeness, 0)
    return Pairs(first, second, turns, np.full(len(keys), -1.0))


def compared(grey: Any, pairs: Pairs, together: Together = ALONE) -> Pairs:
    """Some pairs with their likeness.

    Args:
        grey: (samples, SIDE, SIDE).
        pairs: Candidates.
        together: Who compares.
    """
    count = len(pairs.first)
    parts = [np.arange(i, min(i + _AT_ONCE, count)) for i in range(0, count, _AT_ONCE)]

    def of(part: Any) -> tuple[Any]:
        one = np.stack([turned(grey[row].astype(np.float32), turn) for row, turn in
                        zip(pairs.first[part], pairs.turns[part], strict=True)])  # fmt: skip
        other = grey[pairs.second[part]].astype(np.float32)
        return (np.maximum(laid_over(one, other), laid_over(other, one)),)

    found = together.each("comparing likely copies", parts, of, "pairs")
    likeness = np.concatenate([np.zeros(0), *(one for (one,) in found)])
    return Pairs(pairs.first, pairs.second, pairs.turns, likeness)


def laid_over(one: Any, other: Any) -> Any:
    """Likeness of pictures to crops of others where they lie best, float (pairs,); else -1.

    Args:
        one: Of which crops are tried, float32 (pairs, SIDE, SIDE).
        other: float32 (pairs, SIDE, SIDE).
    """
    target = _even(other)
    best = np.full(len(one), -1.0)
    shown = np.zeros_like(one)
    for part, places in CROPS:
        windows = np.stack([window(at, part) for at in np.linspace(0, 1 - part, places)])
        rows = windows[None] @ one[:, None]
        crops = rows[:, :, None] @ windows.swapaxes(-1, -2)[None, None]
        crops = crops.reshape(len(one), places**2, SIDE, SIDE)
        found = np.einsum("pkx,px->pk", _even(crops), target)
        chosen = found.argmax(1)
        value = found[np.arange(len(one)), chosen]
        better = np.flatnonzero(value > best)
        best[better] = value[better]
        shown[better] = crops[better, chosen[better]]
    detail = (_even(_without_low(shown)) * _even(_without_low(other))).sum(-1)
    return np.where(best >= LIGHT, detail, -1.0)


def window(at: float, part: float) -> Any:
    """Shares of pixels in those of a crop along one side, float32 (SIDE, SIDE).

    Args:
        at: Where it begins, part of the side.
        part: Of the side that it leaves.
    """
    places = np.clip((at + part * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5, 0, SIDE - 1)
    before = np.minimum(places.astype(int), SIDE - 2)
    found = np.zeros((SIDE, SIDE), np.float32)
    found[np.arange(SIDE), before] = 1 - (places - before)
    found[np.arange(SIDE), before + 1] = places - before
    return found


def _even(pictures: Any) -> Any:
    """Pictures (…, SIDE, SIDE) as vectors of mean 0 and length 1: their products correlate."""
    flat = pictures.reshape(*pictures.shape[:-2], -1)
    return unit(flat - flat.mean(-1, keepdims=True))


def _without_low(pictures: Any) -> Any:
    """Pictures less a blurred copy of themselves."""
    away = (np.arange(SIDE)[:, None] - np.arange(SIDE)) / BLUR
    blur = np.exp(-0.5 * away**2)
    blur = (blur / blur.sum(1, keepdims=True)).astype(np.float32)
    return pictures - blur @ pictures @ blur.T
