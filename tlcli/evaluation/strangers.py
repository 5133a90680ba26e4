"""Pictures that are unlike those a network was validated on.

Two signs are added: how far an image's embedding points from its fifth nearest among validation
images (Sun et al. 2022, arXiv:2204.06507), and half the energy of its logits (Liu et al. 2020,
arXiv:2010.03759; of several labels the sum of their energies, Wang et al. 2021, arXiv:2109.14162),
each in deviations from its mean on these images. The distance finds other kinds of pictures, the
energy unknown classes of the same kind; docs/figures.md tells what each finds alone, and what
distances of Mahalanobis find, which need a pass over the training images. Here all comes from
validation images, which are looked at anyway.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

NEIGHBOURS, ENERGY = 5, 0.5
# Validation images that are kept; more tell no more.
MOST = 1000
# Numbers that are held in double precision at a time.
PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class Strangers:
    """What decides whether a picture is a stranger.

    Attributes:
        bank: Directions of embeddings of validation images, float16 (images, channels).
        centre: Mean of distance and of negative energy on them, float64 (2,).
        spread: Their deviations, above 0, float64 (2,).
        threshold: Score above which a picture is a stranger.
        inside: Share of validation images that are none, in (0, 1).
        several: Whether an image may have several labels.
    """

    bank: Any
    centre: Any
    spread: Any
    threshold: float
    inside: float
    several: bool

    def scores(self, logits: Any, embedding: Any) -> Any:
        """How strange images are, float64 (batch,); above the threshold they are strangers.

        Args:
            logits: As the network gives them, float (batch, classes).
            embedding: float (batch, channels).
        """
        near = nearness(directions(embedding), self.bank.astype(np.float32))
        signs = signs_of(near, logits, self.several)
        return ((signs - self.centre) / self.spread) @ WEIGHTS

    def are(self, scores: Any) -> Any:
        """Which of some scores are strangers', bool (batch,); what is no number is one's."""
        return ~(scores <= self.threshold)


WEIGHTS = np.array([1.0, ENERGY])


def fitted(logits: Any, embedding: Any, inside: float, several: bool) -> Strangers | None:
    """What decides, from validation images; None where they are too few to tell.

    Each image is looked at as if it were not among them.

    Args:
        logits: float (samples, classes).
        embedding: float (samples, channels).
        inside: Share of images that are no strangers, in (0, 1).
        several: Whether an image may have several labels.
    """
    count = len(embedding)
    rank = math.ceil((count + 1) * inside - 1e-9)
    if rank > count or count <= NEIGHBOURS or not np.isfinite(embedding).all():
        return None
    bank = directions(embedding).astype(np.float16)
    signs = signs_of(nearness(bank.astype(np.float32), bank.astype(np.float32), True), logits,
                     several)  # fmt: skip
    centre, spread = signs.mean(0), np.maximum(signs.std(0), 1e-6)
    scores = ((signs - centre) / spread) @ WEIGHTS
    threshold = float(np.sort(scores)[rank - 1])
    return Strangers(bank, centre, spread, threshold, inside, several)


def chosen(labels: Any) -> Any:
    """Rows of validation images that are kept, of each class its share; all of them if few."""
    count = len(labels)
    if count <= MOST:
        return np.arange(count)
    order = np.argsort(labels, kind="stable") if labels.ndim == 1 else np.arange(count)
    return np.sort(order[np.linspace(0, count - 1, MOST).round().astype(int)])


def directions(embedding: Any) -> Any:
    """Embeddings of length 1, float32 (images, channels)."""
    found = np.asarray(embedding, np.float32)
    return found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12)


def nearness(found: Any, bank: Any, own: bool = False) -> Any:
    """Cosine of each direction and its fifth nearest of a bank, float (images,).

    Args:
        found: Directions (images, channels).
        bank: Directions (kept, channels).
        own: Whether they are those of the bank, each of which is then not its own neighbour.
    """
    cosines = found @ bank.T
    if own:
        np.fill_diagonal(cosines, -np.inf)
    return np.partition(cosines, -NEIGHBOURS, -1)[:, -NEIGHBOURS]


def signs_of(near: Any, logits: Any, several: bool) -> Any:
    """Distance and negative energy, float64 (images, 2)."""
    distance = np.sqrt(np.maximum(2 - 2 * near.astype(np.float64), 0))
    step = max(1, PIECE // max(1, logits.shape[-1]))
    energy = [_energy(logits[i : i + step], several) for i in range(0, len(logits), step)]
    return np.stack([distance, -np.concatenate([np.zeros(0), *energy])], -1)


def _energy(logits: Any, several: bool) -> Any:
    logits = np.asarray(logits, np.float64)
    if several:
        return np.logaddexp(0, logits).sum(-1)
    most = logits.max(-1)
    return most + np.log(np.exp(logits - most[:, None]).sum(-1))
