import keras
import numpy as np
import pytest
import tensorflow as tf

from tlcli.models import image_dropout
from tlcli.models.image_dropout import ImageDropout, of_images, use_image_dropout, use_keras

SEED = tf.constant([11, -7])


def murmur(value):
    """MurmurHash3's finalizer in whole numbers of Python."""
    value ^= value >> 16
    value = value * 0x85EBCA6B % 2**32
    value ^= value >> 13
    value = value * 0xC2B2AE35 % 2**32
    return value ^ value >> 16


def dropped(layer, rows, shape=(), seed=SEED):
    """The layer's output for images of ones."""
    with of_images(seed, tf.constant(rows, tf.int64)):
        return layer(tf.ones((len(rows), *shape)), training=True).numpy()


def layers(*options):
    model = keras.Sequential([keras.layers.Dropout(0.5, **o) for o in options])
    use_image_dropout(model)
    return model.layers


def test_a_mask_by_hand():
    layer = layers({})[0]
    found = dropped(layer, [5 + 2**33, 9], (3,))
    seed = [11, 2**32 - 7]
    for image, row in enumerate((5 + 2**33, 9)):
        key = murmur(murmur(row % 2**32 ^ seed[0]) ^ row >> 32 ^ seed[1])
        for place in range(3):
            drawn = murmur(key ^ murmur((place + 0x9E3779B9) % 2**32)) >> 8
            assert found[image, place] == (2.0 if drawn >= 2**23 else 0.0)


def test_an_image_drops_the_same_in_any_batch_and_order():
    layer = layers({})[0]
    whole = dropped(layer, [4, 8, 15, 16, 23, 42], (4, 5))
    np.testing.assert_array_equal(dropped(layer, [42, 15], (4, 5)), whole[[5, 2]])
    assert not np.array_equal(dropped(layer, [42, 15], (4, 5), SEED + 1), whole[[5, 2]])
    assert not np.array_equal(whole[0], whole[1])


def test_layers_drop_apart():
    first, second = layers({}, {})
    assert not np.array_equal(dropped(first, [1, 2], (9,)), dropped(second, [1, 2], (9,)))


def test_a_share_of_rate_is_dropped_and_images_and_places_are_independent():
    layer = layers({})[0]
    layer.rate = 0.3
    kept = dropped(layer, range(1000), (500,)) > 0
    # Four standard deviations of 500,000 draws are 0.0026, of 1,000 they are 0.058.
    assert abs(kept.mean() - 0.7) < 0.0026
    assert np.abs(kept.mean(0) - 0.7).max() < 0.075
    sample = kept[:, :60].astype(float)
    correlation = np.corrcoef(sample.T) - np.eye(60)
    assert np.abs(correlation).max() < 0.15
    assert np.abs(np.corrcoef(kept[:60]) - np.eye(60)).max() < 0.22


def test_what_stays_is_scaled_and_the_gradient_follows_the_mask():
    layer = layers({})[0]
    images = tf.random.stateless_normal((3, 8), [1, 2])
    with tf.GradientTape() as tape, of_images(SEED, tf.constant([1, 2, 3], tf.int64)):
        tape.watch(images)
        out = layer(images, training=True)
    mask = dropped(layer, [1, 2, 3], (8,))
    np.testing.assert_allclose(out, images * mask, rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(out, images), mask)


def test_noise_shapes_are_kept():
    layer = layers({"noise_shape": (None, 1, 1, 2)})[0]
    found = dropped(layer, [3, 4, 5, 6], (2, 3, 2))
    assert (found == found[:, :1, :1]).all()
    assert (found[..., 0] != found[..., 1]).any()


@pytest.mark.parametrize("training", [False, None])
def test_nothing_is_dropped_outside_training(training):
    layer = layers({})[0]
    with of_images(SEED, tf.constant([1, 2], tf.int64)):
        np.testing.assert_array_equal(layer(tf.ones((2, 4)), training=training), np.ones((2, 4)))


def test_without_images_it_is_keras_own():
    layer = layers({})[0]
    again = keras.layers.Dropout(0.5, seed=layer.seed)
    layer.seed_generator.state.assign(again.seed_generator.state)
    ones = tf.ones((4, 9))
    np.testing.assert_array_equal(layer(ones, training=True), again(ones, training=True))


def test_compiled_by_xla_it_is_the_same():
    layer = layers({})[0]

    @tf.function(jit_compile=True)
    def compiled(rows):
        with of_images(SEED, rows):
            return layer(tf.ones((3, 7)), training=True)

    rows = [10, 20, 30]
    np.testing.assert_array_equal(compiled(tf.constant(rows, tf.int64)), dropped(layer, rows, (7,)))


def test_nested_layers_are_found_and_given_back():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dropout(0.1)])
    use_image_dropout(model)
    found = [layer for layer in model._flatten_layers() if isinstance(layer, ImageDropout)]
    assert sorted(layer.number for layer in found) == [1, 2]
    use_keras(model)
    assert not any(isinstance(layer, ImageDropout) for layer in model._flatten_layers())


def test_uniform_numbers_lie_in_the_unit_interval():
    keys = tf.cast(tf.range(200), tf.uint32)
    drawn = image_dropout.uniform(keys, 100, 3).numpy()
    assert 0 <= drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
