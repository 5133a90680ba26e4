"""Photos without labels, and how they join labelled images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.data import PLAIN
from tests.helpers.pictures import make_classes
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.data.unlabelled import READING, joined, photos, with_classes
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.folder import Data


@pytest.fixture
def both(tmp_path):
    root = make_classes(tmp_path / "labelled", {"cat": 2, "dog": 2})
    labelled = Data(
        path=str(root),
        validation_fraction=0.0,
        test_fraction=0.0,
        on_error="skip",
        damaged="skip",
        max_pixels=10**6,
        **PLAIN,
    ).manifest(0, tmp_path / "cache")
    extra = make_classes(tmp_path / "extra", {"x": 3})
    return labelled, photos(extra, tmp_path / "cache")


def test_photos_have_no_class_and_are_for_training(both):
    _, extra = both
    assert extra.class_names == ()
    assert set(extra.labels) == {-1}
    assert set(extra.splits) == {TRAIN}


def test_joined_photos_follow_the_labelled_images(both):
    labelled, extra = both
    whole = joined(labelled, extra)
    assert whole.ids[4:].tolist() == [f"unlabelled/x/{n}.png" for n in range(3)]
    np.testing.assert_array_equal(whole.labels[4:], [-1] * 3)
    np.testing.assert_array_equal(whole.images.image(5), extra.images.image(1))
    np.testing.assert_array_equal(whole.images.image(1), labelled.images.image(1))
    assert whole.own == labelled.fingerprint != whole.fingerprint
    with pytest.raises(DataError, match=r"has an image unlabelled/x/0\.png too"):
        joined(whole, extra)


def test_a_share_is_held_out_and_classes_are_given(both):
    _, extra = both
    reading = replace(READING, fractions=(1 / 3, 0.0))
    found = photos(Path(extra.root), Path(extra.root).with_name("cache"), reading=reading)
    assert int((found.splits == VALIDATION).sum()) == 1
    assert found.fingerprint != extra.fingerprint
    named = with_classes(extra, ("a", "b"))
    assert (named.class_names, named.own) == (("a", "b"), extra.fingerprint)


def test_a_folder_that_is_not_there_or_empty_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"^unlabelled: .*there is no such folder"):
        photos(tmp_path / "none", tmp_path)
    with pytest.raises(DataError, match="has no pictures"):
        photos(tmp_path, tmp_path)
