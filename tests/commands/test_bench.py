import json
import subprocess
import sys

import numpy as np
import pytest

from tlcli.commands import bench


def test_medians_are_per_image_and_ratios_are_of_plain_keras(monkeypatch):
    costs = iter(
        [bench.Cost(0, 0, 0)] * 4  # warm-ups
        + [bench.Cost(1.0, 2.0, 0.5), bench.Cost(4.0, 4.0, 0.0)]  # tl, keras
        + [bench.Cost(8.0, 8.0, 0.0), bench.Cost(2.0, 4.0, 0.1)]  # the order turns round
        + [bench.Cost(3.0, 6.0, 0.3), bench.Cost(6.0, 12.0, 0.2)]
    )
    order = []
    monkeypatch.setattr(bench, "measured", lambda work: (order.append(work), next(costs))[1])
    found = bench.compared("step", {"tl": "tl", "keras": "keras"}, 3, 100)
    assert order[4:] == ["tl", "keras", "keras", "tl", "tl", "keras"]
    assert found["medians"]["tl"]["cpu_ms"] == pytest.approx(20.0)  # of 1, 2, 3 s over 100 images
    assert found["medians"]["keras"]["cpu_ms"] == pytest.approx(60.0)  # of 4, 8, 6 s
    assert found["medians"]["tl"]["release_ms"] == pytest.approx(300.0)
    assert found["ratios"]["tl"] == pytest.approx({"cpu": 3.0, "wall": 2.0})
    assert [c["cpu"] for c in found["rounds"]["keras"]] == [4.0, 8.0, 6.0]


def test_release_is_timed_apart(monkeypatch):
    class Slow:
        def __del__(self):
            clock.append(clock.pop() + 5.0)

    clock = [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    cost = bench.measured(Slow)
    assert (cost.wall, cost.release) == (0.0, 5.0)


def test_the_command_measures_every_part_on_the_embedded_digits(tmp_path):
    output = tmp_path / "bench.json"
    words = ["bench", "images=32", "rounds=1", f"output={output}", "backbone.weights=none"]
    done = subprocess.run(
        [sys.executable, "-m", "tlcli.cli", *words], capture_output=True, text=True, cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "distill    left out: the configuration has no teacher" in done.stderr
    found = json.loads(output.read_text())
    assert [p["part"] for p in found["parts"]] == ["decode", "forward", "step", "predict"]
    for part in found["parts"]:
        of_files = part["part"] in ("decode", "predict")
        assert part["images"] == (512 if of_files else 32)
        assert {"tl", "keras"} <= set(part["medians"])
        assert all(np.isfinite(v["cpu_ms"]) and v["cpu_ms"] > 0 for v in part["medians"].values())
    assert found["machine"]["batch_size"] == 32
    assert not (tmp_path / "runs").exists()
