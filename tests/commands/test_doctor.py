"""`tl doctor`: what it finds, what it says, when it ends with 1."""

import json
import os

import pytest

from tlcli.commands import doctor
from tlcli.config.settings import Doctor
from tlcli.system import gpu

PROBE = {"tensorflow": "2", "keras": "3", "seconds": 2.0, "cuda_build": True, "gpus": [],
         "cpus": 1, "bfloat16_time": 1.5, "chatter": []}  # fmt: skip


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Examine this machine with a probe that is given."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)

    def examined(**changes):
        return doctor.examined(tmp_path / "cache", {**PROBE, **changes})

    return examined


def text(found):
    return "\n".join(note.plain for note in doctor.notes(found))


def test_a_sound_machine_can_train(look):
    found = look()
    assert not found.fatal
    told = text(found)
    assert "verdict    trainings can start" in told
    assert "at hand    no weights but those of backbone=tiny" in told
    assert told.splitlines()[-1] == f"report     {doctor.line(found)}"
    assert "\n" not in doctor.line(found)


def test_without_tensorflow_no_training_is_possible(look):
    found = look(error="ImportError: libx.so")
    assert found.fatal == ["TensorFlow cannot be used: ImportError: libx.so."]
    assert "verdict    no training is possible here" in text(found)


def test_a_gpu_is_named_and_a_missing_one_explained(look, monkeypatch):
    card = {"name": "H100", "compute_capability": [9, 0]}
    found = look(gpus=[card])
    assert "GPU        H100, compute capability 9.0" in text(found)
    assert doctor.line(found).endswith("H100")
    monkeypatch.setattr(gpu, "cards", lambda: 1)
    monkeypatch.setattr(gpu, "has_driver", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = text(look())
    assert "GPU        none: 1 NVIDIA card, but no driver" in told
    assert "to do      GPU: Install NVIDIA's driver" in told


def test_bfloat16_is_advised_where_it_was_measured_to_pay(look):
    assert "mixed_bfloat16" in text(look(bfloat16_time=0.4))
    assert "mixed_bfloat16" not in text(look(bfloat16_time=1.2))


def test_folders_that_cannot_be_written_and_weights_at_hand_are_named(look, tmp_path):
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "keras/models").mkdir(parents=True)
    (tmp_path / "keras/models/mobilenet_[red]\x1b[2J.h5").write_bytes(b"0" * (3 << 20))
    (tmp_path / "keras/models/notes.txt").write_text("no weights")
    found = look()
    assert found.facts["folders"]["cache"]["problem"] == (
        f"cannot be made: {tmp_path / 'cache'} is a file"
    )
    assert any("Give cache_dir=PATH" in advice for advice in found.advice)
    assert list(found.facts["weights"].values()) == [3 << 20]
    assert not found.fatal


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_of_another_user_is_told(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in doctor.unwritable(tmp_path / "below")


def test_little_room_and_little_memory_are_told(look, monkeypatch):
    monkeypatch.setattr(doctor.files, "free_bytes", lambda _: 10 << 20)
    monkeypatch.setattr(doctor.memory, "free", lambda: 512 << 20)
    told = text(look())
    assert "Memory: 512 MiB are free" in told
    assert "has 10 MiB free" in told


def test_the_command_prints_json_for_programs(look, capsys, monkeypatch):
    monkeypatch.setattr(doctor.device_probe, "probed", lambda: PROBE)

    class Checked:
        settings = Doctor("json", None)

    assert doctor.run(Checked()) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["devices"]["cores"] >= 1
    assert told["fatal"] == []
    assert told["line"].startswith("tl ")
    monkeypatch.setattr(doctor.device_probe, "probed", lambda: {"error": "it is gone"})
    assert doctor.run(Checked()) == 1
    assert json.loads(capsys.readouterr().out)["fatal"]


def test_the_command_as_a_process(tl):
    done = tl("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict    trainings can start" in done.stdout
    assert done.stderr == ""
