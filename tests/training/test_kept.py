import numpy as np

from tlcli.training.kept import KeptWeights, numbered


def test_weights_come_back_from_a_state_in_order():
    best = [np.full(2, i) for i in range(12)]
    kept = KeptWeights(best, [[np.zeros(1)], [np.ones(1)]], [np.full(3, 7.0)])
    found = KeptWeights.from_arrays({**kept.arrays(), "model/0": np.zeros(1)}, 2)
    for one, other in ((found.best, best), (found.peers[1], kept.peers[1]),
                       (found.start, kept.start)):  # fmt: skip
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert KeptWeights.from_arrays({}, 1) == KeptWeights([], [[]], [])
    assert numbered({"swa/10": 1, "swa/9": 0, "swap/0": 2}, "swa") == [0, 1]
