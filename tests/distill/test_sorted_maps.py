"""A student's maps in one list, sorted for the method."""

import numpy as np
import pytest

from tests.helpers import methods
from tlcli.contracts.distillation import Batch, Outputs
from tlcli.distill.sorted_maps import GivenMaps, SortedMaps, in_place


class Seen:
    hard_weight, needs = 0.5, frozenset({"preactivations"})

    def __init__(self, replaces_head):
        self.replaces_head = replaces_head

    def loss(self, batch, student, teacher, state):
        return student


@pytest.mark.parametrize("replaces_head", [False, True])
def test_maps_after_before_and_projected_are_told_apart(replaces_head):
    method = SortedMaps(Seen(replaces_head), GivenMaps(((1,), (1,)), (0, 1), (0, 1)))
    maps = tuple(np.full(1, i) for i in range(4 + replaces_head))
    found = method.loss(None, Outputs(np.zeros(1), features=maps), None, None)
    assert found.features == maps[:2]
    assert found.preactivations == maps[2:4]
    assert (found.head_map is maps[-1]) if replaces_head else (found.head_map is None)
    assert (method.needs, method.hard_weight) == (Seen.needs, 0.5)


def test_the_loss_is_the_methods():
    rng = np.random.default_rng(0)
    signals = {"features": [rng.normal(size=(2, 4, 4, 3)) for _ in range(2)]}
    shapes = ((4, 4, 3), (4, 4, 3))
    method = methods.make("at")
    student, teacher = methods.outputs(signals), methods.outputs(signals)
    np.testing.assert_array_equal(
        SortedMaps(method, GivenMaps(shapes, (0, 1))).loss(Batch(None), student, teacher, None),
        method.loss(Batch(None), student, teacher, None),
    )


def test_a_map_that_was_not_made_keeps_its_place_and_shape():
    deep = np.ones((5, 2, 2, 8))
    found = in_place([deep], (1,), ((4, 4, 3), (2, 2, 8)))
    assert [tuple(f.shape) for f in found] == [(0, 4, 4, 3), (5, 2, 2, 8)]
    assert found[1] is deep
    # A method that looks at none is given none.
    assert in_place([], (), ((4, 4, 3),)) == ()
