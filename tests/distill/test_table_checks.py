"""A file of outputs in a wrong order is told from a good one."""

import numpy as np
import pytest

from tlcli.distill.table_checks import shuffled_accuracy


def test_a_shuffled_file_is_told_from_a_good_one_where_classes_are_rare():
    # Nine of ten labels and guesses are 0: in any order 0.9 x 0.9 + 0.1 x 0.1 would be right.
    labels = np.array([0] * 9 + [1])
    assert shuffled_accuracy(labels, labels[::-1]) == pytest.approx(0.82)
    # Guesses of one class are right as often as that class comes.
    assert shuffled_accuracy(labels, np.zeros(10, int)) == pytest.approx(0.9)
