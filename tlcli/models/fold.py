"""Inference graphs with batch normalization folded into the layer before it (arXiv:1712.05877)."""

import collections
import logging
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.models.fused_batch_norm import FusedBatchNormalization
from tlcli.models.graph.trace import (
    Call,
    Graph,
    Value,
    fresh_inputs,
    name_clash,
    packed,
    single,
    trace,
)
from tlcli.system import console
from tlcli.system.notes import EXPERT

Tensor = Any
Layer = Any
Model = Any

_LOG = logging.getLogger(__name__)

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_PADDED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_FOLDABLE = (*_CONVOLUTIONS, *_DEPTHWISE, *_SEPARABLE, keras.layers.Dense)


@dataclass(frozen=True, eq=False)
class _Pair:
    """A normalization, the layer before it if that is folded, and what stands for them."""

    layer: Layer | None
    norm: Layer
    merged: Layer


@dataclass(frozen=True, eq=False)
class _Folds:
    """What `refresh` needs; a plain object, which Keras does not track as a part of the model."""

    model: Model
    pairs: tuple[_Pair, ...]


def folded(model: Model) -> Model | None:
    """A faster model with the same outputs as `model(images, training=False)`.

    A batch normalization whose only input is a linear convolution or dense layer, used by nothing
    else, becomes part of that layer's kernel and bias; other normalizations run on the fused
    kernel. Zeros around the input of such a convolution that are those of padding="same" become
    its padding. These hold copies of the weights, float32 (see `refresh`); all other layers are
    shared.

    Args:
        model: A functional or built Sequential model; nested models are inlined.

    Returns:
        The folded model, in the model's output structure, its inputs as a list if several, for
        inference only; or None, with the reason logged, where there is nothing to fold or the
        outputs on random inputs differ by more than 1e-4 of the largest (5e-2 below float32).
    """
    original = trace(model)
    norms = sum(_is_norm(call.layer) for call in original.calls)
    if not norms:
        _LOG.info("%s is not folded: it has no batch normalization.", model.name)
        return None
    if clash := name_clash(original):
        console.say(f"fold       not for {model.name}: two layers are called {clash}", EXPERT)
        return None
    chosen = _foldable(original)
    pairs, inference = _rebuild(model, original, chosen)
    inference._tlcli_folds = _Folds(model, pairs)
    _write(pairs)
    error = _difference(model, inference)
    if not error <= (1e-4 if _full_precision(model) else 5e-2):
        console.say(f"fold       not for {model.name}: outputs would differ by {error:.1e}", EXPERT)
        return None
    _LOG.info(
        "%s: %d batch normalizations folded, %d kept, relative difference %.0e.",
        model.name, len(chosen), norms - len(chosen), error,
    )  # fmt: skip
    return inference


def refresh(inference: Model, model: Model) -> None:
    """Copy the weights of `model` into its folded model; traced functions stay valid.

    Args:
        inference: What `folded(model)` returned.
        model: That same model, after its weights changed.

    Raises:
        ValueError: The folded model was made from another model.
    """
    folds = getattr(inference, "_tlcli_folds", None)
    if folds is None or folds.model is not model:
        raise ValueError(f"{inference.name} was not folded from {model.name}")
    _write(folds.pairs)


def _is_norm(layer: Layer) -> bool:
    return type(layer) in (keras.layers.BatchNormalization, FusedBatchNormalization)


def _foldable(original: Graph) -> dict[Call, Call]:
    """The call of the layer before, by call of the normalization, where both can be one."""
    maker = {value: call for call in original.calls for value in call.outputs}
    uses = collections.Counter(value for call in original.calls for value in call.inputs)
    uses.update(original.outputs)
    found = {}
    for call in original.calls:
        if not _is_norm(call.layer) or len(call.inputs) != 1:
            continue
        before = maker.get(call.inputs[0])
        if before is None or uses[call.inputs[0]] != 1 or type(before.layer) not in _FOLDABLE:
            continue
        if _is_linear(before.layer) and _same_axis(before.layer, call):
            found[call] = before
    return found


def _is_linear(layer: Layer) -> bool:
    lora = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return layer.activation in (None, keras.activations.linear) and not lora


def _same_axis(layer: Layer, norm_call: Call) -> bool:
    """Whether the normalization works over the channels that the layer makes."""
    rank = len(norm_call.inputs[0].shape)
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return bool(norm_call.layer.axis % rank == (1 if first else rank - 1))


def _rebuild(
    model: Model, original: Graph, chosen: dict[Call, Call]
) -> tuple[tuple[_Pair, ...], Model]:
    """The pairs, whose weights are still to be written, and the model that uses them."""
    inputs = fresh_inputs(model)
    made = dict(zip(original.inputs, inputs, strict=True))
    pads = _paddings(original, set(chosen.values()))
    absorbed = {*chosen.values(), *pads.values()}
    pairs: dict[tuple[Layer | None, Layer], _Pair] = {}
    for call in original.calls:
        if call in absorbed:
            continue
        source, layer = chosen.get(call, call), call.layer
        if _is_norm(layer):
            key = (source.layer if source is not call else None, layer)
            if key not in pairs:
                alone = sum(source.layer is pair.layer for pair in pairs.values()) == 0
                name = source.layer.name if alone else f"{source.layer.name}_{layer.name}"
                merged = _merged(*key, name, source.inputs[0].shape, source in pads)
                pairs[key] = _Pair(*key, merged)
            layer = pairs[key].merged
        source = pads.get(source, source)
        args, kwargs = keras.tree.map_structure(
            lambda x: made[x] if isinstance(x, Value) else x, (source.args, source.kwargs)
        )
        outputs = keras.tree.flatten(layer(*args, **kwargs))
        made.update(zip(call.outputs, outputs, strict=True))
    outputs = packed(model, [made[value] for value in original.outputs])
    folded_model = keras.Model(single(inputs), outputs, name=f"{model.name}_folded")
    return tuple(pairs.values()), folded_model


def _paddings(original: Graph, convolutions: set[Call]) -> dict[Call, Call]:
    """The call that pads before it, by call of the convolution that can do so itself."""
    maker = {value: call for call in original.calls for value in call.outputs}
    uses = collections.Counter(value for call in original.calls for value in call.inputs)
    uses.update(original.outputs)
    calls = collections.Counter(id(call.layer) for call in convolutions)
    found = {}
    for call in convolutions:
        before = maker.get(call.inputs[0])
        if before is None or uses[call.inputs[0]] != 1 or calls[id(call.layer)] != 1:
            continue
        if type(before.layer) is keras.layers.ZeroPadding2D and _pads_alike(before, call.layer):
            found[call] = before
    return found


def _pads_alike(before: Call, layer: Layer) -> bool:
    """Whether zeros put around are those that padding="same" would put there."""
    last = getattr(layer, "data_format", "") == before.layer.data_format == "channels_last"
    if type(layer) not in _PADDED or layer.padding != "valid" or not last:
        return False
    wanted = []
    for side, kernel, stride, dilation in zip(
        before.inputs[0].shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate,
        strict=True,
    ):  # fmt: skip
        if side is None:
            return False
        needed = (-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side
        wanted.append((max(needed, 0) // 2, max(needed, 0) - max(needed, 0) // 2))
    return wanted == [tuple(pair) for pair in before.layer.padding]


def _merged(
    layer: Layer | None, norm: Layer, name: str, shape: tuple[int | None, ...], pads: bool
) -> Layer:
    """A new layer of the kind of `layer` with a bias, or a fused normalization without one."""
    kind = FusedBatchNormalization if layer is None else type(layer)
    config = (norm if layer is None else layer).get_config()
    drop = ("_regularizer", "_constraint")
    config = {k: None if k.endswith(drop) else v for k, v in config.items()}
    if layer is not None:
        zeros = {k: "zeros" for k in config if k.endswith("_initializer")}
        config |= zeros | {"use_bias": True} | ({"padding": "same"} if pads else {})
    made = kind.from_config(config | {"name": name})
    made.build(shape)
    made.trainable = False
    return made


def _write(pairs: tuple[_Pair, ...]) -> None:
    """Set the weights of the merged layers from the layers they stand for."""
    for pair in pairs:
        if pair.layer is None:
            pair.merged.set_weights(pair.norm.get_weights())
        else:
            pair.merged.set_weights(_folded_weights(pair.layer, pair.norm))


def _folded_weights(layer: Layer, norm: Layer) -> list[Any]:
    """Kernels and bias, float32, that do what the layer and the normalization do in turn."""
    scale = 1 / np.sqrt(np.float64(norm.moving_variance.numpy()) + norm.epsilon)
    scale *= np.float64(norm.gamma.numpy()) if norm.scale else 1.0
    bias = np.float64(layer.bias.numpy()) if layer.use_bias else 0.0
    bias = (bias - np.float64(norm.moving_mean.numpy())) * scale
    bias += np.float64(norm.beta.numpy()) if norm.center else 0.0
    weights = [weight.numpy() for weight in layer.weights[: -1 if layer.use_bias else None]]
    kernel = weights[-1]
    if isinstance(layer, _DEPTHWISE):
        # Output channel c * multiplier + m comes from kernel (…, c, m).
        weights[-1] = kernel * scale.reshape(kernel.shape[-2:]).astype(kernel.dtype)
    else:
        weights[-1] = kernel * scale.astype(kernel.dtype)
    return [*weights, bias]


def _full_precision(model: Model) -> bool:
    low = ("float16", "bfloat16")
    calls = trace(model).calls
    return not any(getattr(call.layer, "compute_dtype", None) in low for call in calls)


def _difference(model: Model, inference: Model) -> float:
    """Largest difference of the outputs on random inputs, relative to the largest output."""
    random = np.random.default_rng(0)
    inputs = []
    for tensor in fresh_inputs(model, image_size=64):
        shape = tuple(2 if d is None else d for d in tensor.shape)
        whole = "int" in tensor.dtype or tensor.dtype == "bool"
        values = random.integers(0, 2, shape) if whole else random.normal(size=shape)
        inputs.append(tf.cast(values, tensor.dtype))
    structured = keras.tree.pack_sequence_as(model.input, inputs)
    wanted = keras.tree.flatten(model(structured, training=False))
    given = keras.tree.flatten(inference(single(inputs), training=False))
    errors = []
    for a, b in zip(wanted, given, strict=True):
        a, b = (np.asarray(tf.cast(x, "float64")) for x in (a, b))
        errors.append(np.abs(a - b).max() / max(np.abs(a).max(), np.finfo(np.float32).tiny))
    return float(max(errors))
