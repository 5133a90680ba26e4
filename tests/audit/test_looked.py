import numpy as np

from tlcli.audit import looked


def test_pixels_are_means_of_what_they_cover():
    # Six pixels in four: each covers 1.5, so the second is (half of 1 + 2) / 1.5.
    np.testing.assert_allclose(
        looked.covering(6, 4) @ np.arange(6.0), [1 / 3, (0.5 + 2) / 1.5, (3 + 2) / 1.5, 14 / 3],
        rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(looked.covering(2, 4) @ [1.0, 5], [1, 1, 5, 5])
    np.testing.assert_allclose(looked.covering(96, 32).sum(1), 1, rtol=1e-5)


def test_a_slope_has_no_detail_and_a_point_has():
    slope = np.tile(np.arange(8.0), (1, 8, 1))
    assert np.abs(looked.laplacian(slope)).max() == 0
    point = np.zeros((1, 5, 5))
    point[0, 2, 2] = 1
    assert looked.laplacian(point)[0].tolist() == [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]
