"""What a network knows of an image before it decides: the input of its last matrix of weights."""

from typing import Any

import keras

from tlcli.models.graph.trace import Graph, Model, Value, fresh_inputs, replay, single, trace


def with_embedding(model: Model) -> Model:
    """Images to [logits, embedding (batch, channels)], on the network's own layers.

    Layers without a matrix behind the last one (a choice of classes) are passed over; an embedding
    with places is averaged over them.

    Args:
        model: A functional model of images to logits, whose last layer takes one tensor.
    """
    graph = trace(model)
    value = _embedding(graph)
    inputs = fresh_inputs(model)
    made = replay(graph.calls, dict(zip(graph.inputs, inputs, strict=True)))
    embedding: Any = made[value]
    if len(value.shape) > 2:
        axes = tuple(range(1, len(value.shape) - 1))
        embedding = keras.ops.mean(embedding, axis=axes)
    outputs = [made[graph.outputs[0]], embedding]
    return keras.Model(single(inputs), outputs, name=f"{model.name}_embedded")


def _embedding(graph: Graph) -> Value:
    maker = {value: call for call in graph.calls for value in call.outputs}
    value = graph.outputs[0]
    while value in maker:
        call = maker[value]
        before = [one for one in call.inputs if len(one.shape) > 1]
        if len(before) != 1:
            return value
        value = before[0]
        if any(len(weight.shape) > 1 for weight in getattr(call.layer, "weights", ())):
            return value
    return value
