"""Norms and clipping of gradients; a gradient may be None and stays None.

All take gradients that are already averaged over replicas and return new lists.
"""

from collections.abc import Sequence
from typing import Any

from tlcli.lazy import Tensor, ops

Gradients = Sequence[Tensor | None]


def global_norm(gradients: Gradients) -> Tensor:
    """Euclidean norm of all gradients taken as one vector, float32 ()."""
    squares = [ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients if g is not None]
    return ops.sqrt(sum(squares, ops.zeros((), "float32")))


def clip_by_global_norm(
    gradients: Gradients, norm: float, measured: Tensor | None = None
) -> list[Any]:
    """Gradients scaled down together so that their global norm is at most `norm`.

    Args:
        gradients: Any shapes; None stays None.
        norm: Above 0.
        measured: Their global norm where it is known already, float32 ().
    """
    measured = global_norm(gradients) if measured is None else measured
    scale = norm / ops.maximum(measured, norm)
    return [None if g is None else g * ops.cast(scale, g.dtype) for g in gradients]


def clip_by_value(gradients: Gradients, limit: float) -> list[Any]:
    """Gradients with each element moved into [-limit, limit]."""
    return [None if g is None else ops.clip(g, -limit, limit) for g in gradients]


def adaptive_clip(
    gradients: Gradients, variables: Sequence[Any], factor: float, epsilon: float = 1e-3
) -> list[Any]:
    """Unit-wise clipping relative to the weights (AGC, Brock et al. 2021, arXiv:2102.06171).

    The gradient of each output unit is scaled so that its norm is at most `factor` times the norm
    of the unit's weights. As in the paper, the last linear layer is left out, with all of the head:
    it starts at zero, and clipping by its weights would keep it there.

    Args:
        gradients: One per variable; None stays None.
        variables: Keras variables with paths, same shapes.
        factor: The paper's lambda, 0.01 to 0.16.
        epsilon: Least norm that a unit's weights are taken to have.
    """
    return [
        g if g is None or of_head(v) else _clip_units(g, v, factor, epsilon)
        for g, v in zip(gradients, variables, strict=True)
    ]


def of_head(variable: Any) -> bool:
    """Whether a Keras variable lies in a layer of the head."""
    return any(part.startswith("head_") for part in str(variable.path).split("/"))


def _clip_units(gradient: Tensor, variable: Any, factor: float, epsilon: float) -> Tensor:
    axes = unit_axes(variable)
    weights = ops.cast(ops.convert_to_tensor(variable), "float32")
    most = factor * ops.maximum(_norms(weights, axes), epsilon)
    norms = _norms(ops.cast(gradient, "float32"), axes)
    scale = ops.where(norms > most, most / ops.maximum(norms, 1e-6), 1.0)
    return gradient * ops.cast(scale, gradient.dtype)


def _norms(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(values), axis=axes, keepdims=True))


def unit_axes(variable: Any) -> tuple[int, ...]:
    """Axes that one output unit of a kernel spans.

    A vector or a scalar is one unit. A kernel's units lie on its last axis; those of a depthwise
    kernel (height, width, channels, multiplier), told by its name or its multiplier of 1, on its
    last two.
    """
    rank = len(variable.shape)
    if rank < 2:
        return tuple(range(rank))
    is_depthwise = "depthwise" in str(variable.name) or variable.shape[-1] == 1
    return tuple(range(rank - 2 if rank == 4 and is_depthwise else rank - 1))
