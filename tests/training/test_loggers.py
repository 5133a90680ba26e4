import threading

import pytest

from tests.helpers.loggers import Deaf, begun, figures, logger
from tlcli.contracts.logger import Finished, Logger
from tlcli.system import console
from tlcli.training import loggers
from tlcli.training.loggers import Loggers


class Odd(Logger):
    label = "odd"

    def __init__(self, act=lambda points: None, opening=lambda: None):
        self.act, self.opening = act, opening

    def open(self, begun):
        self.opening()
        return Deaf(self.act)


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(console, "say", lambda text, kind=None: lines.append(text))
    return lines


def through(option, tmp_path, count=3):
    with Loggers((option,), {option.label: begun(tmp_path)}) as found:
        for step in range(1, count + 1):
            found.tell(figures(step, loss=1.0))


def fail(*_):
    raise RuntimeError("cannot reach http://me:secret@host/")


def leave(*_):
    raise SystemExit(3)


@pytest.mark.parametrize("option", [Odd(fail), Odd(opening=fail), Odd(leave)])
def test_one_that_fails_is_told_once_without_its_password(option, tmp_path, said):
    through(option, tmp_path)
    (line,) = said
    assert "odd is done without: " in line
    assert "secret" not in line


def test_one_that_fails_takes_nothing_from_the_others(tmp_path, said):
    good, bad = logger("csv"), Odd(fail)
    opened = {one.label: begun(tmp_path) for one in (good, bad)}
    with Loggers((bad, good), opened) as found:
        found.tell(figures(1, loss=1.0))
    assert (tmp_path / "log.csv").read_text().endswith("loss,1.0\n")
    assert len(said) == 1


def test_telling_never_waits_and_what_is_dropped_is_told(tmp_path, said, monkeypatch):
    monkeypatch.setattr(loggers, "MOST_WAITING", 2)
    go, heard = threading.Event(), []
    with Loggers(
        (Odd(lambda p: (go.wait(30), heard.append(p))),), {"odd": begun(tmp_path)}
    ) as all_:
        for step in range(50):
            all_.tell(figures(step, loss=1.0))
        go.set()
    assert len(heard) <= 4
    assert said == [
        f"logger     odd was too slow: {50 - len(heard)} of what it was told are not in it"
    ]


def test_one_that_hangs_is_left_behind(tmp_path, said, monkeypatch):
    monkeypatch.setattr(loggers, "PATIENCE", 0.2)
    never = threading.Event()
    through(Odd(lambda points: never.wait(60)), tmp_path)
    never.set()
    assert "left behind" in said[0]


@pytest.mark.parametrize(("whole", "ending"), [(True, "finished"), (False, "failed")])
def test_the_ending_is_told(tmp_path, whole, ending, monkeypatch):
    ends = []
    monkeypatch.setattr(Deaf, "close", lambda self, how: ends.append(how))
    with Loggers((Odd(),), {"odd": begun(tmp_path)}) as found:
        if whole:
            found.tell(Finished(1, 0.0, {}, ()))
    assert ends == [ending]
