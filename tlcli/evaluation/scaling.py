"""What calibrates logits: one divisor, or a factor and a summand of each class.

Temperature and vector scaling (Guo et al. 2017, arXiv:1706.04599). This is the one place that
applies them, so that validation, test, eval, predict and reports cannot differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlcli.lazy import np


@dataclass(frozen=True)
class Scaling:
    """Turns the logits of a network with one label an image into calibrated ones.

    Attributes:
        temperature: Divisor of the logits, above 0; 1 beside a vector.
        scale: Factor of each class's logit, above 0, (classes,); None without a vector.
        bias: What is added to it then, (classes,).
    """

    temperature: float = 1.0
    scale: tuple[float, ...] | None = None
    bias: tuple[float, ...] | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Scaling":
        """That of metadata.json, plain values; what it lacks changes nothing."""
        found = (facts.get(name) for name in ("vector_scale", "vector_bias"))
        scale, bias = (None if one is None else tuple(map(float, one)) for one in found)
        return cls(float(facts.get("temperature") or 1.0), scale, bias)

    def facts(self) -> dict[str, Any]:
        """What metadata.json says of it."""
        if self.scale is None or self.bias is None:
            return {"temperature": self.temperature}
        return {"vector_scale": list(self.scale), "vector_bias": list(self.bias)}

    def __call__(self, logits: Any) -> Any:
        """Calibrated logits, float (batch, classes)."""
        if self.scale is None or self.bias is None:
            return logits / self.temperature
        return logits * np.asarray(self.scale) + np.asarray(self.bias)


PLAIN = Scaling()
