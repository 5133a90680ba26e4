"""What another process tells of TensorFlow, and what it tells when it cannot."""

import sys

import pytest

from tlcli.system import device_probe


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Let a script stand for Python."""

    def use(script):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return use


def test_this_machine_tells_what_it_has():
    found = device_probe.found()
    assert found["cpus"] == 1
    assert found["tensorflow"].startswith("2.")
    assert 0 < found["bfloat16_time"] < 1000


def test_lines_of_gpus_are_kept(python):
    python("echo 'I0000 a.cc:1] Cannot find GPU libraries' >&2; echo other >&2; echo '{\"a\": 1}'")
    assert device_probe.probed() == {"a": 1, "chatter": ["Cannot find GPU libraries"]}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo one >&2; echo 'ImportError: no module x' >&2; exit 1", "ImportError: no module x"),
        ("kill -ILL $$", "its import is ended by signal 4"),
        ("exit 3", "its import ends with 3"),
        ("exec sleep 60", "its import takes more than 0.5 s"),
    ],
)
def test_an_import_that_fails_crashes_or_hangs_is_told(python, script, reason):
    python(script)
    assert device_probe.probed(0.5) == {"error": reason}
