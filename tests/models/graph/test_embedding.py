"""The embedding is what the last weights take, whatever the head."""

import keras
import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config import registry
from tlcli.data.resize import Resize
from tlcli.models.borrowed_head import Borrowed
from tlcli.models.graph.embedding import with_embedding
from tlcli.models.student import build_student


def built(head, classes=3):
    backbone = registry.build("backbone", config("train")["backbone"])
    return build_student(backbone, head, classes, Resize(16, "squash", 1.0, True))


@pytest.mark.parametrize("name", ["linear", "cosine", "mlp", "attention", "kernel"])
def test_the_last_layer_makes_the_logits_of_the_embedding(name):
    head = registry.build("head", registry.defaults("head", name))
    model = built(head).model
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    for variable in model.layers[-1].variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    logits, embedding = (np.asarray(one) for one in with_embedding(model)(images, training=False))
    np.testing.assert_array_equal(logits, model(images, training=False))
    assert embedding.shape[0] == 4
    assert embedding.ndim == 2
    np.testing.assert_allclose(model.layers[-1](embedding), logits, rtol=1e-5, atol=1e-5)


def test_a_choice_of_classes_behind_a_borrowed_head_is_passed_over():
    head = registry.build("head", registry.defaults("head", "linear"))
    found = built(Borrowed(head, 5, (3, 1, 0), 8, 2, "relu"))
    logits, embedding = with_embedding(found.model).outputs
    assert (logits.shape[-1], embedding.shape[-1]) == (3, 8)


def test_maps_are_averaged_over_their_places():
    images = keras.Input((8, 8, 3), dtype="uint8")
    maps = keras.layers.Conv2D(5, 3, name="before")(keras.layers.Rescaling(1.0)(images))
    logits = keras.layers.Conv2D(2, 1)(maps)
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(logits))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    expected = np.asarray(keras.Model(images, maps)(pixels)).mean((1, 2))
    np.testing.assert_allclose(with_embedding(model)(pixels)[1], expected, rtol=1e-5)


def test_heads_that_are_added_leave_the_logits_themselves():
    images = keras.Input((4,))
    first, second = keras.layers.Dense(2)(images), keras.layers.Dense(2)(images)
    model = keras.Model(images, keras.layers.Add()([first, second]))
    values = np.ones((1, 4), np.float32)
    logits, embedding = with_embedding(model)(values)
    np.testing.assert_array_equal(logits, embedding)
