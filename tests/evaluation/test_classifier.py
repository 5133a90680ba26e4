"""The one engine that scores validation, test, eval and predict."""

import unicodedata
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation import classifier, strangers
from tlcli.evaluation.metrics import Scores
from tlcli.evaluation.scaling import Scaling


@pytest.fixture(scope="module")
def manifest():
    return train_job(config("train", "data.images_per_class=8")).data.manifest(0, None)


def test_labels_are_read_by_the_names_of_the_classes(manifest):
    names = tuple(reversed(manifest.class_names))
    found = classifier.by_name(manifest, names)
    assert found.class_names == names
    for row in (0, 5, -1):
        assert names[found.labels[row]] == manifest.class_names[manifest.labels[row]]
    assert classifier.by_name(manifest, manifest.class_names) is manifest
    with pytest.raises(DataError, match="has classes the checkpoint does not know: 9"):
        classifier.by_name(manifest, ("5", "6", "7", "8"))


def test_names_are_the_same_in_either_form_of_unicode(manifest):
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    one, other = (replace(manifest, class_names=(form, *"123456789")) for form in forms)
    for data, names in ((one, other.class_names), (other, one.class_names)):
        np.testing.assert_array_equal(classifier.by_name(data, names).labels, manifest.labels)


def test_rows_are_labelled_ones_of_a_split(manifest):
    every = classifier.rows_of(manifest, "all")
    assert len(every) == len(manifest.ids)
    some = replace(manifest, labels=np.where(manifest.splits == 2, -1, manifest.labels))
    assert len(classifier.rows_of(some, "all")) < len(every)
    with pytest.raises(ConfigError, match=r"^split: test has no labelled image .*split=all"):
        classifier.rows_of(some, "test")
    bare = replace(manifest, labels=np.full(len(every), -1, np.int32))
    with pytest.raises(ConfigError, match="no image has a label"):
        classifier.rows_of(bare, "all")


def test_each_image_is_counted_once_whatever_the_batches(manifest):
    rows = classifier.rows_of(manifest, "train")[:7]
    logits = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    expected = Scores(5)
    expected.update(logits / 2.0, manifest.labels[rows])
    for size in (1, 3, 7):
        parts = [logits[start : start + size] for start in range(0, 7, size)]
        found = classifier.scored(parts, manifest, rows, Scaling(2.0))
        assert found.result() == pytest.approx(expected.result())


def test_one_trace_serves_batches_of_every_size():
    images = keras.Input((4, 4, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(images))
    model = keras.Model(images, keras.layers.Dense(2)(flat))
    call = classifier.classifier(model)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    for count in (1, 5):
        np.testing.assert_allclose(call(pixels[:count]), model(pixels[:count]), rtol=1e-5)
    assert call.experimental_get_tracing_count() == 1


@pytest.fixture
def watched():
    """A network on 8 pixels a side, images, and what tells strangers among them."""
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    vectors = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(vectors))
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    logits, embedding = classifier.looker(model)(images)
    return model, images, strangers.fitted(logits, embedding, 0.9, False)


@pytest.mark.parametrize("kind", ["none", "flip"])
def test_strangers_are_told_by_the_image_as_it_is(watched, kind):
    model, images, known = watched
    logits, scores = classifier.watcher(model, known, kind)(images)
    plain, none = classifier.watcher(model, None, kind)(images)
    assert none is None
    np.testing.assert_allclose(logits, plain, rtol=1e-6)
    np.testing.assert_allclose(logits, classifier.classifier(model, kind)(images), rtol=1e-6)
    np.testing.assert_allclose(scores, known.scores(*classifier.looker(model)(images)), rtol=1e-6)


def test_what_tells_another_networks_strangers_is_refused(watched):
    model, _, known = watched
    with pytest.raises(DataError, match=r"strangers.npz: knows 5 channels, .* network has 192"):
        classifier.watcher(model, replace(known, bank=known.bank[:, :5]))
