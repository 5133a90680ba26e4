"""What a phase trains of a model, and how fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tlcli.contracts.finetune import Phase
from tlcli.models.lora import has_factors, is_factor
from tlcli.models.norms import is_batch_norm
from tlcli.models.student import is_head, leaf_layers


def apply(model: Any, phase: Phase, batch_norm: str) -> dict[str, float]:
    """Mark what a phase trains; gives the rate of each trained variable by path.

    Args:
        model: The student.
        phase: Its `rates` are multipliers by layer name, other layers are frozen; its `only` is
            "all", "bias_norm" for biases and normalisation alone, "lora" for factors alone.
        batch_norm: "frozen" keeps the backbone's statistics and factors; "train" moves them.
    """
    rates, only = phase.rates, phase.only
    found: dict[str, float] = {}
    owners: dict[str, float] = {}
    for layer in model.layers:
        rate = rates.get(layer.name, 0.0)
        for leaf in [layer, *(leaf_layers(layer) if hasattr(layer, "_flatten_layers") else [])]:
            inner = rates.get(leaf.name, rate)
            frozen_norm = is_batch_norm(leaf) and batch_norm != "train" and not is_head(layer)
            owners[leaf.name] = inner
            idle = only == "lora" and not is_head(layer) and not has_factors(leaf)
            leaf.trainable = bool(inner) and not frozen_norm and not idle
            if getattr(leaf, "lora_enabled", False):
                # Keras set this to false, and a layer that is trainable already does not undo it.
                leaf._kernel.trainable = leaf.trainable and only != "lora"
    for layer in model.layers:
        for variable in layer.trainable_variables:
            if is_head(layer) or _is_wanted(variable, only):
                found[variable.path] = rates.get(layer.name, 0.0) or owners.get(layer.name, 0.0)
    return found


@contextmanager
def applied(model: Any, phase: Phase, batch_norm: str) -> Iterator[dict[str, float]]:
    """What `apply` gives, in force for a while; afterwards the model is marked as before."""
    layers = [(layer, layer._trainable) for layer in model._flatten_layers()]
    variables = [(variable, variable.trainable) for variable in model.variables]
    try:
        yield apply(model, phase, batch_norm)
    finally:
        for layer, flag in layers:
            layer._trainable = flag
        for variable, flag in variables:
            variable.trainable = flag


def rates(model: Any, phase: Phase, batch_norm: str) -> dict[str, float]:
    """The rate of each variable that a phase trains, by path; nothing is marked."""
    with applied(model, phase, batch_norm) as found:
        return found


def _is_wanted(variable: Any, only: str) -> bool:
    if only == "lora":
        return is_factor(variable)
    return only == "all" or variable.path.split("/")[-1] in ("bias", "gamma", "beta")
