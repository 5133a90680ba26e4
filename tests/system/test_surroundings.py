"""What of its surroundings decides the bits of a training."""

import json

import numpy as np

from tlcli.system.surroundings import changes, surroundings


def test_differences_that_decide_the_bits_are_told_from_the_rest():
    old = {"tensorflow": "2.21.0", "python": "3.11.1", "replicas": 1, "oneDNN": True}
    decisive, loose = changes(old, {**old, "oneDNN": False, "replicas": 2})
    assert decisive == ["oneDNN was True and is False"]
    assert loose == ["replicas was 1 and is 2"]
    assert changes(old, dict(old)) == ([], [])


def test_surroundings_are_plain_and_name_this_process():
    found = json.loads(json.dumps(surroundings(2)))
    assert found["numpy"] == np.__version__
    assert found["replicas"] == 2
    assert found["threads of an operation"] >= 1
