"""What a phase trains, by layer and by kind of variable; asking marks nothing."""

import keras
import pytest

from tlcli.contracts.finetune import Phase
from tlcli.models import trainable


@pytest.fixture
def model():
    images = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="body")(images)
    hidden = keras.layers.BatchNormalization(name="bn")(hidden)
    return keras.Model(images, keras.layers.Dense(2, name="head_logits")(hidden))


def phase(only="all", **rates):
    return Phase("full", 1, rates, only=only)


def ends(found):
    return {"/".join(path.split("/")[-2:]): rate for path, rate in found.items()}


def test_rates_are_by_layer_and_frozen_norms_stay(model):
    given = phase(body=0.1, bn=0.1, head_logits=1.0)
    assert ends(trainable.rates(model, given, "frozen")) == {
        "body/kernel": 0.1, "body/bias": 0.1, "head_logits/kernel": 1.0, "head_logits/bias": 1.0,
    }  # fmt: skip
    moved = ends(trainable.rates(model, given, "train"))
    assert (moved["bn/gamma"], moved["bn/beta"]) == (0.1, 0.1)


def test_biases_and_norms_alone(model):
    found = trainable.rates(model, phase("bias_norm", body=1.0, bn=1.0, head_logits=1.0), "train")
    assert set(ends(found)) == {
        "body/bias", "bn/gamma", "bn/beta", "head_logits/kernel", "head_logits/bias",
    }  # fmt: skip


def test_asking_marks_nothing_and_applying_does(model):
    def flags():
        return [v.trainable for v in model.variables], [x.trainable for x in model.layers]

    before, given = flags(), phase(head_logits=1.0)
    trainable.rates(model, given, "frozen")
    assert flags() == before
    with trainable.applied(model, given, "frozen"):
        assert not model.get_layer("body").trainable
    assert flags() == before
    trainable.apply(model, given, "frozen")
    assert not model.get_layer("body").trainable
    assert model.get_layer("head_logits").trainable
