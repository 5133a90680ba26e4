"""Stored outputs are used by the training they were made for, and by no other."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.teachers import configure
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN
from tlcli.contracts.teacher import Target
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.distill.kept import Kept
from tlcli.errors import ConfigError
from tlcli.models.frozen.tables import Tables

AUGMENTED = ("augmentation=light", "augmentation.views=4")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A function of words that gives the outputs, in one folder, of a sum of pixels."""

    tmp_path = tmp_path_factory.mktemp("kept")

    def made(*words, identity="weights", factor=1.0, crop=1.0):
        job = train_job(configure("data.images_per_class=2", *AUGMENTED, *words))
        manifest = job.data.manifest(job.settings.seed, tmp_path)
        resize = Resize(8, "crop", crop, True)
        views = Views(manifest, resize, job.augmentation, job.settings.seed, 1)
        tables = Tables(None)
        target = Target(manifest, 8, manifest.rows(TRAIN), views, frozenset(), tables)
        values = {**registry.defaults("teacher", "run"), "path": "a"}
        values |= {"cache": str(tmp_path / "store"), **dict(w.split("=") for w in words
                   if w.startswith("cache_format"))}  # fmt: skip
        teacher = registry.build("teacher", values)

        def run(images):
            colours = tf.reduce_mean(tf.cast(images, tf.float32), (1, 2)) * factor
            return [tf.concat([colours, colours[:, :2]], axis=-1)]

        return Kept(teacher, target, {"teacher_logits": (5,)}, run, identity)

    return made


def test_each_view_of_each_image_has_outputs_of_its_own(kept):
    first = kept()
    rows, views = first.target.rows, first.target.views
    table = first.table(views, rows, 4)["teacher_logits"].reshape(4, len(rows), 5)
    for view in range(4):
        images = next(views.batches(rows, np.full(len(rows), view), len(rows)))
        np.testing.assert_allclose(table[view], first.run(images)[0], rtol=1e-6)
    # Four views of an image are four: a table of one view would not be right for the others.
    assert (np.ptp(table, axis=0) > 0).any(axis=-1).mean() > 0.9
    again = kept()
    assert again.store.coding is not None
    np.testing.assert_array_equal(
        again.table(views, rows, 4)["teacher_logits"], table.reshape(-1, 5)
    )


OTHER = [
    ({"identity": "other weights"}, r"teacher"),
    ({"factor": 2.0}, r"graph"),
    ({"crop": 0.5}, r"preprocessing"),
    (["augmentation.horizontal_flip=0"], r"augmentation"),
    (["seed=1"], r"seed \(0, now 1\)"),
]


@pytest.mark.parametrize(("changes", "named"), OTHER)
def test_outputs_of_another_training_are_refused_by_name(kept, changes, named):
    kept().filled()
    words, keys = (changes, {}) if isinstance(changes, list) else ((), changes)
    message = rf"teacher.cache: .* holds outputs that differ in: .*{named}.* Give another folder"
    with pytest.raises(ConfigError, match=message):
        kept(*words, **keys)


@pytest.mark.parametrize("word", ["data.images_per_class=3", "data.classes=[5,6,7,8,4]"])
def test_outputs_of_other_pictures_stand_beside(kept, word):
    first, other = kept(), kept(word)
    for one in (first, other, first):
        rows, views = one.target.rows, one.target.views
        made = [one.run(images)[0] for view in range(4)
                for images in views.batches(rows, np.full(len(rows), view), 128)]  # fmt: skip
        found = one.table(views, rows, 4)["teacher_logits"]
        np.testing.assert_allclose(found, np.concatenate(made), rtol=1e-6)
    assert not kept().store.missing()
    assert not kept(word).store.missing()


def test_maps_that_are_large_are_computed_in_each_step(kept, monkeypatch):
    monkeypatch.setattr("tlcli.distill.kept.MOST_MAP_BYTES", 1000)
    given = kept()
    for shapes, worth in (({"teacher_logits": (5,), "teacher_feature_0": (4, 4, 8)}, False),
                          ({"teacher_logits": (500,)}, True)):  # fmt: skip
        option = dataclasses.replace(given.option, cache="auto")
        found = Kept(option, given.target, shapes, given.run, "weights", 1e12)
        assert found.size > 1000
        assert (found.worth, found.store) == (worth, None)


def test_maps_are_kept_where_reading_is_cheaper_than_computing(kept):
    given = kept()
    shapes = {"teacher_logits": (5,), "teacher_feature_0": (16, 16, 256)}
    # 262 kB are read in 524 µs, the time of 13 million operations and of asking.
    for flops, worth in ((12e6, False), (14e6, True)):
        found = Kept(None, given.target, shapes, given.run, "weights", flops)
        assert found.worth is worth
