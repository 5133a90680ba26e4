"""Batch normalisation: found, adapted, synchronised."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcli.contracts.backbone import LoadReport
from tlcli.models import norms


@pytest.fixture
def network():
    images = keras.Input((4,))
    inner = keras.Sequential([keras.layers.BatchNormalization(name="bn", momentum=0.9)], name="in")
    return keras.Model(images, keras.layers.Dense(2)(inner(images)))


def norm_of(network):
    (found,) = [layer for layer in network._flatten_layers() if norms.is_batch_norm(layer)]
    return found


def test_nested_norms_are_found(network):
    assert norms.has_batch_norm(network)
    assert [v.path.split("/")[-1] for v in norms.moving_statistics(network)] == [
        "moving_mean", "moving_variance",
    ]  # fmt: skip
    norm_of(network).trainable = False
    assert norms.moving_statistics(network) == []


def test_statistics_become_those_of_the_images(network):
    batches = np.random.default_rng(0).normal(3, 2, (5, 16, 4)).astype("float32")
    norms.adapt_norms(network, batches)
    norm = norm_of(network)
    np.testing.assert_allclose(norm.moving_mean, batches.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, batches.var(1).mean(0), rtol=1e-4)
    assert norm.momentum == 0.9


def test_random_weights_are_normalised_anew():
    option = SimpleNamespace(batch_norm="frozen")
    assert norms.batch_norm(option, LoadReport("random")) == "train"
    assert norms.batch_norm(option, LoadReport("file.h5")) == "frozen"


@pytest.mark.parametrize(("replicas", "kind", "found"), [(1, "sync", False), (2, "local", False),
                                                         (2, "sync", True)])  # fmt: skip
def test_several_replicas_share_statistics_unless_told(network, replicas, kind, found):
    strategy = SimpleNamespace(num_replicas_in_sync=replicas)
    norms.synchronise_norms(strategy, SimpleNamespace(batch_norm=kind), network)
    assert norm_of(network).synchronized is found
