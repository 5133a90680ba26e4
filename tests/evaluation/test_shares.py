"""Answers of several workers: each batch whole, so they are those of one process to the bit."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from tlcli.config import registry
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.evaluation.shares import Sharing, part_of, shared_answers
from tlcli.system.crew import ALONE, Crew

BATCH = 3


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    values = {**registry.defaults("data", "digits"), "images_per_class": 9}
    manifest = registry.build("data", values).manifest(0, tmp_path_factory.mktemp("cache"))
    return Views(manifest, Resize(16, "squash", 1.0, True), None, 0, 2)


@pytest.fixture(scope="module")
def call():
    """A network that tells in which batch an image was."""
    made = tf.random.stateless_normal((16 * 16 * 3, 5), [0, 1])

    def network(images):
        flat = tf.reshape(tf.cast(images, tf.float32), (len(images), -1))
        logits = np.asarray(flat @ made)
        return logits, logits.sum(0, keepdims=True).repeat(len(images), 0)

    return network


def joined(found):
    return [np.concatenate(one) for one in zip(*found, strict=True)]


def test_any_number_of_workers_gives_the_bits_of_one(views, call, tmp_path):
    rows = np.arange(len(views.manifest.ids))[:-1]
    alone = joined(shared_answers(Sharing(ALONE, "looking", ""), call, views, rows, BATCH))
    counts, said = [0, 0, 0], {}

    def work(rank):
        def counted(images):
            counts[rank] += len(images)
            return call(images)

        sharing = Sharing(Crew(tmp_path, rank, 3), "looking", "weights")
        said[rank] = joined(shared_answers(sharing, counted, views, rows, BATCH))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(counts) == len(rows)
    for rank in range(3):
        for one, other in zip(said[rank], alone, strict=True):
            np.testing.assert_array_equal(one, other)
    # Other weights are other work.
    sharing = Sharing(Crew(tmp_path, 0, 3), "looking", "other weights")
    list(shared_answers(sharing, lambda images: (call(images)[0], None), views, rows, BATCH))
    assert len(list(tmp_path.iterdir())) == 2


def test_parts_are_whole_batches_and_enough_for_many_workers():
    for items in (1, 31, 32, 1000, 10**7):
        size = part_of(items, 32)
        assert size % 32 == 0
        assert size <= 16 * 32
        assert -(-items // size) >= min(16, -(-items // 32))
