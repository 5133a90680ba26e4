import re
from types import SimpleNamespace

import pytest

from tests.helpers.published import MOBILENET, numbers
from tlcli.cli import main
from tlcli.commands import listing
from tlcli.config.published import networks
from tlcli.config.registry import config_files
from tlcli.config.settings import Listing


def lines_of(capsys, *groups, sort="name"):
    assert listing.run(SimpleNamespace(settings=Listing(groups, sort))) == 0
    return capsys.readouterr().out.splitlines()


def test_each_option_has_a_line_with_its_first_comment(capsys):
    lines = [x for x in lines_of(capsys, "schedule") if not x.startswith("   ")]
    assert lines[0] == "schedule"
    assert [line.split()[0] for line in lines[1:]] == list(config_files("schedule"))
    assert all(len(line.split()) > 2 for line in lines[1:])


def test_without_a_word_every_group_is_listed(capsys):
    heads = [x for x in lines_of(capsys) if not x.startswith(" ")]
    assert {"data", "backbone", "teacher", "experiment"} <= set(heads)


def test_backbones_are_a_table_and_every_option_is_told_once(capsys):
    lines = lines_of(capsys, "backbone")
    assert max(map(len, lines)) <= 80
    titles = [line[2:27].strip() for line in lines]
    assert titles.count("mobilenet 0.25") == titles.count("convnext_tiny") == 1
    told = {title.split()[0] for title in titles if title} | {"backbone"}
    assert set(config_files("backbone")) <= told


@pytest.mark.parametrize(
    ("sort", "column", "sign"),
    [("top1", 0, -1), ("parameters", 1, 1), ("gflops", 2, 1), ("time", 3, 1), ("pixels", 4, 1)],
)
def test_the_table_is_sorted_by_a_key(capsys, sort, column, sign):
    rows = [line[27:].split() for line in lines_of(capsys, "backbone", sort=sort)
            if re.match(r"  \S+( \d\.\d+)? +\d+\.\d +", line)]  # fmt: skip
    found = [sign * float(row[column].replace("-", "inf")) for row in rows]
    assert len(found) == len(networks())
    assert found == sorted(found)


def test_weights_that_are_at_hand_are_marked(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    numbers(tmp_path / "models" / MOBILENET)
    marked = [x[2:27].strip() for x in lines_of(capsys, "backbone") if x.endswith(" *")]
    assert marked == ["mobilenet 0.25"]


def test_the_order_is_typed_and_a_wrong_one_told(capsys):
    assert main.run(["list", "backbone", "sort=gflops"]) == 0
    assert main.run(["list", "backbone", "sort=size"]) == 2
    assert "gflops" in capsys.readouterr().err
