"""`tl` on a terminal: a training, a report and a mistake, as processes on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.helpers.marks import LONG

ROOT = Path(__file__).parents[2]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WORDS = ("train", "data.images_per_class=8", "epochs=2", "batch_size=10", "run_dir=run")


@pytest.fixture
def on_terminal(tmp_path):
    """Run tl with standard error on a terminal of a width; gives code, what it got, and stdout."""

    def run(*words, width=80, **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        hidden = ("NO_COLOR", "COLUMNS", "FORCE_COLOR")
        values = {k: v for k, v in os.environ.items() if k not in hidden}
        values |= {"TERM": "xterm-256color", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        values |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", **environment}
        process = subprocess.Popen(
            [sys.executable, "-m", "tlcli.cli", *words], cwd=tmp_path, env=values,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
        os.close(ours)
        out, _ = process.communicate()
        return process.returncode, b"".join(parts), out

    return run


def lines(sent, encoding="utf-8"):
    """What stood in a line at some time: bars are drawn over each other."""
    return re.split(r"[\r\n]+", ESCAPES.sub("", sent.decode(encoding)))


@pytest.mark.parametrize(
    ("width", "environment"),
    [
        (60, {}),
        pytest.param(40, {"NO_COLOR": "1"}, marks=pytest.mark.slow),
        pytest.param(120, {"TERM": "dumb"}, marks=LONG),
        pytest.param(80, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, marks=LONG),
        pytest.param(80, {"PYTHONIOENCODING": "cp437"}, marks=LONG),
    ],
)
def test_a_training_fits_its_terminal_and_its_log_is_plain(
    on_terminal, tmp_path, width, environment
):
    code, sent, out = on_terminal(*WORDS, width=width, **environment)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    shown = lines(sent, encoding)
    assert (code, out) == (0, b"")
    assert max(map(len, shown)) <= width
    assert any(line.startswith("data       UCI optical") for line in shown)
    plan = shown[: next(i for i, line in enumerate(shown) if "accur." in line)]
    assert len([line for line in plan if line and not line.startswith("starting")]) <= 20
    assert any(line.split()[:1] == ["test"] for line in shown)
    assert b"\\u" not in sent
    colours = re.findall(rb"\x1b\[(?:\d+;)*3[0-7]m", sent)
    assert bool(colours) == ("NO_COLOR" not in environment and environment.get("TERM") != "dumb")
    assert b"\x1b[?25l" not in sent
    log = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    assert "\x1b" not in log
    assert "\r" not in log
    assert "layers loaded" in log
    assert max(map(len, log.splitlines())) > width or width == 120


def test_a_mistake_wraps_at_words_and_exits_as_ever(on_terminal):
    code, sent, _ = on_terminal("train", "data=folder", "data.path=/nowhere/at/all", width=50)
    assert code == 2
    found = [line for line in lines(sent) if line and not line.startswith("starting")]
    assert len(found) > 1
    assert max(map(len, found)) <= 50
    assert " ".join(found) == (
        "tl train: data.path: /nowhere/at/all: there is no such folder. Give a folder of class "
        "folders."
    )


def test_what_a_program_reads_is_not_touched_by_a_terminal_beside_it(on_terminal):
    code, sent, out = on_terminal("doctor", "format=json")
    assert code == 0
    assert out.startswith(b"{\n")
    assert b"\x1b" not in out
    assert all(line.startswith("asking TensorFlow") for line in lines(sent) if line)
