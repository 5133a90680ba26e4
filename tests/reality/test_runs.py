"""One owner of a run folder: starts at one moment, kills at any, folders that are moved away."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.runs import same_weights
from tests.helpers.sealing import resealed
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import ConfigError, TlError
from tlcli.runs import checkpoint, claim, state
from tlcli.system import files
from tlcli.training import trainer

ROOT = Path(__file__).parents[2]
SHORT = (
    "finetune=linear_probe", "epochs=2", "data.images_per_class=8", "batch_size=10",
    "save_every=2steps", "calibrate=false",
)  # fmt: skip


def python(code, *words, **options):
    """A Python process that runs some code of ours."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}, **options,
    )  # fmt: skip


def test_starts_at_one_moment_get_a_folder_each(tmp_path):
    found, barrier = [], threading.Barrier(40)

    def start():
        barrier.wait()
        found.append(claim.new_folder(tmp_path / "runs" / "train"))

    threads = [threading.Thread(target=start) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 40
    assert sorted(found) == sorted((tmp_path / "runs" / "train").iterdir())


HOLD = """
import sys
from pathlib import Path
from tlcli.runs import claim
with claim.owned(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """A run folder that another process has, and that process."""
    process = python(HOLD, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    yield tmp_path / "run", process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_has_the_folder(held):
    run, process = held
    told = rf"^run_dir: .*run is in use by process {process.pid} on {os.uname().nodename}, since "
    with pytest.raises(ConfigError, match=told), claim.owned(run):
        pass
    process.communicate("")
    with claim.owned(run):
        pass


def test_what_a_killed_process_left_is_told_and_taken_over(held, caplog):
    run, process = held
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((run / claim.LOCK).read_text())["pid"] == process.pid
    with caplog.at_level("INFO", "tlcli"), claim.owned(run) as own:
        own.check()
        assert f"was left by process {process.pid} on" in caplog.text
    assert not (run / claim.LOCK).exists()


@pytest.mark.parametrize("left", ["", "[", "[" * 4000, "[]", '{"pid": "\\u001b[2J"}', "\0" * 9])
def test_a_lock_file_of_nonsense_locks_nothing_and_is_shown_harmlessly(tmp_path, left, caplog):
    (tmp_path / claim.LOCK).write_text(left)
    with caplog.at_level("INFO", "tlcli"), claim.owned(tmp_path) as own:
        own.check()
    assert "\x1b" not in caplog.text


def test_without_locks_of_the_file_system_the_owner_in_the_file_decides(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(claim.fcntl, "flock", refused)
    with claim.owned(tmp_path), pytest.raises(ConfigError, match="in use by process"):
        claim._locked(tmp_path, "run_dir")
    gone = {**claim.myself(), "started": 1}
    (tmp_path / claim.LOCK).write_text(json.dumps(gone))
    with claim.owned(tmp_path):
        pass
    (tmp_path / claim.LOCK).write_text(json.dumps({**gone, "host": "elsewhere"}))
    with pytest.raises(ConfigError, match="on elsewhere"), claim.owned(tmp_path):
        pass


def moved(run):
    run.rename(run.with_name("away"))


def replaced(run):
    moved(run)
    run.mkdir()


def removed(run):
    shutil.rmtree(run)


def unlocked(run):
    (run / claim.LOCK).unlink()


def taken_over(run):
    (run / claim.LOCK).write_text("{}")


FATES = {
    moved: "was moved during the training and is .*away now", replaced: "is .*away now",
    removed: "was removed or replaced", unlocked: "its run.lock was removed or replaced",
    taken_over: "its run.lock was removed or replaced",
}  # fmt: skip


@pytest.mark.parametrize("fate", FATES, ids=lambda f: f.__name__)
def test_a_folder_that_is_no_longer_ours_is_noticed(tmp_path, fate):
    run = tmp_path / "run"
    with claim.owned(run) as own:
        own.check()
        fate(run)
        with pytest.raises(claim.Lost, match=FATES[fate]) as lost:
            own.check()
        assert lost.value.exit_code != 0
    assert not run.exists() or fate not in (moved, removed)


@pytest.mark.parametrize("fate", [moved, removed], ids=lambda f: f.__name__)
def test_a_training_whose_folder_goes_ends_with_a_fault_and_writes_nothing(
    monkeypatch, tmp_path, fate
):
    run, save = tmp_path / "run", trainer.Trainer.save

    def lose(self):
        save(self)
        if self.progress.step >= 4 and run.exists():
            fate(run)

    monkeypatch.setattr(trainer.Trainer, "save", lose)
    with pytest.raises(claim.Lost, match=FATES[fate]):
        train.run(checked("train", f"run_dir={run}", *SHORT))
    assert not run.exists()
    left = tmp_path / "away"
    assert not (left / checkpoint.WEIGHTS).exists()
    if fate is moved:
        monkeypatch.undo()
        assert train.run(checked("train", f"resume={left}")) == 0
        assert checkpoint.read_facts(left)[1].seed == 0


def test_a_folder_lost_while_the_run_is_written_is_no_whole_run(monkeypatch, tmp_path):
    run, write = tmp_path / "run", files.write_json

    def lose(path, content):
        write(path, content)
        if path.name == "metadata.json":
            run.rename(tmp_path / "away")

    monkeypatch.setattr(files, "write_json", lose)
    with pytest.raises(TlError):
        train.run(checked("train", f"run_dir={run}", *SHORT, "save_retry=off"))
    assert not run.exists()
    assert not checkpoint.is_finished(tmp_path / "away")


def test_a_plan_claims_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert train.run(checked("train", "plan_only=true", *SHORT)) == 0
    assert list(tmp_path.iterdir()) == []
    assert train.run(checked("train", "plan_only=true", "run_dir=run", *SHORT)) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_is_refused_leaves_no_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TlError):
        train.run(checked("train", "data=folder", "data.path=nowhere"))
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_in_a_used_folder_is_refused(held):
    run, process = held
    with pytest.raises(ConfigError, match=rf"is in use by process {process.pid} on"):
        train.run(checked("train", f"run_dir={run}", *SHORT))
    assert [p.name for p in run.iterdir()] == [claim.LOCK]


def test_a_finished_run_is_told_without_its_lock(digits_run, capsys):
    assert train.run(checked("train", f"resume={digits_run}")) == 0
    assert not (digits_run / claim.LOCK).exists()


def test_states_keep_what_json_cannot_say(tmp_path):
    facts = {"rows": [{"loss": float("nan"), "best": False}], "best": None, "step": 3}
    state.save(tmp_path / "state", 3, {"a": np.zeros(2)}, facts)
    text = (tmp_path / "state" / "0000000003.json").read_text()

    def refuse(word):
        raise AssertionError(word)

    json.loads(text, parse_constant=refuse)
    found = state.load(tmp_path / "state").facts
    assert np.isnan(found["rows"][0].pop("loss"))
    assert found == {"rows": [{"best": False}], "best": None, "step": 3}


def test_json_never_holds_nan(tmp_path):
    for value in (float("nan"), float("inf"), np.float32("nan")):
        with pytest.raises(ValueError, match="JSON"):
            files.write_json(tmp_path / "file.json", {"a": [value]})
    assert list(tmp_path.iterdir()) == []
    assert files.finite({"a": [float("nan"), 1.5], "b": "nan"}) == {"a": [None, 1.5], "b": "nan"}


def test_a_training_without_a_finite_loss_is_no_run(tmp_path):
    wild = (
        "finetune=full", "finetune.rate=1000", "optimizer=sgd", "optimizer.learning_rate=1e6",
        "optimizer.clip_norm=null", "epochs=2",
        "schedule=constant", "data.images_per_class=8", "batch_size=5", "calibrate=false",
        "data.validation_fraction=0.0", "on_nan=skip",
    )  # fmt: skip
    with pytest.raises(TlError, match=r"not finite|is no run|finite loss"):
        train.run(checked("train", f"run_dir={tmp_path / 'run'}", *wild))
    assert not checkpoint.is_finished(tmp_path / "run")


def test_all_files_of_a_run_are_listed_and_sha256sum_agrees(digits_run):
    known = checkpoint.facts_of(digits_run).sha256
    there = {p.name for p in digits_run.iterdir() if p.is_file()}
    assert there - set(known) == {"metadata.json", "run.sha256", "train.log"}
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "run.sha256"], cwd=digits_run, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(known) + 1


def test_a_run_of_the_first_version_is_read_with_a_note(digits_run, tmp_path, caplog):
    old = Path(shutil.copytree(digits_run, tmp_path / "old"))
    weights = {checkpoint.WEIGHTS: files.sha256(old / checkpoint.WEIGHTS)}
    resealed(old, sha256=weights)
    (old / "run.sha256").unlink()
    with caplog.at_level("INFO", "tlcli"):
        _, facts = checkpoint.read_facts(old)
    assert facts.sha256 == weights
    assert "is of tl 0.1.0" in caplog.text


KILL = """
import os, signal, sys
import tlcli.cli.main as cli
count, at = 0, int(sys.argv[1])
def deadly(name):
    real = getattr(os, name)
    def call(*words, **options):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)
    setattr(os, name, call)
for name in ("mkdir", "replace", "fsync", "unlink"):
    deadly(name)
code = cli.run(sys.argv[2:])
print(count)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.long
def test_a_kill_at_claim_write_or_rename_mixes_nothing(tmp_path):
    words = ("train", *SHORT)

    def killed(at, run):
        process = python(KILL, at, *words, f"run_dir={run}", cwd=tmp_path)
        out, errors = process.communicate(timeout=300)
        return process.returncode, out, errors

    code, out, errors = killed(10**9, tmp_path / "whole")
    assert code == 0, errors
    count = int(out.split()[-1])
    # Late ones are those of the files of a finished run, and of the lock.
    for at in sorted({count // 6, count // 2, *range(count - 9, count, 2)}):
        run = tmp_path / f"killed_{at}"
        code, _, errors = killed(at, run)
        assert code == -signal.SIGKILL, (at, errors)
        code, _, errors = killed(10**9, run)
        assert code == 0, (at, errors)
        same_weights(tmp_path / "whole", run)
        config, facts = checkpoint.read_facts(run)
        assert config["run_dir"] == str(run)
        assert facts.metrics == checkpoint.read_metrics(run)


@pytest.mark.slow
def test_four_starts_at_once_are_four_whole_runs(tmp_path):
    script = ROOT / "scripts" / "make" / "claims.py"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "1", "--folder", tmp_path], capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 folders of 1 x 4 starts, 0 problems" in done.stdout


@pytest.mark.slow
def test_a_sweep_folder_has_one_owner(tl, tmp_path):
    process = python(HOLD, tmp_path / "sweep")
    assert process.stdout.readline() == "held\n"
    words = ("train", "-m", "seed=1,2", "hydra.sweep.dir=sweep", *SHORT)
    done = tl(*words)
    process.communicate("")
    assert done.returncode == 2
    assert f"hydra.sweep.dir: sweep is in use by process {process.pid}" in done.stderr
    assert tl(*words).returncode == 0
    assert not (tmp_path / "sweep" / claim.LOCK).exists()
