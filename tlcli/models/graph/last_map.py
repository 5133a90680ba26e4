"""Where a network last knows places: the map or the tokens that an explanation reads."""

from dataclasses import dataclass

import keras

from tlcli.models.graph.trace import Graph, Model, Value, fresh_inputs, replay, single, trace

# Positions a side below which a map says too little of where; one further up is taken then.
LEAST_SIDE = 4


@dataclass(frozen=True, eq=False)
class Place:
    """A tensor within a network.

    Attributes:
        path: Name of the layer that makes it.
        shape: Without the batch: (height, width, channels) or (tokens, channels).
        model: Images to [that tensor, logits], on the network's own layers.
    """

    path: str
    shape: tuple[int, ...]
    model: Model

    @property
    def is_map(self) -> bool:
        """Whether it has rows and columns of its own."""
        return len(self.shape) == 3


def last_place(model: Model) -> Place | None:
    """The deepest map or tokens of a classifier that all that is known of places goes through.

    A map smaller than LEAST_SIDE a side is passed over for the last larger one, where there is one.

    Args:
        model: A functional model of images (batch, height, width, channels) to logits.

    Returns:
        None where the network has no such tensor: it makes vectors of the images at once.
    """
    graph = trace(model)
    found = [(path, value) for path, value in _positions(graph) if _has_places(value)]
    if not found:
        return None
    large = [one for one in found if _side(one[1]) >= LEAST_SIDE]
    path, value = (large or found)[-1]
    inputs = fresh_inputs(model)
    made = replay(graph.calls, dict(zip(graph.inputs, inputs, strict=True)))
    outputs = [made[value], made[graph.outputs[0]]]
    shape = tuple(int(side) for side in value.shape[1:] if side is not None)
    return Place(path, shape, keras.Model(single(inputs), outputs, name="explained"))


def _positions(graph: Graph) -> list[tuple[str, Value]]:
    """Outputs that every path from images to logits goes through, in order."""
    last_use: dict[Value, int] = {}
    for number, call in enumerate(graph.calls):
        last_use.update(dict.fromkeys(call.inputs, number))
    last_use.update(dict.fromkeys(graph.outputs, len(graph.calls)))
    found, reach = [], max((last_use.get(value, -1) for value in graph.inputs), default=-1)
    learnt = False  # before the first weights there are but pixels
    for number, call in enumerate(graph.calls):
        learnt = learnt or any(len(w.shape) > 1 for w in getattr(call.layer, "weights", ()))
        padding = isinstance(call.layer, keras.layers.ZeroPadding2D)
        if learnt and not padding and reach <= number and len(call.outputs) == 1:
            found.append((call.path, call.outputs[0]))
        reach = max([reach, *(last_use.get(value, -1) for value in call.outputs)])
    return found


def _has_places(value: Value) -> bool:
    """Whether a tensor is a map of more than one position, or tokens."""
    sides = value.shape[1:]
    known = all(side is not None for side in sides)
    if not known or len(sides) not in (2, 3):
        return False
    return bool(max(int(side or 0) for side in sides[:-1]) > 1)


def _side(value: Value) -> int:
    """Positions a side."""
    sides = [int(side or 0) for side in value.shape[1:-1]]
    return min(sides) if len(sides) == 2 else int(sides[0] ** 0.5)
