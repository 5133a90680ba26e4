"""Batch normalisation: found, synchronised, adapted."""

from collections.abc import Iterable
from typing import Any

import keras

from tlcli.contracts.backbone import Backbone, LoadReport
from tlcli.contracts.hardware import Hardware
from tlcli.system import console


def is_batch_norm(layer: Any) -> bool:
    """Whether a layer normalises by statistics of the batch."""
    return isinstance(layer, keras.layers.BatchNormalization)


def has_batch_norm(network: Any) -> bool:
    """Whether any layer of a network does."""
    return any(is_batch_norm(layer) for layer in network._flatten_layers())


def moving_statistics(network: Any) -> list[Any]:
    """Variables of the batch statistics that training moves."""
    return [
        variable
        for layer in network._flatten_layers()
        if is_batch_norm(layer) and layer.trainable
        for variable in layer.non_trainable_variables
    ]


def batch_norm(backbone: Backbone, report: LoadReport) -> str:
    """What happens to the backbone's batch normalisation; random weights must be normalised."""
    return "train" if report.source == "random" else backbone.batch_norm


def synchronise_norms(strategy: Any, hardware: Hardware, network: Any) -> None:
    """Let batch statistics be those of the global batch on several replicas.

    Args:
        strategy: tf.distribute strategy.
        hardware: The option; with `batch_norm` "local" each replica keeps its own.
        network: Keras model.
    """
    if strategy.num_replicas_in_sync == 1 or hardware.batch_norm == "local":
        return
    for layer in network._flatten_layers():
        if is_batch_norm(layer):
            layer.synchronized = True


def adapt_norms(network: Any, batches: Iterable[Any]) -> None:
    """Replace the statistics of batch normalisation by those of some images.

    The averages are taken equally over the batches (AdaBN, Li et al. 2016, arXiv:1603.04779); the
    weights stay.

    Args:
        network: Keras model.
        batches: Images as the network takes them, of one size but for the last.
    """
    norms = [layer for layer in network._flatten_layers() if is_batch_norm(layer)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.trainable = True
    shown = console.staged(batches, "taking statistics of batches", None, "batches")
    for index, images in enumerate(shown):
        for layer in norms:
            layer.momentum = index / (index + 1)
        network(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
