"""The resolutions of a model of images, and the layers to tap in them."""

import math

import keras

from tlcli.models.graph.trace import Call, Graph, Layer, Model, Value, sized

_PADDING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D, keras.layers.InputLayer)
_ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU,
                keras.layers.PReLU, keras.layers.ELU)  # fmt: skip
_MERGES = (keras.layers.Add, keras.layers.Concatenate)


def levels_of(graph: Graph) -> dict[Value, float]:
    """How often each feature map was halved since the image; vectors and their kin have none."""
    levels = {value: 0.0 for value in graph.inputs if len(value.shape) == 4}
    for call in graph.calls:
        known = [levels[value] for value in call.inputs if value in levels]
        pooled = "Global" in type(call.layer).__name__
        if not known or pooled or len(call.outputs[0].shape) != 4:
            continue
        levels.update(dict.fromkeys(call.outputs, max(known) + math.log2(_stride(call))))
    return levels


def _stride(call: Call) -> float:
    """Factor by which a call lowers the resolution, 1 for padding and unpadded filters."""
    strides = getattr(call.layer, "strides", None)
    if strides is not None:
        stride = strides if isinstance(strides, int) else max(strides)
        grows = "Transpose" in type(call.layer).__name__
        return 1 / stride if grows else stride
    sides = [value.shape[1] or 1 for value in call.inputs if len(value.shape) == 4]
    side = call.outputs[0].shape[1] or 1
    ratio = max(sides) / side
    return 1.0 if 0.6 < ratio < 1.7 else ratio


def _is_activation(call: Call) -> bool:
    """Whether what the call makes is an activation, or a sum of branches."""
    layer = call.layer
    if isinstance(layer, (*_ACTIVATIONS, *_MERGES)):
        return True
    if isinstance(layer, keras.Layer):
        activation = getattr(layer, "activation", None)
        return activation not in (None, keras.activations.linear)
    return type(layer).__name__.lower() in {"relu", "relu6", "gelu", "silu", "add", "concatenate"}


def _passages(graph: Graph) -> set[Value]:
    """Values that every path from the inputs to the outputs goes through."""
    position = dict.fromkeys(graph.inputs, -1)
    for i, call in enumerate(graph.calls):
        position.update(dict.fromkeys(call.outputs, i))
    last_use = dict.fromkeys(position, -1)
    for i, call in enumerate(graph.calls):
        last_use.update(dict.fromkeys(call.inputs, i))
    last_use.update(dict.fromkeys(graph.outputs, len(graph.calls)))
    passages, reach = set(), max((last_use[value] for value in graph.inputs), default=-1)
    for i, call in enumerate(graph.calls):
        if reach <= i and len(call.outputs) == 1:
            passages.add(call.outputs[0])
        reach = max([reach, *(last_use[value] for value in call.outputs)])
    return passages


def stages(model: Model) -> list[str]:
    """Layers to tap by default: the last activation of each resolution, shallow to deep.

    Activations that all paths go through come first; where a resolution has none, the last such
    tensor of any kind, then the last activation. The image's own resolution has no stage unless
    a layer with weights works at it.

    Args:
        model: A functional model of images, (batch, height, width, channels).
    """
    graph = sized(model)
    levels, passages = levels_of(graph), _passages(graph)
    ranked: dict[float, tuple[int, str]] = {}
    weighted: set[float] = set()
    for call in graph.calls:
        if call.outputs[0] not in levels or isinstance(call.layer, _PADDING):
            continue
        level = levels[call.outputs[0]]
        weighted |= {level} if _has_kernel(call.layer) else set()
        rank = 2 * (call.outputs[0] in passages) + _is_activation(call)
        if level in weighted and rank >= ranked.get(level, (1, ""))[0]:
            ranked[level] = rank, call.path
    return [path for _, (_, path) in sorted(ranked.items())]


def _has_kernel(layer: Layer) -> bool:
    """Whether the layer has a matrix of weights, not only scales and offsets."""
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))
