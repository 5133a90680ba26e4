"""Read, rerun and cut the graph of a functional Keras model; nested models count as inlined."""

import collections
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.models.functional import Functional

from tlcli.errors import ConfigError, nearest

Tensor = Any
Layer = Any
Model = Any
Replace = Callable[[Layer, tuple[Any, ...], dict[str, Any]], Any]

_PADDING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D, keras.layers.InputLayer)
_ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU,
                keras.layers.PReLU, keras.layers.ELU)  # fmt: skip
_MERGES = (keras.layers.Add, keras.layers.Concatenate)


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


@dataclass(frozen=True, eq=False)
class Split:
    """A model cut in two: `suffix(prefix(images))` is the model.

    Attributes:
        prefix: Images to cut tensors, then the extra outputs; None if nothing can be cut off.
            Run it with `training=False`. Several inputs are a list, in the model's flat order.
        suffix: Cut tensors to the model's outputs, in the model's output structure.
        cut_names: Path of the layer behind each cut tensor, in the order of the suffix's inputs.
        extra_names: Extra outputs that the prefix gives after the cut tensors.
    """

    prefix: Model | None
    suffix: Model
    cut_names: tuple[str, ...]
    extra_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerGroup:
    """Layers with weights that are unfrozen together.

    Attributes:
        name: Common part of their names, or `stem`, `top`, `stage_2`, `head`.
        layers: The layers, in the order of their first call.
    """

    name: str
    layers: tuple[Layer, ...]


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


def split(
    model: Model, is_frozen: Callable[[Layer], bool], extra_outputs: Sequence[str] = ()
) -> Split:
    """Cut the model where its constant part ends, so that this part can be run once.

    The prefix is every call whose layer is frozen and whose inputs come from the prefix alone.
    Operations without a layer (`keras.ops`) count as frozen. A frozen call without weights that
    only makes the cut tensors larger (upsampling) is left to the suffix.

    Args:
        model: A functional model; its layers are shared by both parts.
        is_frozen: Whether a layer gives the same outputs for the same inputs throughout. Asked
            for every layer, dropout included.
        extra_outputs: Layer names whose outputs the prefix also gives. Those outside the prefix
            are left out; `extra_names` says which are given.
    """
    graph = trace(model)
    inside = _constant_calls(graph, is_frozen)
    cut = _cut(graph, inside)
    extras = {}
    for name in extra_outputs:
        value = graph.named[path_of(graph, name, None)][0][0]
        if any(value in call.outputs for call in inside):
            extras[name] = value
    refuse_clash(graph)
    if not inside:
        return Split(None, model, tuple(_cut_names(graph, cut)))
    inputs = fresh_inputs(model)
    made = replay(
        (c for c in graph.calls if c in inside), dict(zip(graph.inputs, inputs, strict=True))
    )
    names = tuple(_cut_names(graph, cut))
    wanted = [made[value] for value in (*cut, *extras.values())]
    prefix = keras.Model(single(inputs), single(wanted), name=f"{model.name}_prefix")
    suffix = _suffix(model, graph, inside, dict(zip(names, cut, strict=True)))
    return Split(prefix, suffix, names, tuple(extras))


def single(tensors: list[Tensor]) -> Any:
    """The tensor itself if the list has one, else the list."""
    return tensors[0] if len(tensors) == 1 else tensors


def _suffix(model: Model, graph: Graph, inside: set[Call], cut: dict[str, Value]) -> Model:
    inputs = {
        value: keras.Input(
            batch_shape=value.shape, dtype=value.tensor.dtype, name=name.replace("/", "_")
        )
        for name, value in cut.items()
    }
    made = replay((call for call in graph.calls if call not in inside), inputs)
    outputs = packed(model, [made[value] for value in graph.outputs])
    return keras.Model(single(list(inputs.values())), outputs, name=f"{model.name}_suffix")


def _constant_calls(graph: Graph, is_frozen: Callable[[Layer], bool]) -> set[Call]:
    """The calls of the prefix."""
    constant = set(graph.inputs)
    inside: set[Call] = set()
    for call in graph.calls:
        frozen = not isinstance(call.layer, keras.Layer) or is_frozen(call.layer)
        if frozen and constant.issuperset(call.inputs):
            constant.update(call.outputs)
            inside.add(call)
    for call in reversed(graph.calls):
        if call in inside and not getattr(call.layer, "weights", ()):
            smaller = inside - {call}
            outputs_leave = not any(set(call.outputs) & set(c.inputs) for c in smaller)
            if outputs_leave and _size(_cut(graph, smaller)) < _size(_cut(graph, inside)):
                inside = smaller
    return inside


def _cut(graph: Graph, inside: set[Call]) -> list[Value]:
    """Values that the calls outside, or the model's outputs, take from inside."""
    outside = [call for call in graph.calls if call not in inside]
    used = {value for call in outside for value in call.inputs} | set(graph.outputs)
    made = [value for call in graph.calls if call in inside for value in call.outputs]
    return [value for value in (*graph.inputs, *made) if value in used]


def _size(values: Iterable[Value]) -> int:
    """Numbers per image; unknown lengths count as 64."""
    return sum(math.prod(64 if d is None else d for d in value.shape[1:]) for value in values)


def _cut_names(graph: Graph, cut: Sequence[Value]) -> Iterator[str]:
    """A distinct name per cut value: the path of its layer, `#2` added where it is not alone."""
    owner = {value: call.path for call in graph.calls for value in call.outputs}
    seen: collections.Counter[str] = collections.Counter()
    for value in cut:
        name = owner.get(value) or value.tensor.name
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"


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


_BLOCK_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<key>.*?stage_?\d+_.*?block_?\d+)(?=_|$)",
        r"(?P<key>(?:conv|stack)\d+_block\d+)_",
        r"(?P<key>.*?(?:transformer|downsampling)_?(?:block|layer)_\d+)(?=_|$)",
        r"(?P<key>block_?\d+[a-z]?)(?=_|$)",
        r"conv_(?:dw|pw)_(?P<key>\d+)(?=_|$)",
        r"(?P<key>expanded_conv(?:_\d+)?)_",
        r"(?P<key>pool\d+)_(?:bn|conv)$",
        r"(?P<key>.*?(?:cell|stage)_\d+)(?=_|$)",
    )
)


def _block_key(path: str) -> str | None:
    """The block that a layer's path names, in the conventions of keras.applications."""
    for part in path.split("/"):
        for pattern in _BLOCK_NAMES:
            if found := pattern.match(part):
                key = found["key"]
                return f"block_{key}" if key.isdigit() else key
    return None


def blocks(model: Model, head_prefix: str = "head_") -> list[LayerGroup]:
    """Layers with weights in blocks, from the stem to the head, to unfreeze or to rate by.

    Blocks follow the layer names where most of them name one (`block_3`, `conv2_block1`,
    `conv_dw_3`, `stage_1_block_2`), else the marks `mixed0`, `mixed1`, … of the Inception nets,
    else the resolutions.

    Args:
        model: A functional model; nested models count as inlined.
        head_prefix: Layers so named are the head. Without any, the layers after the last
            feature map are.
    """
    graph = sized(model)
    first: dict[Layer, int] = {}
    for i, call in enumerate(graph.calls):
        if getattr(call.layer, "weights", ()):
            first.setdefault(call.layer, i)
    head = _head(graph, first, head_prefix)
    body = {layer: i for layer, i in first.items() if layer not in head}
    groups: dict[str, list[Layer]] = collections.defaultdict(list)
    for layer, name in _body_names(graph, body).items():
        groups[name].append(layer)
    if head:
        groups["head"] = [layer for layer in first if layer in head]
    return [LayerGroup(name, tuple(layers)) for name, layers in groups.items()]


def _head(graph: Graph, first: dict[Layer, int], head_prefix: str) -> set[Layer]:
    named = {
        layer
        for layer, i in first.items()
        if any(part.startswith(head_prefix) for part in graph.calls[i].path.split("/"))
    }
    if named:
        return named
    levels = levels_of(graph)
    maps = [i for i, call in enumerate(graph.calls) if call.outputs[0] in levels]
    return {layer for layer, i in first.items() if i > max(maps, default=-1)} if maps else set()


def _body_names(graph: Graph, body: dict[Layer, int]) -> dict[Layer, str]:
    """Name of the block of each layer."""
    keys = {layer: _block_key(graph.calls[i].path) for layer, i in body.items()}
    named = [layer for layer, key in keys.items() if key]
    marks = [i for i, c in enumerate(graph.calls) if re.fullmatch(r"mixed\d+", c.layer.name)]
    if 2 * len(named) >= len(body) and len(set(keys.values())) > 2:
        return _names_by_key(keys, named)
    if len(marks) > 1:
        ends = {i: graph.calls[i].layer.name for i in marks}
        return {
            layer: next((name for i, name in ends.items() if i > at), "top")
            for layer, at in body.items()
        }
    return _names_by_level(graph, body)


def _names_by_key(keys: dict[Layer, str | None], named: list[Layer]) -> dict[Layer, str]:
    """Layers before the first named block are the stem, after the last the top."""
    order = list(keys)
    start, end = order.index(named[0]), order.index(named[-1])
    found, current = {}, "stem"
    for i, (layer, key) in enumerate(keys.items()):
        current = key or current
        found[layer] = "stem" if i < start else "top" if i > end else current
    return found


def _names_by_level(graph: Graph, body: dict[Layer, int]) -> dict[Layer, str]:
    levels, current, ranks = levels_of(graph), 0.0, {}
    for layer, i in body.items():
        current = levels.get(graph.calls[i].outputs[0], current)
        ranks[layer] = current
    order = {level: rank for rank, level in enumerate(sorted(set(ranks.values())))}
    by_rank = sorted(body, key=lambda layer: order[ranks[layer]])
    return {layer: f"stage_{order[ranks[layer]]}" for layer in by_rank}


def parameters(model: Model) -> int:
    """Number of weights, each shared one once."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def flops(model: Model, image_size: int = 224) -> int:
    """Floating-point operations of one image: twice the multiply-adds of its kernels.

    Convolutions, depthwise, separable and transposed ones, and dense layers are counted from
    shapes; normalisation, activations, pooling and attention scores are not.

    Args:
        model: A functional model.
        image_size: Height and width in pixels where the model leaves them open.
    """
    return 2 * sum(_multiply_adds(call) for call in sized(model, image_size).calls)


def _multiply_adds(call: Call) -> int:
    layer, kinds = call.layer, keras.layers
    if isinstance(layer, (kinds.Dense, kinds.EinsumDense)):
        made = math.prod(d or 1 for d in call.outputs[0].shape[1:])
        return made * _terms(layer)
    if isinstance(layer, (kinds.Conv1DTranspose, kinds.Conv2DTranspose, kinds.Conv3DTranspose)):
        return _positions(call.inputs[0], layer) * _count(layer.kernel)
    if isinstance(layer, (kinds.SeparableConv1D, kinds.SeparableConv2D)):
        kernels = _count(layer.depthwise_kernel) + _count(layer.pointwise_kernel)
        return _positions(call.outputs[0], layer) * kernels
    convolutions = (kinds.Conv1D, kinds.Conv2D, kinds.Conv3D,
                    kinds.DepthwiseConv1D, kinds.DepthwiseConv2D)  # fmt: skip
    # A kernel of a grouped convolution is stored per group, so its size already tells the cost.
    if isinstance(layer, convolutions):
        return _positions(call.outputs[0], layer) * _count(layer.kernel)
    return 0


def _count(weight: Tensor) -> int:
    return math.prod(weight.shape)


def _terms(layer: Layer) -> int:
    """Products summed for one output of a dense layer."""
    if isinstance(layer, keras.layers.Dense):
        return int(layer.kernel.shape[0])
    _, kernel, outputs = re.split(",|->", layer.equation)
    sides = zip(kernel, layer.kernel.shape, strict=True)
    return math.prod(int(side) for label, side in sides if label not in outputs)


def _positions(value: Value, layer: Layer) -> int:
    """Pixels of a feature map."""
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    sides = value.shape[2:] if first else value.shape[1:-1]
    return math.prod(d or 1 for d in sides)
