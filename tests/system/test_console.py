"""What is said, on standard error and in the log of a run; stages of work."""

import logging
import os
import subprocess
import sys
import time

import pytest

from tlcli.errors import ConfigError
from tlcli.system import console
from tlcli.system.notes import EXPERT, Note, Sheet

SHEET = Sheet((Note("data", "5 classes"), Note("", "all 8x8", EXPERT), Note("run", "a")))


@pytest.fixture(autouse=True)
def _quiet():
    console.forget()
    yield
    console.start_log(None, verbose=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_costs_the_log_and_not_the_terminal(capsys):
    console.start_log("/dev/full")
    console.say("one line")
    console.stop_log()
    assert capsys.readouterr().err == "one line\n"


def test_the_log_has_everything_and_the_terminal_what_everybody_must_read(tmp_path, capsys):
    console.start_log(tmp_path / "train.log")
    console.show(SHEET)
    console.say("cache      found", EXPERT)
    assert capsys.readouterr().err == (
        "data       5 classes\nrun        a\nmore       verbose=true shows all\n"
    )
    assert (tmp_path / "train.log").read_text() == f"{SHEET.plain}\ncache      found\n"
    console.start_log(None, verbose=True)
    console.show(SHEET)
    console.say("cache      found", EXPERT)
    assert capsys.readouterr().err == f"{SHEET.plain}\ncache      found\n"


def test_the_log_begins_with_what_was_said_before_it(tmp_path, capsys):
    console.start_log(None)
    console.forget()
    console.say("auto       epochs=3: few images", EXPERT)
    console.start_log(tmp_path / "one.log")
    console.say("in it")
    console.stop_log()
    console.say("between")
    console.start_log(tmp_path / "two.log")
    console.stop_log()
    assert (tmp_path / "one.log").read_text() == "auto       epochs=3: few images\nin it\n"
    assert (tmp_path / "two.log").read_text() == "between\n"
    assert capsys.readouterr().err == "in it\nbetween\n"


def test_what_is_for_experts_stays_shown_until_another_command(capsys):
    console.start_log(None, verbose=True)
    console.start_log(None)
    console.say("a", EXPERT)
    console.start_log(None, verbose=False)
    console.say("b", EXPERT)
    assert capsys.readouterr().err == "a\n"


def test_lines_of_other_modules_are_said_too(capsys):
    console.start_log(None)
    logging.getLogger("tlcli.data.scan").warning("%s is damaged", "a\x1b[2J")
    assert capsys.readouterr().err == "a\\x1b[2J is damaged\n"


def test_a_stream_of_another_code_page_gets_signs_that_it_has():
    code = (
        "from tlcli.system import console\n"
        "console.start_log(None)\n"
        "console.say('curve      ▁█ größe …')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.stderr == b"curve      _# gr\\xf6\\xdfe ...\n"


def test_rich_is_imported_for_a_terminal_alone():
    code = (
        "import sys\nfrom tlcli.system import console\nconsole.start_log(None)\n"
        "console.say('a')\n"
        "with console.Stage('b', 3):\n    pass\n"
        "sys.exit('rich' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"a\n")


class Screen:
    """Stands where a terminal would: notes what it is asked to draw."""

    def __init__(self):
        self.asked = []

    def begin(self, what, unit, done, total, _):
        self.asked.append((what, unit, done, total))
        return 1

    def move(self, _, what, done, __):
        self.asked.append((what, done))

    def end(self, _):
        self.asked.append("end")


@pytest.fixture
def screen(monkeypatch):
    """A terminal that patience for is a twentieth of a second."""
    console.start_log(None)
    terminal = next(h for h in logging.getLogger("tlcli").handlers if hasattr(h, "screen"))
    monkeypatch.setattr(console, "PATIENCE", 0.05)
    terminal.screen = Screen()
    return terminal.screen


def wait_for(screen, count):
    end = time.monotonic() + 10
    while len(screen.asked) < count and time.monotonic() < end:
        time.sleep(0.005)


def test_a_stage_appears_after_a_while_and_moves(screen, monkeypatch):
    monkeypatch.setattr(console, "REDRAWN", 0.0)
    with console.Stage("scanning", 10, "files") as stage:
        stage.advance(3)
        wait_for(screen, 1)
        stage.advance(4)
        stage.move(9, "comparing")
    assert screen.asked == [
        ("scanning", "files", 3, 10), ("scanning", 7), ("comparing", 9), "end",
    ]  # fmt: skip


def test_a_short_stage_is_never_shown(screen):
    with console.Stage("scanning", 10, "files") as stage:
        stage.advance(10)
    time.sleep(0.1)
    assert screen.asked == []


def test_parts_are_counted_as_they_are_taken_and_a_fault_ends_the_stage(screen):
    def parts():
        yield [1, 2]
        wait_for(screen, 1)
        raise ConfigError("a", "is wrong", "Mend it.")

    taken = console.staged(parts(), "reading", 4, "rows", len)
    with pytest.raises(ConfigError):
        list(taken)
    assert [one[0] for one in screen.asked] == ["reading", "e"]


# ---- tests do not hear of each other -----------------------------------------------------------


def _command():
    console.start_log(None)


def _sweep():
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("tlcli").disabled = True


def _fuzzer():
    logging.disable(logging.CRITICAL)


@pytest.fixture(scope="module", params=[_command, _sweep, _fuzzer])
def _shared(request):
    """Something that several tests use and that a command made."""
    request.param()


@pytest.mark.usefixtures("_shared")
def test_what_is_made_for_several_tests_leaves_the_log_as_it_was(caplog):
    console.log.warning("a warning")
    logging.getLogger("tlcli.models.fold").warning("another")
    assert caplog.messages == ["a warning", "another"]
    assert logging.getLogger().level == logging.WARNING
