import numpy as np

from tlcli.audit import copies
from tlcli.audit.near import Pairs


def pairs(*given):
    columns = [np.array(column) for column in zip(*given, strict=True)]
    return Pairs(*columns) if given else Pairs(*(np.zeros(0, int),) * 3, np.zeros(0))


def hashes(*numbers):
    return np.array([[n, 0] for n in numbers], np.uint8)


def test_same_content_is_grouped():
    assert copies.same_content(hashes(1, 2, 1, 3, 2, 1)) == [[0, 2, 5], [1, 4]]
    assert copies.same_content(np.zeros((0, 2), np.uint8)) == []


def test_the_copy_of_test_is_kept_then_that_of_validation_then_the_first():
    splits = np.array([0, 2, 0, 1, 0, 0])
    found = copies.copies(hashes(1, 1, 2, 2, 3, 4), pairs((4, 5, 0, 0.95)), splits)
    assert [found.suggestion(row) for row in range(6)] == [
        "exclude", "keep", "exclude", "keep", "keep", "exclude"
    ]  # fmt: skip


def test_exact_copies_are_not_near_ones_too():
    found = copies.copies(hashes(1, 1, 2), pairs((0, 1, 0, 1.0), (1, 2, 1, 0.95)), np.zeros(3, int))
    assert (found.near.first.tolist(), found.near.second.tolist()) == ([1], [2])
    assert list(found.together()) == [[0, 1], (1, 2)]


def test_of_a_chain_of_copies_each_second_is_kept():
    chain = pairs((0, 1, 0, 0.95), (1, 2, 0, 0.93))
    found = copies.copies(hashes(1, 2, 3), chain, np.zeros(3, int))
    assert found.kept == {0, 2}


def test_partners_are_the_most_alike():
    told = {row: rest for row, *rest in copies.partners(pairs((0, 1, 1, 0.92), (1, 2, 0, 0.97)))}
    assert told == {0: [1, 0.92, "mirrored"], 1: [2, 0.97, ""], 2: [1, 0.97, ""]}


def test_the_label_of_most_copies_is_believed():
    shares = {"cat": 0.55, "dog": 0.4}
    assert copies.believed(["dog", "cat", "dog"], shares) == "dog"
    assert copies.believed(["cat", "dog"], shares) == "cat"
    assert copies.believed(["cat", "dog"], {}) == ""
