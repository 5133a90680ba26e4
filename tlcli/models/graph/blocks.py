"""Layers with weights in the groups that are unfrozen or rated together."""

import collections
import re
from dataclasses import dataclass

from tlcli.models.graph.stages import levels_of
from tlcli.models.graph.trace import Graph, Layer, Model, sized


@dataclass(frozen=True)
class LayerGroup:
    """Layers with weights that are unfrozen together.

    Attributes:
        name: Common part of their names, or `stem`, `top`, `stage_2`, `head`.
        layers: The layers, in the order of their first call.
    """

    name: str
    layers: tuple[Layer, ...]


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
