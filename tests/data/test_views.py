import hashlib
import threading
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.words import config
from tlcli.contracts.data import ImageSource
from tlcli.data.labels import label_table
from tlcli.data.resize import part_of
from tlcli.data.views import Views, sample_uids, worker_count


def test_uids_depend_on_the_id_alone():
    first, second = sample_uids(["a", "b", "c"]), sample_uids(["c", "a"])
    assert first.dtype == np.int64
    assert (first[2], first[0]) == tuple(second)
    assert len(set(sample_uids(map(str, range(10000))))) == 10000
    # blake2b-64 of "a", so that caches and resumed runs of other machines fit.
    assert sample_uids(["a"])[0] == int.from_bytes(
        hashlib.blake2b(b"a", digest_size=8).digest(), "little", signed=True
    )


@pytest.fixture(scope="module")
def views():
    from tlcli.config.job import train_job
    from tlcli.data.resize import Resize

    job = train_job(config("train", "augmentation=light", "data.images_per_class=8"))
    manifest = job.data.manifest(0, None)
    return Views(manifest, Resize(32, "crop", 1.0, True), job.augmentation, 3, 2)


def streamed(views, replicas, span):
    from tlcli.data.order import Order

    rows = views.manifest.rows(0)
    order = Order(len(rows), 12, 5, replicas)
    labels = label_table(views.manifest, rows)
    return order, list(views.stream(rows, labels, order, span, range(replicas)).as_numpy_iterator())


def test_two_replicas_together_see_the_batch_of_one(views):
    _, alone = streamed(views, 1, range(2, 6))
    _, spread = streamed(views, 2, range(2, 6))
    assert len(spread) == 2 * len(alone)
    for index, batch in enumerate(alone):
        pair = spread[2 * index : 2 * index + 2]
        for key in ("images", "labels", "rows", "views"):
            both = np.concatenate([p[key] for p in pair])
            np.testing.assert_array_equal(both, batch[key])
        assert {int(p["step"]) for p in pair} == {int(batch["step"])}


def test_batches_come_in_the_order_of_the_steps_from_any_step(views):
    order, later = streamed(views, 1, range(3, 6))
    _, whole = streamed(views, 1, range(6))
    assert [int(b["step"]) for b in whole] == list(range(6))
    for batch, same in zip(later, whole[3:], strict=True):
        np.testing.assert_array_equal(batch["images"], same["images"])
        np.testing.assert_array_equal(batch["rows"], order.slice(int(batch["step"])).rows)


class Meeting(ImageSource):
    """Pictures of which two must be decoded at a time."""

    def __init__(self):
        self.barrier = threading.Barrier(2)

    def image(self, index, short_side=0, region=None):
        def make(row):
            self.barrier.wait(timeout=10)
            return np.full((40, 40, 3), int(row) % 256, np.uint8)

        whole = tf.numpy_function(make, [index], tf.uint8, stateful=False)
        return part_of(tf.ensure_shape(whole, (40, 40, 3)), region)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(
    "name", ["none", "light", "standard", "strong", "randaugment", "trivialaugment", "funmatch"]
)
def test_workers_decode_side_by_side_where_operations_are_deterministic(views, name, replicas):
    # tf.data gives up all parallelism and prefetching for one stateful operation anywhere.
    from tlcli.config.job import train_job

    tf.config.experimental.enable_op_determinism()
    job = train_job(config("train", f"augmentation={name}", "data.images_per_class=8"))
    manifest = replace(views.manifest, images=Meeting())
    meeting = Views(manifest, views.resize, job.augmentation, 3, 2)
    _, batches = streamed(meeting, replicas, range(2))
    assert len(batches) == 2 * replicas


def test_workers():
    assert worker_count(3) == 3
    assert worker_count("auto") >= 1


@pytest.mark.parametrize("name", ["light", "randaugment"])
def test_a_view_is_the_same_in_another_batch_and_after_a_resume(views, name):
    from tlcli.config import registry
    from tlcli.data.order import Order

    option = registry.build("augmentation", registry.defaults("augmentation", name))
    own = Views(views.manifest, views.resize, option, 3, 2)
    rows = own.manifest.rows(0)

    def seen(batch, span):
        """Images by row and epoch."""
        order = Order(len(rows), batch, 5)
        stream = own.stream(rows, label_table(own.manifest, rows), order, span, range(1))
        return {
            (int(r), int(v)): image
            for b in stream.as_numpy_iterator()
            for r, v, image in zip(b["rows"], b["views"], b["images"], strict=True)
        }

    whole = seen(10, range(8))
    assert len(whole) == 2 * len(rows), "two epochs, each image twice"
    for other in (seen(7, range(11)), seen(10, range(5, 8))):
        assert len(set(other) & set(whole)) >= 30
        for key in set(other) & set(whole):
            np.testing.assert_array_equal(other[key], whole[key])
    assert any((whole[r, 0] != whole[r, 1]).any() for r in range(len(rows)))
