"""Maps of a classifier that methods compare: features, and what feeds their activations."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tlcli.errors import ConfigError
from tlcli.models.graph.trace import taps as tapped_at
from tlcli.models.graph.trace import trace
from tlcli.models.norms import is_batch_norm

MAPS = frozenset({"features", "preactivations"})


def tapped(
    model: Any, needs: frozenset[str], whose: str, stages: Sequence[str]
) -> tuple[list[Any], list[str], tuple[Any, ...]]:
    """Maps of a classifier that a method asks for.

    Args:
        model: Images to logits.
        needs: Signals.
        whose: "teacher" or "student", for messages.
        stages: Paths of the layers that give the maps.

    Returns:
        Tensors; their names `feature_0`, …, `preactivation_0`, …; the norms of pre-activations.

    Raises:
        ConfigError: A stage has no pre-activation that can be tapped.
    """
    before, norms = [], []
    if "preactivations" in needs:
        calls = trace(model).calls
        for stage in stages:
            path, norm = _before_activation(calls, stage, whose)
            before.append(path)
            norms.append(norm)
    kinds = [f"feature_{i}" for i in range(len(stages))]
    kinds += [f"preactivation_{i}" for i in range(len(before))]
    known = tuple(norms) if norms and all(n is not None for n in norms) else ()
    return tapped_at(model, [*stages, *before]), kinds, known


def _before_activation(calls: Sequence[Any], stage: str, whose: str) -> tuple[str, Any]:
    """Path of what feeds a stage's activation, and offset and scale of its BatchNorm or None."""
    at = next(call for call in calls if call.path == stage)
    kinds = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)
    makers = [call for call in calls if at.inputs and at.inputs[0] in call.outputs]
    if not isinstance(at.layer, kinds) or not makers:
        raise ConfigError(
            "distillation.name",
            f"it compares maps before their activation, and the {whose}'s layer {stage} has none "
            "apart from it",
            "Choose a method on features, as fitnet or at.",
        )
    layer = makers[0].layer
    if not (is_batch_norm(layer) and layer.center and layer.scale):
        return makers[0].path, None
    return makers[0].path, (layer.beta.numpy(), np.abs(layer.gamma.numpy()))
