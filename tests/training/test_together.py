"""Several workers stop for what one of them found."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tlcli.errors import ConfigError, DataError
from tlcli.system.cluster import Alone
from tlcli.training.together import agree_on_pictures, listening, together, unbroken

FAULT = DataError("a.jpg", "cannot be decoded", "Replace it.")


class Told(Alone):
    """A worker of two that is told what the other says."""

    size = 2

    def __init__(self, other):
        self.other, self.agreed = other, []

    def any(self, flag):
        return flag or self.other

    def agree(self, what, text):
        self.agreed.append((what, text))


def manifest(broken=None, known=None):
    images = SimpleNamespace(
        first_broken=lambda rows: broken, known=lambda: known, heeds_warnings=True
    )
    return SimpleNamespace(
        images=images, ids=["a.jpg"], root="data", content=lambda rows: f"hash of {len(rows)}"
    )


def test_what_is_found_here_is_raised_here():
    with pytest.raises(DataError, match=r"a\.jpg"), together(Told(False), manifest):
        raise FAULT
    with together(Told(False), manifest):
        pass


def test_what_another_found_is_found_here_too_or_told():
    done = []
    with pytest.raises(DataError, match=r"a\.jpg"), together(Told(True), lambda: manifest(FAULT)):
        done.append(1)
    assert done
    other = pytest.raises(DataError, match="data: holds what another worker cannot use")
    with other, together(Told(True), manifest):
        pass


def test_workers_agree_on_pictures_once_all_have_read_them():
    rows = np.arange(2)
    for known, agreed in (
        (np.array([True, True, False]), [("data", "hash of 2")]),
        (np.array([True, False, True]), []),
        (None, []),
    ):
        member = Told(False)
        agree_on_pictures(member, manifest(known=known), rows)
        assert member.agreed == agreed
    late = Told(True)
    agree_on_pictures(late, manifest(known=np.ones(2, bool)), rows)
    assert not late.agreed


def test_workers_of_other_pictures_are_refused():
    class Other(Told):
        def agree(self, what, text):
            raise ConfigError(what, "differs between the processes of the training", "Give one.")

    with pytest.raises(ConfigError, match=r"^data: differs"):
        agree_on_pictures(Other(False), manifest(known=np.ones(2, bool)), np.arange(2))


def test_a_broken_dataset_goes_on_with_zeros_and_says_so():
    def one(number):
        checked = tf.debugging.assert_less(number, np.int64(3))
        with tf.control_dependencies([checked]):
            return {"images": tf.fill((2, 2), tf.cast(number, tf.uint8)), "step": number}

    failed = []
    elements = iter(unbroken(tf.data.Dataset.range(5).map(one), failed, [2]))
    assert [int(next(elements)["step"]) for _ in range(6)] == [0, 1, 2, 0, 0, 0]
    assert len(failed) == 1
    assert isinstance(failed[0], tf.errors.OpError)


def test_zeros_have_the_sizes_of_what_they_stand_for():
    def parts(number):
        tf.debugging.assert_less(number, np.int64(0))
        return tf.data.Dataset.from_tensor_slices(([0, 2], [2, 5])).map(
            lambda a, b: tf.ones((5, 3))[a:b]
        )

    failed = []
    broken = tf.data.Dataset.range(3).flat_map(parts)
    elements = iter(unbroken(broken, failed, [2, 3]))
    assert [len(next(elements)) for _ in range(4)] == [2, 3, 2, 3]


@pytest.mark.parametrize("broken", [None, FAULT])
def test_what_any_worker_heard_is_looked_for_by_all(broken):
    error = tf.errors.DataLossError(None, None, "torn")
    for failed, other, raised in (([], False, None), ([], True, DataError), ([error], False, None)):
        expected = raised or (type(error) if failed else None)
        expected = DataError if broken and (failed or other) else expected
        if expected is None:
            with listening(Told(other), manifest(broken), failed):
                pass
            continue
        with pytest.raises(expected), listening(Told(other), manifest(broken), failed):
            pass


def test_a_whole_dataset_passes_as_it_is():
    failed, whole = [], tf.data.Dataset.range(4).map(lambda n: (n, tf.cast(n, tf.bfloat16)))
    found = list(unbroken(whole, failed, [2]))
    assert [int(n) for n, _ in found] == [0, 1, 2, 3]
    assert found[2][1].dtype == tf.bfloat16
    assert not failed
