"""Low-rank factors beside the kernels of a student (LoRA, Hu et al. 2021, arXiv:2106.09685).

Keras' own layers compute with them (`enable_lora`). What Keras leaves to others is here: which
layers, starting values that depend on the seed alone, and the plain weights at the end.
"""

import math
import re
from typing import Any

import keras
import numpy as np

from tlcli.contracts.finetune import Lora
from tlcli.errors import ConfigError, nearest
from tlcli.models.student import is_head, leaf_layers

Layer = Any

_KINDS = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv1D, keras.layers.Conv2D,
          keras.layers.Conv3D)  # fmt: skip


def attach(model: Any, lora: Lora, seed: int) -> list[str]:
    """Put factors beside the kernels of the chosen layers; outputs stay the same as B is zero.

    A is normal with a variance of 1 / inputs. Layers that have factors keep them. Call it in the
    strategy's scope.

    Args:
        model: The student, with its pretrained weights.
        lora: Which layers, rank and scale.
        seed: Of the run.

    Returns:
        Paths of the chosen layers.

    Raises:
        ConfigError: No layer of the backbone is chosen.
    """
    chosen = targets(model, lora.targets)
    for index, layer in enumerate(chosen):
        if has_factors(layer):
            continue
        # Keras divides by the rank.
        layer.enable_lora(lora.rank, lora_alpha=lora.scale * lora.rank, a_initializer="zeros")
        shape = tuple(layer.lora_kernel_a.shape)
        deviation = 1 / math.sqrt(math.prod(shape[:-1]))
        values = np.random.default_rng([seed, index]).normal(0, deviation, shape)
        layer.lora_kernel_a.assign(values.astype(np.float32))
    return [path_of(layer) for layer in chosen]


def targets(model: Any, patterns: tuple[str, ...] | None) -> list[Layer]:
    """Layers of the backbone that get factors, in the model's order.

    Raises:
        ConfigError: There is none.
    """
    able = [layer for top in model.layers if not is_head(top)
            for layer in leaf_layers(top) or [top] if _is_able(layer)]  # fmt: skip
    able = list(dict.fromkeys(able))
    if patterns is None:
        chosen = [layer for layer in able if _is_pointwise(layer)]
        problem = "the backbone has no dense layer and no 1x1 convolution"
    else:
        chosen = [layer for layer in able if any(_matches(layer, p) for p in patterns)]
        problem = f"no dense layer or convolution of the backbone matches {list(patterns)}"
    if not chosen:
        raise ConfigError("finetune.targets", problem, _remedy(able, patterns))
    return chosen


def has_factors(layer: Layer) -> bool:
    """Whether a layer, or one inside it, computes with low-rank factors."""
    return any(getattr(inner, "lora_enabled", False) for inner in (layer, *leaf_layers(layer)))


def is_factor(variable: Any) -> bool:
    """Whether a variable is one of two low-rank factors."""
    return str(variable.path).rpartition("/")[2] in ("lora_kernel_a", "lora_kernel_b")


def plain_values(model: Any) -> list[Any]:
    """Values of all variables but the factors, these merged into their kernels.

    Args:
        model: A student.

    Returns:
        Arrays in the order of the variables of the same model without factors.
    """
    owners = {id(layer._kernel): layer for layer in leaf_layers(model)
              if getattr(layer, "lora_enabled", False)}  # fmt: skip
    found = []
    for variable in model.variables:
        if is_factor(variable):
            continue
        layer = owners.get(id(variable))
        found.append(variable.numpy() if layer is None else merged_kernel(layer))
    return found


def merged_kernel(layer: Layer) -> Any:
    """Kernel + scale * A B of a layer with factors, in the kernel's shape and type."""
    factors = (layer.lora_kernel_a, layer.lora_kernel_b)
    first, second = (factor.numpy().astype(np.float64) for factor in factors)
    kernel = layer._kernel.numpy()
    scale = layer.lora_alpha / layer.lora_rank
    return (kernel.astype(np.float64) + scale * (first @ second)).astype(kernel.dtype)


def path_of(layer: Layer) -> str:
    """Name of a layer after those of the layers around it."""
    return str(layer._kernel.path).rpartition("/")[0]


def _is_able(layer: Layer) -> bool:
    # Keras refuses factors of a kernel that is constrained.
    return isinstance(layer, _KINDS) and layer.built and layer.kernel_constraint is None


def _is_pointwise(layer: Layer) -> bool:
    return all(side == 1 for side in getattr(layer, "kernel_size", ()))


def _matches(layer: Layer, pattern: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in (layer.name, path_of(layer)))


def _remedy(able: list[Layer], patterns: tuple[str, ...] | None) -> str:
    if not able:
        return "Choose another strategy: this backbone has no layer that LoRA fits."
    names = [layer.name for layer in able]
    if patterns is None:
        return (
            f"Name convolutions, as finetune.targets=['{names[-1]}'], or choose another strategy."
        )
    return nearest(patterns[0], names)
