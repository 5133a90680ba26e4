import numpy as np

from tlcli.audit import neighbours


def test_neighbours_are_those_of_the_whole_square(monkeypatch):
    vectors = neighbours.unit(np.random.default_rng(0).normal(size=(50, 5)))
    square = vectors @ vectors.T
    np.fill_diagonal(square, -np.inf)
    wanted = np.argsort(-square, axis=1)[:, :3]
    monkeypatch.setattr(neighbours, "BLOCK", 120)  # two rows at a time
    rows, likeness = neighbours.nearest(vectors, 3)
    np.testing.assert_array_equal(rows, wanted)
    np.testing.assert_allclose(likeness, np.take_along_axis(square, wanted, 1), rtol=1e-5)


def test_few_vectors_have_few_neighbours():
    assert neighbours.nearest(np.eye(2, dtype=np.float32), 5)[0].tolist() == [[1], [0]]
    assert neighbours.nearest(np.eye(1, dtype=np.float32), 5)[0].shape == (1, 0)


def test_vectors_of_length_zero_stay():
    np.testing.assert_array_equal(neighbours.unit(np.array([[3.0, 4], [0, 0]])),
                                  np.array([[0.6, 0.8], [0, 0]], np.float32))  # fmt: skip


def test_blocks_are_all_rows_once(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 10)
    assert np.concatenate(list(neighbours.blocks(7, 4))).tolist() == list(range(7))
