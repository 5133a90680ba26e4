import numpy as np
import pytest
import tensorflow as tf

from tlcli.options.augmentation._mix import Mix, cut_box, pair_draws
from tlcli.options.augmentation.light import Augmentation
from tlcli.system.seeds import batch_seed

SEED = batch_seed(3, 11)


def mix(**changed):
    fields = {
        "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0,
        "probability": 1.0,
        "switch_probability": 0.5,
        "off_epoch": None,
        "cutmix_multi_label": False,
    }
    return Mix(**(fields | changed))


def batch(count=8, side=10, classes=8):
    """Image i is all i * 10, its label is class i."""
    images = np.ones((count, side, side, 3)) * np.arange(count)[:, None, None, None] * 10
    return tf.constant(images.astype(np.uint8)), tf.one_hot(tf.range(count), classes)


KINDS = {
    "mixup": mix(mixup_alpha=1.0),
    "cutmix": mix(cutmix_alpha=1.0),
    "both": mix(mixup_alpha=0.8, cutmix_alpha=1.0, probability=0.7),
}


def test_mixup_by_hand():
    images, labels = batch(2)
    # Of image 0 (all 0) and image 1 (all 10) with weight w of its own, image 0 becomes 10 (1 - w).
    mixed, mixed_labels = mix(mixup_alpha=1.0).apply(images, labels, SEED, 0)
    own = float(pair_draws(SEED, tf.range(1), (1.0, 1.0))[0, 4])
    assert mixed.dtype == tf.float32
    np.testing.assert_allclose(mixed[0], np.full((10, 10, 3), 10 * (1 - own)), rtol=1e-5)
    np.testing.assert_allclose(mixed[1], np.full((10, 10, 3), 10 * own), rtol=1e-5)
    np.testing.assert_allclose(mixed_labels[0, :2], [own, 1 - own], rtol=1e-5)
    np.testing.assert_allclose(mixed_labels[1, :2], [1 - own, own], rtol=1e-5)


def test_cutmix_labels_are_the_exact_part_of_the_area():
    images, labels = batch()
    mixed, mixed_labels = mix(cutmix_alpha=1.0).apply(images, labels, SEED, 0)
    for i in range(8):
        own = (mixed[i].numpy() == 10 * i).mean()
        assert np.isin(mixed[i], [10 * i, 10 * (i ^ 1)]).all()
        assert mixed_labels[i, i].numpy() == pytest.approx(own, abs=1e-6)
        assert mixed_labels[i, i ^ 1].numpy() == pytest.approx(1 - own, abs=1e-6)
    assert 0 < (mixed.numpy() != images.numpy()).mean() < 1


def test_a_box_by_hand():
    # 1 - 0.75 = 1/4 of the area is half of each side: 5 of 10 rows, 10 of 20 columns, about
    # row 4 and column 0. The box spans rows 1.5 to 6.5 and columns -5 to 5, so 2 to 7 and 0 to 5.
    box = cut_box(tf.constant([0.75]), tf.constant([[0.45, 0.0]]), 10, 20)
    np.testing.assert_array_equal(box, [[2, 0, 5, 5]])


@pytest.mark.parametrize("kind", KINDS)
def test_halves_of_a_batch_mix_as_the_whole_does(kind):
    images, labels = batch()
    images = tf.cast(tf.random.stateless_uniform(images.shape, [1, 2], 0, 255), tf.uint8)
    whole = KINDS[kind].apply(images, labels, SEED, 0)
    for first in (0, 4):
        part = slice(first, first + 4)
        pairs = tf.constant([first // 2, first // 2 + 1])
        half = KINDS[kind].apply(images[part], labels[part], SEED, 0, pairs)
        for one, all_of_it in zip(half, whole, strict=True):
            np.testing.assert_array_equal(one, all_of_it[part])


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_gives_what_eager_gives(kind):
    images, labels = batch()
    signature = [tf.TensorSpec([None, 10, 10, 3], tf.uint8), tf.TensorSpec([None, 8])]
    signature += [tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.int32)]

    @tf.function(input_signature=signature)
    def mixed(images, labels, seed, epoch):
        return KINDS[kind].apply(images, labels, seed, epoch)

    eager = KINDS[kind].apply(images, labels, SEED, 0)
    for one, other in zip(mixed(images, labels, SEED, tf.constant(0)), eager, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_still_sum_to_one_and_pairs_keep_their_sum(kind):
    images, labels = batch()
    mixed, mixed_labels = KINDS[kind].apply(images, labels, SEED, 0)
    np.testing.assert_allclose(tf.reduce_sum(mixed_labels, 1), np.ones(8), rtol=1e-5)
    before = tf.cast(images, tf.float32)
    np.testing.assert_allclose(mixed[::2] + mixed[1::2], before[::2] + before[1::2], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_of_an_odd_batch_stays(kind):
    images, labels = batch(5)
    mixed, mixed_labels = KINDS[kind].apply(images, labels, SEED, 0)
    np.testing.assert_array_equal(mixed[4], images[4])
    np.testing.assert_array_equal(mixed_labels[4], labels[4])


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_that_do_not_follow_each_other_mix_as_in_the_whole(kind):
    images, labels = batch()
    whole = KINDS[kind].apply(images, labels, SEED, 0)
    chosen = [0, 1, 6, 7]
    some = (tf.gather(values, chosen) for values in (images, labels))
    for one, all_of_it in zip(
        KINDS[kind].apply(*some, SEED, 0, tf.constant([0, 3])), whole, strict=True
    ):
        np.testing.assert_array_equal(one, tf.gather(all_of_it, chosen))


def test_mixing_stops_after_its_last_epoch():
    images, labels = batch(64, side=2, classes=64)
    some = mix(mixup_alpha=1.0, off_epoch=2.5)
    changed = [
        (some.apply(images, labels, SEED, e)[0].numpy() != images.numpy()).any()
        for e in (0, 2.4, tf.constant(2), 2.5, tf.constant(3))
    ]
    assert changed == [True, True, True, False, False]


def test_a_pair_is_mixed_with_the_stated_probability():
    images, labels = batch(400, side=1, classes=1)
    images = tf.concat([images[:1], images[1:2]], 0)
    images = tf.tile(images, [200, 1, 1, 1])
    mixed, _ = mix(mixup_alpha=1.0, probability=0.25).apply(images, labels, SEED, 0)
    share = (mixed.numpy() != images.numpy()).any((1, 2, 3)).mean()
    # Four standard deviations of a share of 200 pairs are 0.12.
    assert abs(share - 0.25) < 0.12


@pytest.mark.parametrize("parameter", [0.1, 0.4, 1.0])
def test_weights_follow_the_beta_distribution(parameter):
    graph = tf.function(pair_draws)
    draws = graph(SEED, tf.range(1000), (parameter, 1.0)).numpy()
    assert np.isfinite(draws).all()
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
    assert draws[:, 4].mean() == pytest.approx(0.5, abs=0.06)
    assert draws[:, 4].var() == pytest.approx(1 / (4 * (2 * parameter + 1)), rel=0.15)
    assert draws[:, :4].mean() == pytest.approx(0.5, abs=0.03)
    correlations = np.corrcoef(draws.T) - np.eye(6)
    assert np.abs(correlations).max() < 0.13


def test_seeds_and_pairs_draw_apart():
    first = pair_draws(SEED, tf.range(4), (1.0, 1.0)).numpy()
    other = pair_draws(batch_seed(3, 12), tf.range(4), (1.0, 1.0)).numpy()
    assert len(np.unique(np.concatenate([first, other])[:, 4])) == 8


def test_an_augmentation_says_whether_it_mixes():
    fields = {
        "views": None,
        "crop_scale": (0.7, 1.0),
        "crop_ratio": (1.0, 1.0),
        "horizontal_flip": 0.0,
        "random_erasing": 0.0,
        "mixup": 0.0,
        "cutmix": 0.0,
        "mix_probability": 1.0,
        "mix_switch": 0.5,
        "mix_off_epochs": None,
        "cutmix_multi_label": False,
    }
    assert Augmentation(**fields).mix is None
    assert Augmentation(**(fields | {"mixup": 0.2, "mix_probability": 0.0})).mix is None
    assert Augmentation(**(fields | {"mixup": 0.2})).mix == mix(mixup_alpha=0.2)
