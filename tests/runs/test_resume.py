"""What a training goes on from, and what it refuses."""

import json

import pytest

from tests.helpers.stopped import SHORT, states
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import ConfigError, TlError
from tlcli.runs import state
from tlcli.runs.resume import check_same_config, resumed_job


def test_a_changed_configuration_is_refused_key_by_key(broken_off):
    words = (f"run_dir={broken_off}", "finetune=linear_probe", "epochs=3", *SHORT)
    message = r"epochs was 2 and is 3; head\.dropout was 0\.0 and is 0\.5"
    with pytest.raises(ConfigError, match=message):
        train.run(checked("train", *words, "head.dropout=0.5"))


def test_changed_data_are_refused(broken_off):
    path = broken_off / "config.json"
    content = json.loads(path.read_text())
    content["data"]["images_per_class"] = 9
    path.write_text(json.dumps(content))
    with pytest.raises(TlError, match="the data changed since the state was saved"):
        train.run(checked("train", f"resume={broken_off}"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs=500", "epochs was 2 and is 500"),
        ("backbone=mobilenet", r"backbone\.name was 'tiny' and is 'keras_applications'"),
        ("head.dropout=0.5", r"head\.dropout was 0\.0 and is 0\.5"),
    ],
)
def test_resume_refuses_what_was_typed_and_differs(broken_off, word, message):
    with pytest.raises(ConfigError, match=f"^resume: .*{message}") as caught:
        train.run(checked("train", f"resume={broken_off}", word))
    assert "free are save_every" in str(caught.value)


def test_resume_takes_free_keys_that_were_typed_and_keeps_the_others(broken_off):
    given = checked("train", f"resume={broken_off}", "epochs=2", "keep_state=true", "workers=1")
    found = resumed_job(given.job, broken_off, given.typed).settings
    assert (found.epochs, found.batch_size) == (2, 10)
    assert (found.keep_state, found.workers) == (True, 1)
    # Not typed, so the run's own and not the default.
    assert found.save_every == "2steps"


def test_other_devices_are_free_but_not_their_batch_statistics(broken_off):
    path = broken_off / "config.json"
    stored = json.loads(path.read_text())
    stored["hardware"]["batch_norm"] = "local"
    path.write_text(json.dumps(stored))
    given = checked("train", f"resume={broken_off}", "hardware=mirrored")
    found = resumed_job(given.job, broken_off, given.typed).hardware
    assert (found.device, found.batch_norm) == ("mirrored", "local")
    given = checked("train", f"resume={broken_off}", "hardware.batch_norm=sync")
    with pytest.raises(ConfigError, match=r"hardware\.batch_norm was 'local' and is 'sync'"):
        resumed_job(given.job, broken_off, given.typed)
    words = (f"run_dir={broken_off}", "finetune=linear_probe", "epochs=2", *SHORT)
    with pytest.raises(ConfigError, match=r"hardware\.batch_norm was 'local' and is 'sync'"):
        check_same_config(checked("train", *words).job, broken_off)


def test_resume_and_another_run_dir_are_refused(broken_off, tmp_path):
    with pytest.raises(ConfigError, match=r"^run_dir: resume goes on in its own folder"):
        train.run(checked("train", f"resume={broken_off}", f"run_dir={tmp_path / 'other'}"))


def elsewhere(run_dir, **changed):
    """Make the newest states those of other surroundings."""
    for path in states(run_dir):
        content = json.loads(path.read_text())
        content["facts"]["surroundings"] |= changed
        content = state.description(content["sha256"], content["names"], content["facts"])
        path.write_text(json.dumps(content))


def test_a_state_of_another_tensorflow_is_refused_unless_asked_for(broken_off, capsys):
    elsewhere(broken_off, tensorflow="2.0.0", replicas=8)
    with pytest.raises(TlError, match=r"tensorflow was 2\.0\.0 and is .*strict_resume=false"):
        train.run(checked("train", f"resume={broken_off}"))
    assert train.run(checked("train", f"resume={broken_off}", "strict_resume=false")) == 0
    shown = capsys.readouterr().err
    assert "since the state was saved, tensorflow was 2.0.0 and is" in shown
    assert "since the state was saved, replicas was 8 and is 1" in shown


def test_a_configuration_edited_behind_the_state_is_refused(broken_off):
    path = broken_off / "config.json"
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": 3'))
    with pytest.raises(TlError, match="was changed since the state was saved"):
        train.run(checked("train", f"resume={broken_off}"))
