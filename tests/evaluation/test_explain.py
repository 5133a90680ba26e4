"""Explanations are the formulas of their papers, and point at what decides."""

import keras
import numpy as np
import pytest

from tlcli.evaluation.explain import (
    Explainer,
    grad_cam,
    grad_cam_pp,
    gradient_input,
    gradients_of,
    squared,
    windows,
)

SIDE, PATCH = 32, 12
METHODS = ("grad_cam", "grad_cam_pp", "gradient", "occlusion")


def two_layers():
    """A convolution with ReLU, then two dense layers on all its positions."""
    keras.utils.set_random_seed(3)
    images = keras.Input((6, 6, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1 / 255)(images)
    maps = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(pixels)
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(keras.layers.Flatten()(maps))
    return keras.Model(images, keras.layers.Dense(3, name="logits")(hidden))


def by_hand(model, image, label):
    """The maps of a picture, and the gradient of a logit in respect of them, in numpy."""
    kernel, bias = model.get_layer("maps").get_weights()
    pixels = image / 255
    maps = np.zeros((4, 4, 4))
    for top in range(4):
        for left in range(4):
            part = pixels[top : top + 3, left : left + 3]
            maps[top, left] = np.maximum(np.tensordot(part, kernel, 3) + bias, 0)
    first, offset = model.get_layer("hidden").get_weights()
    last = model.get_layer("logits").get_weights()[0]
    on = (maps.reshape(-1) @ first + offset) > 0
    return maps, (first @ (on * last[:, label])).reshape(4, 4, 4)


@pytest.fixture
def example():
    model = two_layers()
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return model, image, 1, *by_hand(model, image, 1)


def test_features_and_gradients_are_those_by_hand(example):
    model, image, label, maps, gradient = example
    place = Explainer.of(model).place
    assert (place.path, place.shape) == ("maps", (4, 4, 4))
    found = gradients_of(place.model)(image[None], np.array([label]))
    np.testing.assert_allclose(found[0][0], maps, atol=1e-5)
    np.testing.assert_allclose(found[1][0], gradient, atol=1e-5)


def test_grad_cam_by_hand(example):
    model, image, label, maps, gradient = example
    expected = np.zeros((4, 4))
    for channel in range(4):
        expected += gradient[..., channel].mean() * maps[..., channel]
    expected = np.maximum(expected, 0)
    np.testing.assert_allclose(grad_cam(maps[None], gradient[None])[0], expected, atol=1e-7)
    heat = Explainer.of(model).heat(image[None], [label], "grad_cam")[0]
    assert heat.shape == (6, 6)
    assert heat.max() == 1
    # Enlarging from 4 to 6 moves the strongest place by a pixel at most.
    top, left = np.unravel_index(expected.argmax(), (4, 4))
    found = np.array(np.unravel_index(heat.argmax(), (6, 6)))
    assert np.abs((found + 0.5) * 4 / 6 - np.array([top, left]) - 0.5).max() < 1


def test_grad_cam_pp_by_hand(example):
    *_, maps, gradient = example
    expected = np.zeros((4, 4))
    for channel in range(4):
        g, a = gradient[..., channel], maps[..., channel]
        below = 2 * g**2 + (a * g**3).sum()
        share = np.where(below == 0, 0, g**2 / np.where(below == 0, 1, below))
        expected += (share * np.maximum(g, 0)).sum() * a
    found = grad_cam_pp(maps[None], gradient[None])[0]
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-7)


def test_gradient_times_input_of_a_linear_head_adds_up_to_the_logit():
    # Of global average pooling and a dense layer without bias: sum over places = the logit.
    random = np.random.default_rng(1)
    tokens, kernel = random.random((1, 5, 4)), random.random((4, 3))
    gradient = np.broadcast_to(kernel[:, 2] / 5, (1, 5, 4))
    found = gradient_input(tokens, gradient)
    np.testing.assert_allclose(found.sum(), (tokens.mean(1) @ kernel)[0, 2], rtol=1e-6)


def test_tokens_of_no_place_are_left_out():
    found = squared(np.arange(10.0)[None])
    np.testing.assert_array_equal(found, np.arange(1.0, 10).reshape(1, 3, 3))


@pytest.mark.parametrize("side", [1, 3, 8, 30, 224])
def test_windows_cover_everything(side):
    hidden = np.zeros((side, side), int)
    for top, left, end, right in windows(side):
        assert 0 <= top < end <= side
        assert 0 <= left < right <= side
        hidden[top:end, left:right] += 1
    assert hidden.min() > 0


def squares(count, seed):
    """Noise with a square, red or green, which alone decides; where it is, too."""
    random = np.random.default_rng(seed)
    images = random.integers(60, 200, (count, SIDE, SIDE, 3), np.uint8)
    labels = random.integers(0, 2, count)
    places = random.integers(0, SIDE - PATCH + 1, (count, 2))
    inside = np.zeros((count, SIDE, SIDE), bool)
    for row, (top, left) in enumerate(places):
        inside[row, top : top + PATCH, left : left + PATCH] = True
        images[row][inside[row]] = [20, 20, 20]
        images[row][inside[row], labels[row]] = 240
    return images, labels, inside


def small_network():
    images = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="images")
    features = keras.layers.Rescaling(1 / 127.5, -1.0, name="pixels")(images)
    for channels, stride in ((8, 2), (16, 2), (16, 1)):
        features = keras.layers.Conv2D(channels, 3, stride, "same", activation="relu")(features)
    pooled = keras.layers.GlobalAveragePooling2D(name="head_pool")(features)
    return keras.Model(images, keras.layers.Dense(2, name="head_logits")(pooled))


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(1)
    model = small_network()
    images, labels, _ = squares(512, 0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 0.01
    model.fit(images, labels, epochs=12, verbose=0)
    test, known, inside = squares(32, 9)
    assert (model.predict(test, verbose=0).argmax(1) == known).all()
    return model, test, known, inside


@pytest.mark.parametrize("method", METHODS)
def test_the_energy_lies_in_the_patch_that_decides(trained, method):
    model, images, labels, inside = trained
    heat = Explainer.of(model).heat(images, labels, method)
    within = (heat * inside).sum((1, 2)) / inside.sum((1, 2))
    without = (heat * ~inside).sum((1, 2)) / (~inside).sum((1, 2))
    ratio = within / np.maximum(without, 1e-6)
    total = (heat * inside).sum((1, 2)) / np.maximum((heat * ~inside).sum((1, 2)), 1e-6)
    assert np.median(total) > 0.6
    assert ratio.min() >= 3


@pytest.mark.parametrize("method", METHODS)
def test_random_weights_change_the_map(trained, method):
    # Adebayo et al. 2018: a map that stays when weights are lost explains the picture alone.
    model, images, labels, _ = trained
    before = Explainer.of(model).heat(images[:16], labels[:16], method)
    keras.utils.set_random_seed(7)
    lost = small_network()
    after = Explainer.of(lost).heat(images[:16], labels[:16], method)
    likeness = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] if b.any() else 0.0
        for a, b in zip(before, after, strict=True)
    ]
    assert np.mean(likeness) < 0.6


def test_a_network_that_ends_in_vectors_is_read_at_its_pixels():
    images = keras.Input((4, 4, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(images))
    model = keras.Model(images, keras.layers.Dense(2, name="logits")(flat))
    weights = np.zeros((48, 2), np.float32)
    weights[15, 1] = 2.0  # row 1, column 1, red
    model.get_layer("logits").set_weights([weights, np.zeros(2)])
    picture = np.full((1, 4, 4, 3), 200, np.uint8)
    explainer = Explainer.of(model)
    expected = np.zeros((4, 4))
    expected[1, 1] = 1
    np.testing.assert_array_equal(explainer.heat(picture, [1])[0], expected)
    assert not explainer.heat(picture, [0])[0].any()
    assert explainer.method("grad_cam") == "gradient"
