"""A training that was stopped, at any moment and in any way, goes on as if it never had been."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.runs import same_weights, train_digits
from tests.helpers.stopped import SHORT, Interrupted, states, stop_after
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import TlError
from tlcli.runs import state

# Dropout, a moving average, batches of views, a penalty that remembers its start, two phases.
WORDS = (
    "data.images_per_class=10", "batch_size=7", "epochs=6", "head=mlp", "head.hidden=[16]",
    "head.dropout=0.3", "finetune=l2_sp", "optimizer.ema=0.9", "augmentation=light",
    "save_every=5steps", "validate_every=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train_digits(tmp_path_factory.mktemp("unbroken") / "run", *WORDS)


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.slow
def test_a_distillation_killed_in_both_phases_gives_the_unbroken_run(tmp_path):
    # Processes of their own for both: bits depend on how TensorFlow was started.
    script = Path(__file__).parents[2] / "scripts" / "make" / "kill_resume.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "2", "--epochs", "40", "--folder", tmp_path],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(script.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "phase change" in done.stdout
    assert re.search(r"second phase .* phase 2 step [1-9]", done.stdout)
    assert "after 2 kills" in done.stdout
    assert "are equal bit by bit" in done.stdout


@pytest.mark.parametrize("saves", [2, 4])
def test_stopped_after_any_save_gives_the_unbroken_run(unbroken, monkeypatch, tmp_path, saves):
    run_dir = tmp_path / "run"
    given = checked("train", f"run_dir={run_dir}", *WORDS)
    with monkeypatch.context() as patch:
        stop_after(patch, saves)
        with pytest.raises(Interrupted):
            train.run(given)
    assert train.run(given) == 0
    same_weights(unbroken, run_dir)
    assert (unbroken / "metrics.csv").read_text() == (run_dir / "metrics.csv").read_text()


def test_a_state_between_the_last_step_and_its_validation_goes_on(monkeypatch, tmp_path):
    words = ("finetune=linear_probe", "epochs=1", *SHORT[:2], "save_every=4steps", SHORT[3])
    whole = train_digits(tmp_path / "whole", *words)
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={tmp_path / 'run'}", *words))
    assert json.loads(states(tmp_path / "run")[-1].read_text())["facts"]["step"] == 4
    assert train.run(checked("train", f"resume={tmp_path / 'run'}")) == 0
    same_weights(whole, tmp_path / "run")
    assert (whole / "metrics.csv").read_text() == (tmp_path / "run" / "metrics.csv").read_text()


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink], ids=["cut", "flipped", "gone"])
def test_a_damaged_state_is_named_and_the_older_one_used(broken_off, damage, capsys):
    newest = states(broken_off)[-1].with_suffix(".npz")
    damage(newest)
    assert train.run(checked("train", f"resume={broken_off}")) == 0
    shown = capsys.readouterr().err
    assert f"state {newest}" in shown
    assert "an older one is used" in shown
    assert "going on at phase 1, step 2" in shown


def test_a_torn_description_is_passed_over(broken_off):
    truncate(states(broken_off)[-1])
    found = state.load(broken_off / "state")
    assert found.facts["step"] == 2
    assert len(found.skipped) == 1


@pytest.mark.slow
def test_without_a_whole_state_the_run_starts_anew(broken_off, tmp_path, capsys):
    for path in states(broken_off):
        flip(path.with_suffix(".npz"))
    assert train.run(checked("train", f"resume={broken_off}")) == 0
    assert "there is no whole one: from the start" in capsys.readouterr().err
    same_weights(
        broken_off, train_digits(tmp_path / "new", "finetune=linear_probe", "epochs=2", *SHORT)
    )


def test_the_state_goes_when_the_run_is_finished_unless_kept(digits_run, tmp_path):
    words = ("finetune=linear_probe", "epochs=1", *SHORT, "keep_state=true")
    assert states(train_digits(tmp_path / "kept", *words))
    assert not (digits_run / "state").exists()


@pytest.mark.parametrize("small_disk", ["2m"], indirect=True)
def test_a_training_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    broken_off, small_disk, tmp_path
):
    place, _ = small_disk
    run_dir = Path(shutil.copytree(broken_off, place / "run"))
    (place / "filler").write_bytes(bytes(shutil.disk_usage(place).free - 8192))
    with pytest.raises(TlError, match=r"No space left on device: .* are free"):
        train.run(checked("train", f"resume={run_dir}", "save_retry=off"))
    (place / "filler").unlink()
    assert train.run(checked("train", f"resume={run_dir}", "save_retry=off")) == 0
    same_weights(
        run_dir, train_digits(tmp_path / "new", "finetune=linear_probe", "epochs=2", *SHORT)
    )


@pytest.mark.parametrize("small_disk", ["2m"], indirect=True)
def test_a_read_only_run_folder_is_told_and_left_alone(broken_off, small_disk):
    place, remount = small_disk
    run_dir = Path(shutil.copytree(broken_off, place / "run"))
    before = {p: p.read_bytes() for p in run_dir.rglob("*") if p.is_file()}
    assert remount("ro") == 0
    message = r"cannot be made or written \(Read-only file system\)\. What is in it is whole"
    with pytest.raises(TlError, match=message):
        train.run(checked("train", f"resume={run_dir}"))
    assert {p: p.read_bytes() for p in run_dir.rglob("*") if p.is_file()} == before


def test_a_finished_run_says_so(digits_run, capsys):
    before = (digits_run / "model.weights.h5").stat().st_mtime_ns
    assert train.run(checked("train", f"resume={digits_run}")) == 0
    assert f"{digits_run} is finished" in capsys.readouterr().err
    assert (digits_run / "model.weights.h5").stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    words = (f"run_dir={tmp_path / 'file' / 'run'}", *SHORT)
    with pytest.raises(TlError, match=r"^run_dir: .* cannot be made"):
        train.run(checked("train", *words))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 76, marks=pytest.mark.long),
        (signal.SIGUSR1, 76),
    ],
)
def test_a_signal_saves_and_says_how_to_go_on(start_tl, tmp_path, number, code):
    words = ("finetune=linear_probe", "epochs=2000", "data.images_per_class=10", "save_every=off")
    process = start_tl("train", f"run_dir={tmp_path / 'run'}", *words)
    wait_for((tmp_path / "run" / "metrics.csv").is_file, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert re.search(rf"Go on with: tl train resume={re.escape(str(tmp_path))}/run", errors)
    assert len(states(tmp_path / "run")) == 1
