import threading

import numpy as np
import tensorflow as tf

from tests.helpers.words import config
from tlcli.contracts.data import ImageSource, Region
from tlcli.data.decoded import DecodedImages
from tlcli.data.resize import part_of


class Source(ImageSource):
    """Pictures of different sizes that count how often they are decoded."""

    def __init__(self):
        self.decoded = []

    def image(self, index, short_side=0, region=None):
        def make(row):
            self.decoded.append(int(row))
            return np.full((2 + int(row), 4, 3), 10 * int(row) + short_side, np.uint8)

        whole = tf.numpy_function(make, [index], tf.uint8, stateful=False)
        return part_of(tf.ensure_shape(whole, (None, None, 3)), region)


def epoch(images, rows, short_side=0, region=None):
    read = tf.data.Dataset.from_tensor_slices(np.array(rows, np.int64))
    return [p.numpy() for p in read.map(lambda row: images.image(row, short_side, region), 2)]


def test_what_fits_is_decoded_once_and_stays_the_same():
    source = Source()
    # Rows 0 to 3 have 24, 36, 48 and 60 bytes.
    images = DecodedImages(source, 24 + 36 + 50)
    first = epoch(images, range(3))
    assert len(images) == 3
    assert images.room == 2
    for _ in range(2):
        for picture, before in zip(epoch(images, range(3)), first, strict=True):
            np.testing.assert_array_equal(picture, before)
    assert sorted(source.decoded) == [0, 1, 2]
    epoch(images, [3, 3, 0])
    assert sorted(source.decoded) == [0, 1, 2, 3, 3]


def test_parts_are_cut_from_kept_and_from_other_pictures():
    images = DecodedImages(Source(), 40)
    inner = Region(lambda sides: tf.concat([[0, 1], sides - 1], 0), True)
    for _ in range(2):
        shown = epoch(images, [0, 1, 2], region=inner)
        assert [p.shape for p in shown] == [(1, 3, 3), (2, 3, 3), (3, 3, 3)]
        assert [int(p.max()) for p in shown] == [0, 10, 20]
    assert images.full


def test_pictures_are_found_side_by_side_where_operations_are_deterministic():
    class Meeting(dict):
        def get(self, *key):
            meeting.wait(timeout=10)
            return super().get(*key)

    tf.config.experimental.enable_op_determinism()
    images = DecodedImages(Source(), 10**6)
    whole = epoch(images, range(8))
    meeting = threading.Barrier(2)
    images._kept = Meeting(images._kept)
    for picture, before in zip(epoch(images, range(8)), whole, strict=True):
        np.testing.assert_array_equal(picture, before)


def test_another_size_is_another_picture():
    images = DecodedImages(Source(), 10**6)
    (small,), (large,) = epoch(images, [1], 2), epoch(images, [1], 5)
    assert (small[0, 0, 0], large[0, 0, 0]) == (12, 15)
    assert len(images) == 2


def test_views_of_all_epochs_are_the_same_to_the_bit(pictures, tmp_path):
    from tlcli.config.job import train_job
    from tlcli.data.order import Order
    from tlcli.data.views import Views
    from tlcli.training.data import resize_of, train_views

    def batches(*words):
        given = ("data=folder", f"data.path={pictures}", "image_size=16", f"cache_dir={tmp_path}")
        job = train_job(config("train", *given, "augmentation=standard", *words))
        manifest = job.data.manifest(0, tmp_path)
        views = train_views(job, manifest, resize_of(job), 10**6)
        assert isinstance(views, Views)
        rows = manifest.rows(0)
        order = Order(len(rows), 5, 0)
        stream = views.stream(rows, manifest.labels[rows], order, range(9), range(1))
        return views.manifest.images, list(stream.as_numpy_iterator())

    kept, first = batches("cache=auto")
    plain, second = batches("cache=off")
    assert isinstance(kept, DecodedImages)
    assert not isinstance(plain, DecodedImages)
    assert len(kept) == 16
    for one, other in zip(first, second, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
