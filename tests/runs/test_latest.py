"""The newest finished run: whole ones alone, not what belongs to another."""

import os

import pytest

from tlcli.errors import ConfigError
from tlcli.runs import latest


def finish(folder, at, whole=True):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    if whole:
        (folder / "model.weights.h5").write_text("x")
        os.utime(folder / "model.weights.h5", (at, at))
    return folder


def test_the_newest_whole_run_that_is_no_part_of_another(tmp_path, caplog):
    runs = tmp_path / "runs"
    finish(runs / "train" / "a", 100)
    newest = finish(runs / "sweep" / "b" / "0", 300)
    finish(newest / "control", 400)
    finish(runs / "train" / "c", 500, whole=False)
    with caplog.at_level("INFO", "tlcli"):
        for given in (None, "latest"):
            assert latest.chosen(given, str(runs), "") == str(newest)
    assert f"checkpoint {newest}, the newest of 2 in {runs}" in caplog.text
    assert latest.chosen("other", str(runs), "") == "other"


def test_links_pipes_and_depth_lead_nowhere(tmp_path):
    runs = tmp_path / "runs"
    finish(tmp_path / "away", 900)
    finish(runs / "a", 100)
    (runs / "link").symlink_to(tmp_path / "away")
    (runs / "up").symlink_to("..")
    (runs / "pipe").mkdir()
    os.mkfifo(runs / "pipe" / "model.weights.h5")
    finish(runs.joinpath(*"1234567"), 900)
    assert latest.chosen(None, str(runs), "") == str(runs / "a")


@pytest.mark.parametrize(
    ("given", "made", "said"),
    [(None, False, "no value, and there is no folder"),
     (None, True, "no value, and there is no finished run in"),
     ("latest", True, "got latest, but there is no finished run in")],
)  # fmt: skip
def test_without_one_it_says_what_to_give(tmp_path, given, made, said):
    if made:
        finish(tmp_path / "runs" / "a", 1, whole=False)
    with pytest.raises(ConfigError, match=f"^checkpoint: {said} .*runs. Give this"):
        latest.chosen(given, str(tmp_path / "runs"), "Give this.")
