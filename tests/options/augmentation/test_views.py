import dataclasses
import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tlcli.config.registry import build, config_root
from tlcli.contracts.augmentation import RandomAugmentation
from tlcli.contracts.data import Region
from tlcli.data.resize import part_of, resized
from tlcli.errors import ConfigError
from tlcli.options.augmentation._colour import adjusted, colour_jitter
from tlcli.options.augmentation._crop import random_crop, random_erase, random_flip
from tlcli.options.augmentation._policy import NUM_OPERATIONS, Strengths, apply_one
from tlcli.system.seeds import batch_seed, sample_seed, unit

RANDOM = ["light", "standard", "randaugment", "trivialaugment", "strong", "funmatch"]


def values(preset, **changed):
    from omegaconf import OmegaConf

    loaded = OmegaConf.load(config_root() / "augmentation" / f"{preset}.yaml")
    return OmegaConf.to_container(loaded) | changed


def option(preset, **changed):
    return build("augmentation", values(preset, **changed))


def pictures(count=6, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 5, 6, 3)).astype(np.float32)
    return tf.cast(tf.image.resize(small, (40, 52)), tf.uint8)


@functools.cache
def viewer(augmentation, size):
    signature = [tf.TensorSpec([None, None, 3], tf.uint8)] + 2 * [tf.TensorSpec([], tf.int64)]

    @tf.function(input_signature=signature)
    def one(image, view, uid):
        seed = sample_seed(7, view, uid)
        part = part_of(image, Region(lambda sides: augmentation.region(sides, seed), False))
        return augmentation.apply(part, seed, size)

    return one


def dataset(augmentation, images, view=0, size=24, first=0):
    uids = tf.range(first, len(images), dtype=tf.int64)
    triples = (images[first:], tf.fill([len(images) - first], tf.constant(view, tf.int64)), uids)
    one = viewer(augmentation, size)
    return tf.data.Dataset.from_tensor_slices(triples).map(one, 4, deterministic=True)


def pixels(data, batch=1):
    return np.concatenate([part.numpy() for part in data.batch(batch)])


@pytest.mark.parametrize("preset", RANDOM)
def test_a_view_depends_on_seed_view_and_sample_alone(preset):
    augmentation, images = option(preset), pictures()
    once = pixels(dataset(augmentation, images), 1)
    assert once.dtype == np.uint8
    assert once.shape == (6, 24, 24, 3)
    np.testing.assert_array_equal(pixels(dataset(augmentation, images), 4), once)
    resumed = pixels(dataset(augmentation, images, first=3), 2)
    np.testing.assert_array_equal(resumed, once[3:])
    other = pixels(dataset(augmentation, images, view=1), 1)
    assert all((a != b).any() for a, b in zip(once, other, strict=True))


@pytest.mark.parametrize("preset", ["light", "standard", "randaugment"])
def test_samples_that_look_alike_get_different_views(preset):
    same = tf.repeat(pictures(1), 6, axis=0)
    views = pixels(dataset(option(preset), same))
    assert len({v.tobytes() for v in views}) == 6


def test_all_64_bits_of_a_sample_id_count():
    uids = [0, 1, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 62, -1]
    seeds = {tuple(sample_seed(0, 0, tf.constant(u, tf.int64)).numpy()) for u in uids}
    assert len(seeds) == len(uids)
    assert sample_seed(0, 0, 1).dtype == tf.int32


def test_seed_view_and_id_are_not_exchangeable():
    numbers = [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    seeds = {tuple(sample_seed(*n).numpy()) for n in numbers}
    assert len(seeds | {tuple(batch_seed(0, 1).numpy()), tuple(batch_seed(1, 0).numpy())}) == 5


def test_neighbouring_samples_draw_independently():
    uids = tf.range(2000, dtype=tf.int64)
    data = tf.data.Dataset.from_tensor_slices(uids).map(lambda u: sample_seed(3, 0, u))
    pairs = list(data.map(lambda s: (s, unit(s, [2]))).as_numpy_iterator())
    seeds, draws = (np.stack(part) for part in zip(*pairs, strict=True))
    # The standard error of a correlation of 2000 pairs is 0.022.
    pairs = [(draws[:-1, 0], draws[1:, 0]), (draws[:, 0], draws[:, 1])]
    pairs += [(seeds[:-1, 0], seeds[1:, 0]), (seeds[:-1, 1], seeds[1:, 1])]
    for left, right in pairs:
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.09
    assert abs(draws.mean() - 0.5) < 0.03


def crops(images_of, count=200, scale=(0.25, 1.0), ratio=(0.5, 2.0)):
    """Row and column spans of crops, read from an image whose pixels say where they stand."""
    height, width = images_of
    rows, columns = np.mgrid[0:height, 0:width]
    image = tf.constant(np.stack([rows, columns, rows], -1).astype(np.uint8))

    @tf.function
    def crop(seed):
        part = part_of(image, Region(lambda sides: random_crop(sides, seed, scale, ratio), False))
        return resized(part, (32, 32), antialias=True)

    return np.stack([crop(tf.constant([i, 5])) for i in range(count)]).astype(float)


def test_crops_keep_to_area_and_ratio():
    found = crops((200, 160))
    # 31 of the 32 steps of the grid lie between the first and the last pixel's middle.
    tall = (found[:, -1, 16, 0] - found[:, 0, 16, 0]) * 32 / 31
    wide = (found[:, 16, -1, 1] - found[:, 16, 0, 1]) * 32 / 31
    area, ratio = tall * wide / (200 * 160), wide / tall
    assert area.min() > 0.23
    assert area.max() < 1.05
    assert area.max() - area.min() > 0.4
    assert ratio.min() > 0.47
    assert ratio.max() < 2.13
    assert found[:, 0, 0, 0].min() < 15
    assert found[:, -1, -1, 0].max() > 185


def test_a_crop_that_cannot_fit_takes_the_middle():
    # All of a 200 x 40 image has a ratio of 0.2; the greatest of 1 is 40 x 40 from row 80 on.
    found = crops((200, 40), count=2, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert abs(found[0, 0, 0, 0] - 80) <= 1
    assert abs(found[0, -1, 0, 0] - 119) <= 1
    np.testing.assert_array_equal(found[0], found[1])


def test_the_whole_image_is_a_plain_resize():
    image = pictures(1)[0]
    box = random_crop(tf.constant(image.shape[:2]), tf.constant([0, 1]), (1.0, 1.0), (1.3, 1.3))
    assert box.numpy().tolist() == [0, 0, 40, 52]


def test_flips_come_with_their_probability():
    image = pictures(1)[0]
    flips = [random_flip(image, tf.constant([i, 0]), 0.25).numpy() for i in range(400)]
    mirrored = [np.array_equal(f, image.numpy()[:, ::-1]) for f in flips]
    plain = [np.array_equal(f, image.numpy()) for f in flips]
    assert sum(mirrored) + sum(plain) == 400
    # Four standard deviations of a binomial of 400 and 0.25 are 35.
    assert abs(sum(mirrored) - 100) < 35
    assert random_flip(image, tf.constant([0, 0]), 0.0) is image


def test_erasing_changes_one_box_of_the_stated_area():
    image = tf.zeros([40, 40, 3], tf.uint8)
    for i in range(20):
        erased = random_erase(image, tf.constant([i, 0]), 1.0).numpy().any(-1)
        rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
        box = erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all()
        assert 0.015 < box.sum() / 1600 < 0.36
    unchanged = [
        not random_erase(image, tf.constant([i, 1]), 0.5).numpy().any() for i in range(100)
    ]
    assert 30 < sum(unchanged) < 70


def test_colour_jitter_equals_its_four_steps():
    image = pictures(1)[0]
    bright, contrast, saturation, turns = 0.8, 0.9, 0.7, 0.1
    luma = np.array([0.299, 0.587, 0.114])
    expected = image.numpy().astype(np.float64) * bright
    expected = contrast * expected + (1 - contrast) * (expected @ luma).mean()
    expected = saturation * expected + (1 - saturation) * (expected @ luma)[..., None]
    to_yiq = np.array([luma, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    yiq = expected @ to_yiq.T
    chroma = (yiq[..., 1] + 1j * yiq[..., 2]) * np.exp(-2j * np.pi * turns)
    yiq = np.stack([yiq[..., 0], chroma.real, chroma.imag], -1)
    expected = np.clip(yiq @ np.linalg.inv(to_yiq).T, 0, 255)
    result = adjusted(image, *map(tf.constant, (bright, contrast, saturation, turns)))
    assert np.abs(result.numpy() - expected).max() < 0.6


def test_a_hue_turn_of_a_third_takes_red_towards_green():
    red = tf.constant([[[200, 40, 40]]], tf.uint8)
    one = tf.constant(1.0)
    turned = [adjusted(red, one, one, one, tf.constant(t)).numpy()[0, 0] for t in (-1 / 3, 1 / 3)]
    # As in HSV: back from red lies blue, ahead of it green.
    assert [int(t.argmax()) for t in turned] == [2, 1]


def test_no_jitter_is_the_image():
    image = pictures(1)[0]
    assert colour_jitter(image, tf.constant([0, 0]), (0.0, 0.0, 0.0, 0.0)) is image


@pytest.mark.parametrize("which", range(NUM_OPERATIONS))
def test_every_operation_at_strength_zero_is_nearly_the_image(which):
    image = pictures(1)[0][:24, :24]
    most = Strengths(shear=0.3, translate=0.45, rotate=30.0, enhance=0.9, posterize=4)
    still = apply_one(image, tf.constant(which), tf.constant(0.0), 24, most)
    full = apply_one(image, tf.constant(which), tf.constant(1.0), 24, most)
    off = np.abs(still.numpy().astype(int) - image.numpy())
    if which not in (1, 2):  # autocontrast and equalize have no strength
        assert off.max() <= 1
    assert full.shape == (24, 24, 3)
    assert (full.numpy() != image.numpy()).any() == (which != 0)


def test_randaugment_of_no_operations_is_light():
    changed = {"num_ops": 0, "horizontal_flip": 0.0}
    plain = values("light", horizontal_flip=0.0)
    plain |= {"crop_scale": [0.35, 1.0], "crop_ratio": [0.75, 1.3333333]}
    left = pixels(dataset(option("randaugment", **changed), pictures()))
    right = pixels(dataset(build("augmentation", plain), pictures()))
    np.testing.assert_array_equal(left, right)


def test_strong_randaugment_changes_more_than_weak():
    def change(magnitude):
        # The crops are the same, so only the operations make a difference.
        settings = {"magnitude": magnitude, "magnitude_std": 0.0}
        views = pixels(dataset(option("randaugment", **settings), pictures(12)))
        light = pixels(dataset(option("randaugment", num_ops=0), pictures(12)))
        return np.abs(views.astype(int) - light).mean()

    assert change(10.0) > 1.2 * change(1.0)


def test_without_augmentation_there_is_one_view_and_no_mixing():
    none = option("none")
    assert none.views == 1
    assert none.mix is None
    assert not isinstance(none, RandomAugmentation)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"views": 0}, "views"),
        ({"crop_scale": [0.0, 1.0]}, "crop_scale"),
        ({"crop_scale": [0.5, 0.4]}, "crop_scale"),
        ({"crop_scale": [0.5]}, "crop_scale"),
        ({"crop_ratio": [-1.0, 1.0]}, "crop_ratio"),
        ({"horizontal_flip": 1.5}, "horizontal_flip"),
        ({"random_erasing": -0.1}, "random_erasing"),
        ({"mixup": -1.0}, "mixup"),
        ({"cutmix": float("inf")}, "cutmix"),
        ({"mix_off_epochs": -1.0}, "mix_off_epochs"),
        ({"hue": 0.6}, "hue"),
        ({"contrast": -0.1}, "contrast"),
    ],
)
def test_values_out_of_range_are_refused(changed, where):
    with pytest.raises(ConfigError, match=rf"^augmentation\.{where}: got .*\.$"):
        option("standard", **changed)


@pytest.mark.parametrize(
    ("preset", "changed"),
    [
        ("none", {"views": 2}),
        ("randaugment", {"num_ops": -1}),
        ("randaugment", {"magnitude": 11.0}),
        ("randaugment", {"magnitude_std": -1.0}),
        ("trivialaugment", {"translate": 2.0}),
    ],
)
def test_values_of_an_option_out_of_range_are_refused(preset, changed):
    with pytest.raises(ConfigError, match=rf"^augmentation\.{next(iter(changed))}: got"):
        option(preset, **changed)


def test_options_are_checked_without_tensorflow():
    names = ("none", "light", "standard", "randaugment", "trivialaugment")
    code = "import sys, importlib\n"
    code += f"for n in {names}: importlib.import_module('tlcli.options.augmentation.' + n)\n"
    code += "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_every_preset_gives_all_fields():
    for file in Path(config_root() / "augmentation").glob("*.yaml"):
        built = option(file.stem)
        given = set(values(file.stem)) - {"name"}
        assert given == {f.name for f in dataclasses.fields(built)}
