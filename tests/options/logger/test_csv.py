import csv

import pytest

from tests.helpers.loggers import begun, figures, logger, told
from tlcli.errors import ConfigError


def rows(folder):
    with (folder / "log.csv").open(newline="") as lines:
        return [(int(r["step"]), r["name"], float(r["value"])) for r in csv.DictReader(lines)]


def test_each_figure_is_a_row(tmp_path):
    told(logger("csv").open(begun(tmp_path)), tmp_path)
    assert rows(tmp_path) == [(1, "loss", 2.0), (2, "loss", 1.5), (2, "test/accuracy", 0.875)]


def test_a_training_that_goes_on_writes_no_step_twice(tmp_path):
    writer = logger("csv").open(begun(tmp_path))
    writer.figures([figures(step, loss=float(step)) for step in (1, 2, 3)])
    (tmp_path / "log.csv").open("a").write("4,10")  # a row that a kill tore
    writer = logger("csv").open(begun(tmp_path, step=2))
    writer.figures([figures(3, loss=3.0)])
    writer.close("finished")
    assert rows(tmp_path) == [(1, "loss", 1.0), (2, "loss", 2.0), (3, "loss", 3.0)]


@pytest.mark.parametrize("every", [0, 1_000_001])
def test_points_have_a_distance(every):
    with pytest.raises(ConfigError, match=r"^logger\.every: got .*1 to 1000000\.$"):
        logger("csv", every=every)
