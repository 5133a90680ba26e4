"""What is said, as values: their plain text, and what a narrow terminal shows of them."""

import pytest

from tlcli.system.notes import (
    EXPERT,
    MUST,
    WARNING,
    Column,
    Line,
    Note,
    Sheet,
    Table,
    fitting,
    of_line,
)

COLUMNS = (Column("phases"), Column("name", left=True), Column("steps", rank=2), Column("rate"))
TABLE = Table(COLUMNS, (("phase 1", "probe", "1,000", "0.1"), ("phase 2", "all", "20", "0.01")))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("data       5 classes", Note("data", "5 classes")),
        ("phase 1    probe", Note("phase 1", "probe")),
        ("calibrated temperature 2", Note("calibrated", "temperature 2")),
        ("           goes on", Note("", "goes on")),
        ("no better for 3 validations", Line("no better for 3 validations")),
        ("    1     2  1.4", Line("    1     2  1.4")),
        ("", Line("")),
    ],
)
def test_a_line_of_the_log_is_told_apart_and_is_the_same_again(line, value):
    assert of_line(line) == value
    assert of_line(line).plain == line


def test_a_table_is_aligned_and_leaves_out_what_ranks_last():
    assert TABLE.plain.splitlines() == [
        "phases     name   steps  rate",
        "phase 1    probe  1,000   0.1",
        "phase 2    all       20  0.01",
    ]
    assert TABLE.lines(25)[1] == "phase 1    probe   0.1"
    # What ranks 0 is always there.
    assert TABLE.lines(5) == TABLE.lines(25)


def test_columns_of_the_highest_rank_go_first_the_rightmost_of_equals():
    columns = [Column("", 5), Column("", 5, 1), Column("", 5, 2), Column("", 5, 2)]
    assert fitting(columns, None) == fitting(columns, 23) == [0, 1, 2, 3]
    assert fitting(columns, 22) == [0, 1, 2]
    assert fitting(columns, 16) == [0, 1]
    assert fitting(columns, 1) == [0]


def test_a_sheet_hides_what_is_for_experts_and_ends_with_what_may_be_wrong():
    said = (Note("a", "1"), Note("b", "2", WARNING), Note("c", "3", EXPERT), Note("d", "4", MUST))
    sheet = Sheet(said)
    assert [one.label for one in sheet.chosen(verbose=False)] == ["a", "d", "b"]
    assert sheet.chosen(verbose=True) == list(said)
    assert sheet.plain.count("\n") == 3
