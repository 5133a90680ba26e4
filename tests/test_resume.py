"""A training that was stopped, at any moment and in any way, goes on as if it never had been."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tlcli import checkpoint, state, train, trainer
from tlcli.errors import ConfigError, TlError

# Dropout, a moving average, batches of views, a penalty that remembers its start, two phases.
WORDS = (
    "data.images_per_class=10", "batch_size=7", "epochs=6", "head=mlp", "head.hidden=[16]",
    "head.dropout=0.3", "finetune=l2_sp", "optimizer.ema=0.9", "augmentation=light",
    "save_every=5steps", "validate_every=2",
)  # fmt: skip
SHORT = ("data.images_per_class=8", "batch_size=10", "save_every=2steps", "calibrate=false")


@pytest.fixture(scope="module")
def unbroken(train_digits, tmp_path_factory):
    return train_digits(tmp_path_factory.mktemp("unbroken") / "run", *WORDS)


def states(run_dir):
    return sorted((run_dir / "state").glob("*.json"))


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


class Interrupted(Exception):  # noqa: N818
    pass


def stop_after(monkeypatch, saves):
    """Break a training in this process right after some saves, wherever they fall."""
    done = {"count": 0}
    save = trainer.Trainer.save

    def broken(self):
        save(self)
        done["count"] += 1
        if done["count"] == saves:
            raise Interrupted

    monkeypatch.setattr(trainer.Trainer, "save", broken)


@pytest.mark.slow
def test_killed_three_times_gives_the_unbroken_run(start_tl, tmp_path, same_weights):
    # A process of its own too: bits depend on how TensorFlow was started.
    unbroken, run_dir = tmp_path / "unbroken", tmp_path / "run"
    process = start_tl("train", f"run_dir={unbroken}", *WORDS)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    for kill in range(3):
        process = start_tl("train", f"run_dir={run_dir}", *WORDS)
        before = states(run_dir)[-1:]
        wait_for(lambda seen=before: states(run_dir)[-1:] not in ([], seen), process)
        time.sleep(0.13 * kill)
        process.kill()
        process.communicate()
        assert not checkpoint.is_finished(run_dir)
    process = start_tl("train", f"resume={run_dir}")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "going on at phase" in errors
    same_weights(unbroken, run_dir)
    assert (unbroken / "metrics.csv").read_text() == (run_dir / "metrics.csv").read_text()
    assert (unbroken / "metrics.json").read_text() == (run_dir / "metrics.json").read_text()


@pytest.mark.parametrize("saves", [2, 4])
def test_stopped_after_any_save_gives_the_unbroken_run(
    unbroken, config, monkeypatch, tmp_path, same_weights, saves
):
    run_dir = tmp_path / "run"
    given = config("train", f"run_dir={run_dir}", *WORDS)
    with monkeypatch.context() as patch:
        stop_after(patch, saves)
        with pytest.raises(Interrupted):
            train.run(given)
    assert train.run(given) == 0
    same_weights(unbroken, run_dir)
    assert (unbroken / "metrics.csv").read_text() == (run_dir / "metrics.csv").read_text()


def test_a_state_between_the_last_step_and_its_validation_goes_on(
    config, train_digits, monkeypatch, tmp_path, same_weights
):
    words = ("finetune=linear_probe", "epochs=1", *SHORT[:2], "save_every=4steps", SHORT[3])
    whole = train_digits(tmp_path / "whole", *words)
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Interrupted):
            train.run(config("train", f"run_dir={tmp_path / 'run'}", *words))
    assert json.loads(states(tmp_path / "run")[-1].read_text())["facts"]["step"] == 4
    assert train.run(config("train", f"resume={tmp_path / 'run'}")) == 0
    same_weights(whole, tmp_path / "run")
    assert (whole / "metrics.csv").read_text() == (tmp_path / "run" / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory):
    """A run that was broken off with two states."""
    run_dir = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train.run(
                config("train", f"run_dir={run_dir}", "finetune=linear_probe", "epochs=2", *SHORT)
            )
    assert len(states(run_dir)) == 2
    return run_dir


@pytest.fixture
def broken_off(stopped, tmp_path):
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink], ids=["cut", "flipped", "gone"])
def test_a_damaged_state_is_named_and_the_older_one_used(config, broken_off, damage, capsys):
    newest = states(broken_off)[-1].with_suffix(".npz")
    damage(newest)
    assert train.run(config("train", f"resume={broken_off}")) == 0
    shown = capsys.readouterr().err
    assert f"state {newest}" in shown
    assert "an older one is used" in shown
    assert "going on at phase 1, step 2" in shown


def test_a_torn_description_is_passed_over(broken_off):
    truncate(states(broken_off)[-1])
    found = state.load(broken_off / "state")
    assert found.facts["step"] == 2
    assert len(found.skipped) == 1


def test_a_changed_configuration_is_refused_key_by_key(config, broken_off):
    words = (f"run_dir={broken_off}", "finetune=linear_probe", "epochs=3", *SHORT)
    message = r"epochs was 2 and is 3; head\.dropout was 0\.0 and is 0\.5"
    with pytest.raises(ConfigError, match=message):
        train.run(config("train", *words, "head.dropout=0.5"))


def test_changed_data_are_refused(config, broken_off):
    path = broken_off / "config.json"
    content = json.loads(path.read_text())
    content["data"]["images_per_class"] = 9
    path.write_text(json.dumps(content))
    with pytest.raises(TlError, match="the data changed since the state was saved"):
        train.run(config("train", f"resume={broken_off}"))


def test_a_finished_run_says_so(config, digits_run, capsys):
    before = (digits_run / "model.weights.h5").stat().st_mtime_ns
    assert train.run(config("train", f"resume={digits_run}")) == 0
    assert f"{digits_run} is finished" in capsys.readouterr().err
    assert (digits_run / "model.weights.h5").stat().st_mtime_ns == before


def test_an_unfinished_run_is_no_checkpoint(config, broken_off):
    from tlcli import evaluate
    from tlcli.errors import DataError

    with pytest.raises(DataError, match=r"did not finish\. Go on with it: tl train resume="):
        evaluate.run(config("eval", f"checkpoint={broken_off}"))


def test_a_damaged_checkpoint_is_refused(digits_run, tmp_path):
    from tlcli.errors import DataError

    copy = Path(shutil.copytree(digits_run, tmp_path / "run"))
    flip(copy / "model.weights.h5")
    with pytest.raises(DataError, match="is not the file that was written"):
        checkpoint.read_run(copy)


def test_a_folder_that_cannot_be_made_is_told(config, tmp_path):
    (tmp_path / "file").write_text("x")
    words = (f"run_dir={tmp_path / 'file' / 'run'}", *SHORT)
    with pytest.raises(TlError, match=r"^run_dir: .* cannot be made"):
        train.run(config("train", *words))


@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_go_on(start_tl, tmp_path):
    words = ("finetune=linear_probe", "epochs=2000", "data.images_per_class=10", "save_every=off")
    process = start_tl("train", f"run_dir={tmp_path / 'run'}", *words)
    wait_for((tmp_path / "run" / "metrics.csv").is_file, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert re.search(rf"Go on with: tl train resume={re.escape(str(tmp_path))}/run", errors)
    assert len(states(tmp_path / "run")) == 1
