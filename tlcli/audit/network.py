"""A pretrained network as what tells pictures apart: its features, averaged over places."""

import os
from dataclasses import dataclass
from typing import Any

from tlcli.config import registry
from tlcli.config.published import files_of, networks
from tlcli.contracts.backbone import Backbone
from tlcli.errors import ConfigError
from tlcli.lazy import keras
from tlcli.models import weight_cache
from tlcli.models.frozen.network import Network
from tlcli.models.graph.trace import rerun
from tlcli.system import download
from tlcli.system.shown import shown

# Pixels of a side that pictures are seen at by networks that take any size.
SIDE = 96
# Operations of an image at 224 pixels, 1e9, of the networks that are taken unasked.
MOST_GFLOPS = 1.3
# What is fetched where nothing is at hand.
FETCHED = ("mobilenet", 0.25)


@dataclass(frozen=True, eq=False)
class Embedder:
    """A network whose weights are loaded.

    Attributes:
        network: uint8 (batch, side, side, 3) to embeddings float32 (batch, channels).
        side: Pixels of a side that it takes.
        told: What it is, for people.
    """

    network: Network
    side: int
    told: str


def embedder(option: Backbone, name: str, image_size: int | None) -> Embedder:
    """The network of an option; one that is to be chosen is what lies at hand.

    Args:
        option: Of the group backbone.
        name: What it is called.
        image_size: Pixels of a side, or None.

    Raises:
        ConfigError: Its weights are not to be had.
    """
    if option.chosen_later:
        return _at_hand(image_size)
    return _built(option, name, image_size)


def _at_hand(image_size: int | None) -> Embedder:
    """The best small network whose weights are here or can be fetched; else the shipped one."""
    found = {(one.name, one.alpha) for one in weight_cache.present() if not one.top}
    small = [one for one in networks()
             if (one.name, one.alpha) in found and one.gflops <= MOST_GFLOPS]  # fmt: skip
    best = max(small, key=lambda one: one.top1, default=None)
    if best is None and not _reachable():
        return _shipped(image_size, "no weights of ImageNet are at hand, nor can be fetched")
    name, alpha = FETCHED if best is None else (best.name, best.alpha)
    values = registry.defaults("backbone", name)
    title = name if alpha is None else f"{name} {alpha:g}"
    option = registry.build("backbone", {**values, "alpha": alpha})
    try:
        return _built(option, title, image_size)
    except ConfigError as problem:
        return _shipped(image_size, shown(problem.problem))


def _reachable() -> bool:
    if download.is_offline():
        return False
    pixels = next(one.pixels for one in networks() if (one.name, one.alpha) == FETCHED)
    return download.reachable(files_of(*FETCHED, False, pixels)[0].url)


def _shipped(image_size: int | None, why: str) -> Embedder:
    option = registry.build("backbone", registry.defaults("backbone", "tiny"))
    made = _built(option, "tiny", image_size)
    told = f"{made.told}, which knows digits alone: findings are weak ({why})"
    return Embedder(made.network, made.side, told)


def _built(option: Backbone, name: str, image_size: int | None) -> Embedder:
    side = image_size or (SIDE if option.resizable else option.default_image_size)
    inputs = keras.Input((side, side, 3), dtype="uint8", name="images")
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(inputs)
    body = option.build(keras.Input((side, side, 3), dtype="float32", name="body_images"))
    model = keras.Model(inputs, pooled(rerun(body, pixels)), name="embedder")
    report = option.load(model)
    weights = shown(os.path.basename(report.source))
    return Embedder(Network(model), side, f"{name} at {side} px, weights {weights}")


def pooled(features: Any) -> Any:
    """Features (batch, …, channels) as one vector an image, float32."""
    axes = tuple(range(1, len(features.shape) - 1))
    found = keras.ops.mean(features, axes) if axes else features
    return keras.ops.cast(found, "float32")
