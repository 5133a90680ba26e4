"""What the backbones share: repeatable layer names, and cutting at a layer."""

import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tlcli.errors import ConfigError, nearest
from tlcli.lazy import Tensor, keras


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Number automatic layer names from zero inside the block, whatever was built before.

    Keras counts `conv2d_7` over the whole process. `keras.utils.clear_session` would reset the
    count for everybody; here it is put back afterwards.
    """
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", collections.defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def cut(model: Any, output_layer: str | None) -> Any:
    """The model up to a layer, the whole of it for None.

    Raises:
        ConfigError: No layer of that name.
    """
    if output_layer is None:
        return model
    layers = {layer.name: layer for layer in model.layers}
    if output_layer not in layers:
        raise ConfigError(
            "backbone.output_layer", f"no layer is called {output_layer!r}",
            nearest(output_layer, layers),
        )  # fmt: skip
    from tlcli.models.graph.trace import layer_output

    # A layer's own `output` may be of another graph, where the images were no Input.
    return keras.Model(model.inputs, layer_output(model, output_layer), name=model.name)


def replay(
    model: Any, images: Tensor, start: Tensor, call: Callable[..., Tensor] | None = None
) -> Any:
    """Run a functional model's own layers on another tensor; its first graph is forgotten.

    Copies made from the layers' configs would do the same, but some layers of KerasHub cannot
    read their own configs. Layers keep one node, so that `layer.output` is in the new graph.

    Args:
        model: Functional model of one input and one output; not usable afterwards.
        images: KerasTensor, input of the new model.
        start: KerasTensor made from `images` that takes the place of the model's input.
        call: Called as call(layer, *inputs) in place of layer(*inputs).
    """
    nodes = [layer for layer in model.operations if not isinstance(layer, keras.layers.InputLayer)]
    for layer in nodes:
        layer._inbound_nodes.clear()
    features = model._run_through_graph(start, call_fn=call or _call)
    return keras.Model(images, features, name=model.name)


def _call(layer: Any, *args: Any, **kwargs: Any) -> Tensor:
    return layer(*args, **kwargs)
