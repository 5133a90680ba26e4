"""How stored teacher outputs are written: records of fixed size, dense or the likeliest classes.

The likeliest classes keep their logits; what is left of the probability is spread over the other
classes alike, the marginal smoothing of FKD (Shen & Xing 2022, arXiv:2112.01528).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tlcli.errors import TlError

LOGITS = "teacher_logits"
# Up to here a dense row is small and exact.
DENSE_CLASSES = 256
Format = Literal["float32", "float16", "top_k"]


@dataclass(frozen=True)
class Coding:
    """Between a teacher's signals and records.

    Attributes:
        shapes: Shape of each signal by name, without batch; `teacher_logits` among them.
        format: "float32" and "float16" are dense; "top_k" is for logits, the rest float16.
        kept: Classes of a "top_k" record.
    """

    shapes: Mapping[str, tuple[int, ...]]
    format: Format
    kept: int

    @property
    def dtype(self) -> Any:
        """Of a record, structured."""
        kind = "<f4" if self.format == "float32" else "<f2"
        fields: list[Any] = []
        for name, shape in self.shapes.items():
            if name == LOGITS and self.format == "top_k":
                # The rest is float32: it may lie far below what float16 holds.
                fields += [("classes", "<u2", (self.kept,)), (name, "<f2", (self.kept,)),
                           ("rest", "<f4")]  # fmt: skip
            else:
                fields.append((name, kind, tuple(shape)))
        return np.dtype(fields)

    def encode(self, signals: Mapping[str, Any]) -> Any:
        """Records of a batch, structured (batch,).

        Raises:
            TlError: A number that the format cannot hold.
        """
        records = np.empty(len(signals[LOGITS]), self.dtype)
        for name in self.shapes:
            values = np.asarray(signals[name], np.float32)
            if name == LOGITS and self.format == "top_k":
                classes, values, rest = likeliest(values, self.kept)
                records["classes"], records["rest"] = classes, rest
            with np.errstate(over="ignore"):
                records[name] = values
            if not np.isfinite(records[name]).all():
                raise TlError(
                    f"teacher.cache_format: {name} is not finite or above what "
                    f"{self.format} holds (65504). Give teacher.cache_format=float32."
                )
        return records

    def decode(self, records: Any) -> dict[str, Any]:
        """Signals of records by name, float32 (batch, ...)."""
        found = {name: records[name].astype(np.float32) for name in self.shapes}
        if self.format == "top_k":
            logits = np.repeat(records["rest"][:, None], self.shapes[LOGITS][0], axis=1)
            np.put_along_axis(logits, records["classes"].astype(np.int64), found[LOGITS], axis=1)
            found[LOGITS] = logits
        return found


def likeliest(logits: Any, kept: int) -> tuple[Any, Any, Any]:
    """The highest logits of each image, and one logit that stands for each of the others.

    Args:
        logits: float32 (batch, classes).
        kept: How many are kept, below the number of classes.

    Returns:
        Their classes, int64 (batch, kept); their logits, float32; and the logit under which the
        other classes together keep their probability, float32 (batch,).
    """
    order = np.argsort(-logits, axis=-1, kind="stable")
    classes, others = order[:, :kept], order[:, kept:]
    tail = np.take_along_axis(logits, others, axis=-1).astype(np.float64)
    highest = tail.max(-1, keepdims=True)
    rest = highest[:, 0] + np.log(np.exp(tail - highest).mean(-1))
    return classes, np.take_along_axis(logits, classes, axis=-1), rest.astype(np.float32)


def kept_classes(logits: Any, mass: float, most: int) -> int:
    """The least number of classes that hold, in the mean over images, a share of probability.

    Args:
        logits: float32 (images, classes).
        mass: The share, in (0, 1).
        most: Not more than this; always below the number of classes.
    """
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    sorted_shares = -np.sort(-powers / powers.sum(-1, keepdims=True), axis=-1)
    reached = np.cumsum(sorted_shares.mean(0)) >= mass
    least = int(np.argmax(reached)) + 1 if reached.any() else len(reached)
    return max(1, min(least, most, int(logits.shape[1]) - 1))
