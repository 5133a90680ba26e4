import numpy as np
import pytest

from tlcli.audit import odd
from tlcli.audit.facts import Facts
from tlcli.audit.looked import Looked


def given(count=40, **columns):
    random = np.random.default_rng(0)
    values = {
        "light": random.uniform(80, 160, count), "spread": random.uniform(40, 60, count),
        "detail": random.uniform(18, 25, count), "width": np.full(count, 640),
        "height": np.full(count, 480),
    }  # fmt: skip
    for name, value in columns.items():
        values[name] = values[name].copy()
        values[name][3] = value
    empty = np.full(count, "", object)
    facts = Facts(values["width"], values["height"], empty, np.full(count, -1), empty,
                  np.full(count, np.nan))  # fmt: skip
    nothing = np.zeros((count, 1))
    return Looked(nothing, nothing, values["light"], values["spread"], values["detail"]), facts


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ({"spread": 0.5, "light": 9}, "blank: every pixel is near 9 of 255"),
        ({"light": 8}, "dark: mean 8 of 255"),
        ({"light": 251}, "overexposed: mean 251 of 255"),
        ({"detail": 0.5}, "blurred: "),
        ({"width": 14, "height": 12}, "tiny: 14x12 pixels, usually 480 on the shorter side"),
        ({"width": 4000}, "odd shape: 4000x480 pixels"),
    ],
)
def test_an_odd_picture_is_told(columns, detail):
    (found,) = odd.odd_pictures(*given(**columns))
    assert found.row == 3
    assert found.detail.startswith(detail)
    assert 0.4 < found.score <= 1
    assert found.suggestion == ("exclude" if "spread" in columns else "look")


def test_usual_pictures_are_not_odd():
    assert odd.odd_pictures(*given()) == []
    assert odd.odd_pictures(*given(count=1)) == []


def test_two_oddities_are_one_finding():
    (found,) = odd.odd_pictures(*given(light=8, width=4000))
    assert found.detail == "dark: mean 8 of 255; odd shape: 4000x480 pixels"


def test_sizes_that_nobody_knows_are_not_odd():
    looked, facts = given()
    facts.width[:] = facts.height[:] = 0
    assert odd.odd_pictures(looked, facts) == []


def test_an_outlier_is_far_from_all_others():
    random = np.random.default_rng(0)
    likeness = 1 - random.uniform(0.2, 0.3, (50, 5))
    likeness[7] = -0.9
    (found,) = odd.outliers(likeness)
    assert (found.row, found.suggestion) == (7, "look")
    assert 0.5 < found.score < 1
    assert odd.outliers(likeness[:4, :3]) == []


def test_robust_deviations_of_normal_values_are_theirs():
    values = np.random.default_rng(0).normal(5, 3, 100_000)
    np.testing.assert_allclose(odd.robust(values)[:10], (values[:10] - 5) / 3, atol=0.03)
    assert not odd.robust(np.ones(4)).any()
