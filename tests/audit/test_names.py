import numpy as np
import pytest

from tlcli.audit import names


@pytest.mark.parametrize(
    ("one", "other"),
    [("Cat", "cat"), ("dog", "dogs"), ("great white", "great_white"), ("café", "cafe"),
     ("sparrow", "sparow"), ("giraffe", "girafef"), ("elephant", "elefhant")],
)  # fmt: skip
def test_spellings_of_one_class_are_told(one, other):
    assert names.alike(["zebra", one, other]) == [(one, other)]


@pytest.mark.parametrize(
    "given", [["cat", "rat"], ["type_1", "type_2"], ["boxer", "boxing"], ["as", "a"], ["+", "-"]]
)
def test_other_names_are_not_alike(given):
    assert names.alike(given) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("abc", "abc", True), ("abc", "abd", True), ("abc", "ab", True), ("abc", "acb", True),
     ("abc", "xbcd", False), ("abc", "cba", False), ("", "a", True), ("ab", "abcd", False)],
)  # fmt: skip
def test_one_letter(one, other, same):
    assert names.one_letter(one, other) == same
    assert names.one_letter(other, one) == same


def test_imbalance_and_small_classes_are_told():
    assert names.notes(["a", "b"], np.array([50, 40])) == []
    imbalanced, few = names.notes(["many", "few"], np.array([50, 4]))
    assert imbalanced == ("Classes are imbalanced: 'many' has 50 training pictures, 'few' 4.")
    assert few == "Fewer than 5 training pictures: few."
    assert names.notes([], np.array([])) == []
