"""Read and rerun the graph of a functional Keras model; nested models count as inlined."""

import collections
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.models.functional import Functional

from tlcli.errors import ConfigError, nearest

Tensor = Any
Layer = Any
Model = Any
Replace = Callable[[Layer, tuple[Any, ...], dict[str, Any]], Any]


class Value:
    """A tensor of the graph: its static shape, and the KerasTensor it had when it was made."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape: tuple[int | None, ...] = tuple(tensor.shape)
        self.tensor = tensor


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer or of a `keras.ops` operation.

    Attributes:
        layer: What is called; a layer used twice stands in two calls.
        path: Its name, after the names of the models around it: `base/conv1`.
        args: Positional arguments, each tensor as a Value.
        kwargs: Keyword arguments, each tensor as a Value.
        inputs: All Values among the arguments.
        outputs: The Values it makes.
    """

    layer: Layer
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """The calls of a model with nested models inlined, producers before consumers.

    Attributes:
        inputs: One Value per flat model input.
        calls: All calls, in an order they can run in.
        outputs: One Value per flat model output.
        named: Outputs by path, of layers (one entry per call) and of nested models.
        nested: Whether the model has models inside.
    """

    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]
    named: dict[str, list[tuple[Value, ...]]] = field(repr=False)
    nested: bool


def trace(model: Model) -> Graph:
    """The model's graph, read without calling a layer.

    Raises:
        ConfigError: The model is not functional, or a Sequential model without input shape.
    """
    outer = _functional(model)
    if outer is None:
        raise ConfigError(
            str(model.name), "the model has no graph", "Give a functional model with its input."
        )
    values = {id(tensor): Value(tensor) for tensor in outer.inputs}
    inputs = tuple(values[id(tensor)] for tensor in outer.inputs)
    calls: list[Call] = []
    named: dict[str, list[tuple[Value, ...]]] = collections.defaultdict(list)
    _walk(outer, values, "", calls, named)
    outputs = tuple(values[id(tensor)] for tensor in outer.outputs)
    nested = any(_functional(operation) is not None for operation in outer.operations)
    return Graph(inputs, tuple(calls), outputs, dict(named), nested)


def _functional(model: Any) -> Any:
    """The functional graph of a model, or None for a layer or a model with its own call()."""
    if isinstance(model, keras.Sequential):
        return model._functional
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    return None


def _walk(
    model: Any,
    values: dict[int, Value],
    scope: str,
    calls: list[Call],
    named: dict[str, list[tuple[Value, ...]]],
) -> None:
    """Append the calls of a functional model whose inputs stand in `values`, by tensor id."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    for node in (n for depth in depths for n in model._nodes_by_depth[depth]):
        if node.is_input or any(id(t) not in values for t in node.input_tensors):
            continue
        args, kwargs = keras.tree.map_structure(
            lambda x: values[id(x)] if isinstance(x, keras.KerasTensor) else x,
            (node.arguments.args, node.arguments.kwargs),
        )
        given = tuple(values[id(tensor)] for tensor in node.input_tensors)
        path = scope + node.operation.name
        inner = _functional(node.operation)
        if inner is None:
            outputs = tuple(Value(tensor) for tensor in node.outputs)
            calls.append(Call(node.operation, path, args, kwargs, given, outputs))
        else:
            # The call's own `training` is dropped, as Keras drops it under fit and predict.
            inside = {id(t): value for t, value in zip(inner.inputs, given, strict=True)}
            _walk(inner, inside, f"{path}/", calls, named)
            outputs = tuple(inside[id(tensor)] for tensor in inner.outputs)
        named[path].append(outputs)
        values.update((id(t), value) for t, value in zip(node.outputs, outputs, strict=True))


def replay(
    calls: Iterable[Call], tensors: dict[Value, Tensor], replace: Replace | None = None
) -> dict[Value, Tensor]:
    """All tensors after running the calls, given the tensors they start from."""
    made = dict(tensors)
    for call in calls:
        args, kwargs = keras.tree.map_structure(
            lambda x: made[x] if isinstance(x, Value) else x, (call.args, call.kwargs)
        )
        outputs = replace(call.layer, args, kwargs) if replace else None
        if outputs is None:
            outputs = call.layer(*args, **kwargs)
        made.update(zip(call.outputs, keras.tree.flatten(outputs), strict=True))
    return made


def name_clash(graph: Graph) -> str | None:
    """A name that two layers of the graph have, so that Keras refuses a model of them."""
    layers = {call.layer for call in graph.calls}
    counts = collections.Counter(layer.name for layer in layers)
    return next((name for name, count in counts.items() if count > 1), None)


def refuse_clash(graph: Graph) -> None:
    """Refuse a graph of which Keras could make no model.

    Raises:
        ConfigError: Two of its layers have one name.
    """
    if clash := name_clash(graph):
        raise ConfigError(clash, "two layers have that name", "Name one of them otherwise.")


def packed(model: Model, tensors: Sequence[Tensor]) -> Any:
    """Tensors in the structure of the model's outputs; a single one is not in a list."""
    structure = _functional(model)._outputs_struct
    packed = keras.tree.pack_sequence_as(structure, list(tensors))
    return packed[0] if isinstance(packed, (list, tuple)) and len(packed) == 1 else packed


def rerun(model: Model, inputs: Any, replace: Replace | None = None) -> Any:
    """Outputs of the model's own layers on other inputs; weights are shared, models inlined.

    Args:
        model: A functional or built Sequential model.
        inputs: One tensor per model input, symbolic or not, in any structure.
        replace: Called for each layer with (layer, args, kwargs); gives the outputs to use
            instead, or None to call the layer.

    Returns:
        The outputs, in the structure of the model's outputs.
    """
    graph = trace(model)
    tensors = dict(zip(graph.inputs, keras.tree.flatten(inputs), strict=True))
    made = replay(graph.calls, tensors, replace)
    return packed(model, [made[value] for value in graph.outputs])


def fresh_inputs(model: Model, image_size: int | None = None) -> list[Tensor]:
    """New symbolic inputs like the model's; unknown height and width become `image_size`."""
    return [
        keras.Input(
            batch_shape=(t.shape[0], *(image_size if d is None else d for d in t.shape[1:])),
            dtype=t.dtype,
            name=t.name,
        )
        for t in _functional(model).inputs
    ]


def single(tensors: list[Tensor]) -> Any:
    """The tensor itself if the list has one, else the list."""
    return tensors[0] if len(tensors) == 1 else tensors


def path_of(graph: Graph, name: str, where: str | None) -> str:
    """Path of a layer, given as such or by its last part.

    Raises:
        ConfigError: No layer or more than one of that name, or more than one output.
    """
    told, where = (f"{name}: ", where) if where else ("", name)
    paths = [name] if name in graph.named else []
    paths = paths or [path for path in graph.named if path.endswith(f"/{name}")]
    if not paths:
        known = {path.rpartition("/")[2] for path in graph.named}
        raise ConfigError(where, f"{told}the model has no such layer", nearest(name, known))
    if len(paths) > 1:
        raise ConfigError(where, f"{told}{len(paths)} layers have that name", f"Give {paths[0]}.")
    if len(graph.named[paths[0]][0]) != 1:
        raise ConfigError(where, f"{told}the layer has several outputs", "Choose another layer.")
    return paths[0]


def layer_paths(model: Model, names: Sequence[str], where: str) -> list[str]:
    """Paths of layers, nested or not; `where` the names were given is told if one is wrong.

    Raises:
        ConfigError: No such layer, or several of that name.
    """
    graph = trace(model)
    return [path_of(graph, name, where) for name in names]


def taps(model: Model, names: Sequence[str], where: str | None = None) -> list[Tensor]:
    """Output tensors of layers, nested or not, that `keras.Model(model.inputs, …)` can take.

    Args:
        model: A functional model.
        names: Layer names, or paths such as `base/conv1`. Of a layer that is called several
            times, the first call counts.
        where: Place in the configuration that names them, for messages.

    Raises:
        ConfigError: No such layer, or several of that name.
    """
    graph = trace(model)
    values = [graph.named[path_of(graph, name, where)][0][0] for name in names]
    if not graph.nested:
        return [value.tensor for value in values]
    refuse_clash(graph)
    inputs = dict(zip(graph.inputs, _functional(model).inputs, strict=True))
    made = replay(graph.calls, inputs)
    return [made[value] for value in values]


def layer_output(model: Model, name: str) -> Tensor:
    """Output tensor of one layer, see `taps`."""
    return taps(model, [name])[0]


def sized(model: Model, image_size: int = 224) -> Graph:
    """The graph with known heights and widths; `image_size` where the model leaves them open."""
    graph = trace(model)
    if all(d is not None for value in graph.inputs for d in value.shape[1:]):
        open_calls = (v for c in graph.calls for v in c.outputs if len(v.shape) == 4)
        if all(d is not None for value in open_calls for d in value.shape[1:]):
            return graph
    inputs = fresh_inputs(model, image_size)
    return trace(keras.Model(inputs, rerun(model, inputs)))
