"""What names a picture: the answer of a network, and what is told beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.data.header import MAX_PIXELS
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.metrics import probabilities
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.evaluation.strangers import Strangers


@dataclass
class Namer:
    """What names a picture.

    Attributes:
        look: Given whether there are many pictures, a function from uint8 images (batch, side,
            side, 3) to logits, and to how strange each image is or None.
        read: A function from a file, or from its bytes, to what the network is shown of it, or to
            a TlError.
        class_names: In index order.
        scaling: What calibrates the logits.
        sets: What decides which classes the set of a picture holds, or None.
        strangers: What tells pictures unlike the validation images, or None.
        multi_label: Whether a picture may have several classes.
        thresholds: Of a multi-label model.
        abstain_below: Least probability of an answer, or None.
        identity: Hash of the network and of what makes answers of its logits.
    """

    look: Callable[[bool], Callable[[Any], tuple[Any, Any]]]
    read: Callable[[str | bytes], Any]
    class_names: tuple[str, ...]
    scaling: Scaling = PLAIN
    sets: Sets | None = None
    strangers: Strangers | None = None
    multi_label: bool = False
    thresholds: Any = 0.5
    abstain_below: float | None = None
    identity: str = ""

    @property
    def told(self) -> list[str]:
        """What it tells of a picture beside its label."""
        return ["set"] * (self.sets is not None) + ["stranger"] * (self.strangers is not None)


def limit_of(data: Any) -> int:
    """Pixels that a picture may have, as in the run's own data."""
    given = data.get("max_pixels") if isinstance(data, Mapping) else None
    return given if isinstance(given, int) and given > 0 else MAX_PIXELS


def answer(namer: Namer, logits: Any, strange: Any, top: int) -> dict[str, Any]:
    """Label, probability and the best classes of one picture, and what else is told of it."""
    shares = probabilities(logits[None], namer.multi_label, namer.scaling)[0]
    order = np.argsort(-shares, kind="stable")
    best = [{"label": namer.class_names[i], "probability": float(shares[i])} for i in order[:top]]
    found: dict[str, Any] = {**best[0], "top": best}
    if namer.multi_label:
        chosen = shares >= namer.thresholds
        found["labels"] = [namer.class_names[i] for i in order if chosen[i]]
    elif namer.abstain_below is not None and shares[order[0]] < namer.abstain_below:
        found["label"] = "uncertain"
    if namer.sets is not None:
        held = namer.sets.members(shares[None])[0]
        found["set"] = [namer.class_names[i] for i in order if held[i]]
    if namer.strangers is not None:
        found["stranger"] = bool(namer.strangers.are(strange))
    return found
