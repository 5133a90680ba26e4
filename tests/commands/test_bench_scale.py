"""Trainings on several workers are timed, and forecast."""

import json

import pytest

from tests.helpers.words import checked
from tlcli.commands import bench_scale
from tlcli.commands.bench_scale import Group
from tlcli.errors import TlError

WORDS = ("steps=10", "--", "train", "backbone=tiny", "batch_size=16", "finetune=full")


def settings(*words):
    return checked("bench scale", *words).settings


@pytest.mark.slow
def test_workers_are_measured_and_more_are_forecast(start_tl, tmp_path):
    words = ("workers=1,2", "forecast=2,64", "output=scale.json", *WORDS)
    process = start_tl("bench", "scale", *words)
    out, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    found = json.loads((tmp_path / "scale.json").read_text())
    assert [row["workers"] for row in found["measured"]] == [1, 2]
    for row in found["measured"]:
        seconds = dict(row["seconds"])
        step = seconds.pop("step")
        assert sum(seconds.values()) == pytest.approx(step)
        assert row["images_per_second"] == pytest.approx(16 * row["workers"] / step)
        assert 0 < seconds["computing"] < step
        assert seconds["input"] >= 0
        assert seconds["reduction"] >= 0
        assert row["forecast"] > 0
    alone, together = found["measured"]
    assert alone["efficiency"] == 1
    assert alone["seconds"]["stragglers"] == 0
    assert together["seconds"]["reduction"] > alone["seconds"]["reduction"]
    # Of the tiny network all is trained.
    assert found["costs"]["gradient_bytes"] == 4 * 60_661
    assert len(found["costs"]["computing"]) == 10
    assert found["costs"]["sums"] == 1  # batch normalisation is frozen
    assert [row["workers"] for row in found["forecast"]] == [2, 64]
    assert found["forecast"][0]["efficiency"] > found["forecast"][1]["efficiency"]
    assert found["sums"][0][:2] == [2, 4.0]
    lines = out.splitlines()
    assert lines[1].split()[:2] == ["workers", "images/s"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert lines[5].startswith("forecast for such workers on machines of their own: a sum of 0.24 ")
    assert not (tmp_path / "runs").exists()


def test_numbers_are_powers_of_two_up_to_all(monkeypatch):
    monkeypatch.setattr(bench_scale, "usable_cores", lambda: 6)
    monkeypatch.setattr(bench_scale.gpu, "cards", lambda: 0)
    assert bench_scale.sizes_of(settings("--", "train")) == [1, 2, 4, 6]
    assert bench_scale.sizes_of(settings("hosts=a,b,c", "--", "train")) == [1, 2, 3]
    assert bench_scale.sizes_of(settings("workers=3,1", "--", "train")) == [1, 3]
    monkeypatch.setattr(bench_scale.gpu, "cards", lambda: 4)
    assert bench_scale.sizes_of(settings("--", "train")) == [1, 2, 4]


def test_workers_share_the_cores_and_a_crowd_takes_turns(monkeypatch):
    monkeypatch.setattr(bench_scale, "usable_cores", lambda: 4)
    monkeypatch.setattr(bench_scale.gpu, "cards", lambda: 0)
    given = settings("--", "train")
    assert bench_scale.cores_of(given, 2) == 2
    assert [bench_scale.crowd(given, size, 2) for size in (1, 2)] == [1, 1]
    assert [bench_scale.crowd(given, size, 6) for size in (4, 6)] == [1, 2]
    hosts = settings("hosts=a,b:2", "--", "train")
    assert bench_scale.cores_of(hosts, 3) is None
    assert [bench_scale.crowd(hosts, size, 3) for size in (2, 3)] == [1, 2]


def test_a_network_that_is_given_takes_the_place_of_the_measured_one():
    group = Group()
    row = {"rank": 0, "batch": 4, "step": 0.2, "durations": [[[0.0, 0.1, 0.0]]][0],
           "gradient_bytes": 8, "sums": 1, "sum_bytes": 20.0, "input_rate": None,
           "probes": []}  # fmt: skip
    group.heard("0", json.dumps({bench_scale.MARK: row}).encode(), False)
    given = settings("latency=0.5", "bandwidth=4", "--", "train")
    costs = bench_scale.costs_of([group], given, 1)
    assert (costs.latency, costs.seconds_a_byte) == (0.5, 0.25)
    assert costs.rest == pytest.approx(0.1)


def test_a_worker_that_says_nothing_is_told_by_its_end(monkeypatch):
    class Failing:
        def __init__(self, *_):
            pass

        def run(self):
            raise TlError("worker 0 failed with exit code 3; the others were ended.")

    monkeypatch.setattr(bench_scale, "Supervisor", Failing)
    with pytest.raises(TlError, match="exit code 3"):
        bench_scale.measure(settings("--", "train"), 1, 1, Group())
