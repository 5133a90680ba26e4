"""Exports are timed in turn, each in a process of its own."""

import json
import shutil

import pytest

from tests.helpers.words import checked
from tlcli.commands import bench_export, export
from tlcli.errors import ConfigError, DataError, TlError

QUICK = ("rounds=2", "calls=40", "seconds=0.2", "batch_size=16")


@pytest.fixture(scope="module")
def exported(digits_run, tmp_path_factory):
    """A LiteRT export of a run."""
    place = tmp_path_factory.mktemp("timed") / "small"
    words = (f"checkpoint={digits_run}", "format=litert", f"output={place}")
    assert export.run(checked("export", *words)) == 0
    return place


def timed(tmp_path, *words):
    place = tmp_path / "times.json"
    given = checked("bench export", *words, *QUICK, f"output={place}")
    assert bench_export.run(given) == 0
    return {row["name"]: row for row in json.loads(place.read_text())}


def test_an_export_is_timed(exported, tmp_path, capsys):
    row = timed(tmp_path, str(exported))["small"]
    assert row["size"] == (exported / "model.tflite").stat().st_size
    assert 0 < row["p50"] <= row["p99"] < 1
    assert row["images_per_second"] > 1 / row["p99"]
    assert 1e7 < row["peak_bytes"] < 1e9
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[-1].strip() == "peak MB"
    assert lines[1].startswith("small ")


@pytest.mark.slow
def test_a_run_is_timed_beside_it_in_two_ways(exported, digits_run, tmp_path):
    rows = timed(tmp_path, str(exported), str(digits_run))
    name = digits_run.name
    assert list(rows) == ["small", f"{name} (tl)", f"{name} (Keras predict)"]
    assert rows["small"]["p50"] < rows[f"{name} (Keras predict)"]["p50"]
    assert rows["small"]["load_seconds"] < rows[f"{name} (tl)"]["load_seconds"]


def test_what_is_neither_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither a run nor an export"):
        timed(tmp_path, str(tmp_path))


def test_nothing_to_time_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no value"):
        timed(tmp_path)


def test_a_process_that_ends_is_told_in_a_line(exported, tmp_path, monkeypatch):
    broken = shutil.copytree(exported, tmp_path / "broken")
    found = bench_export.arms_of([str(broken)])
    (broken / "model.tflite").write_bytes(b"no model")
    monkeypatch.setattr(bench_export, "arms_of", lambda _: found)
    with pytest.raises(TlError, match="broken"):
        timed(tmp_path, str(broken))


def test_tl_takes_a_command_of_two_words(exported, tl):
    found = tl("bench", "export", exported, *QUICK)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[1].startswith("small ")
    assert "exports" in tl("bench", "export", "--help").stdout
