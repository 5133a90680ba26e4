"""Workers that share items through a folder, most of them processes."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tlcli.errors import DataError
from tlcli.system import crew as crews
from tlcli.system.crew import Crew, Work

WORKER = """
import os, sys, time
from pathlib import Path
from tlcli.system.crew import Crew, Work
place, rank = Path(sys.argv[1]), int(sys.argv[2])
order = Crew(place, rank, 3).rotated(60)

def do(name, number):
    time.sleep(0.02)
    with open(place / f"log-{rank}", "a") as log:
        log.write(f"{name}\\n")
    temporary = place / f".{name}.{rank}"
    temporary.write_text(str(number))
    os.replace(temporary, place / f"{name}.part")

names = Work(place, lambda: [(f"{n:02d}", n) for n in order], do,
             lambda name: (place / f"{name}.part").is_file(), patience=float(sys.argv[3])).finish()
assert sorted(names) == [f"{n:02d}" for n in range(60)]
"""


def workers(place, patience):
    return [subprocess.Popen([sys.executable, "-c", WORKER, str(place), str(rank), str(patience)])
            for rank in range(3)]  # fmt: skip


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("fate", [None, signal.SIGKILL, signal.SIGSTOP])
def test_items_are_done_once_and_those_of_a_lost_worker_by_the_others(tmp_path, fate):
    started = workers(tmp_path, 1.0)
    try:
        if fate is not None:
            until(lambda: (tmp_path / "log-1").exists())
            started[1].send_signal(fate)
        assert [one.wait(60) for one in (started[0], started[2])] == [0, 0]
        if fate is None:
            assert started[1].wait(60) == 0
    finally:
        for one in started:
            one.kill()
            one.wait()
    assert {p.name: p.read_text() for p in tmp_path.glob("*.part")} == {
        f"{n:02d}.part": str(n) for n in range(60)
    }
    did = [(tmp_path / f"log-{rank}").read_text().split() for rank in range(3)]
    twice = sum(map(len, did)) - len({name for one in did for name in one})
    # What the lost one was at may have been begun by it and done by another.
    assert twice <= (0 if fate is None else 1)
    assert len(did[0]) > 1
    assert len(did[2]) > 1


def plain(place, items, **other):
    """Work whose items are texts in files."""
    return Work(place, items, lambda name, text: void((place / name).write_text(text)),
                lambda name: (place / name).is_file(), **other)  # fmt: skip


def void(_):
    pass


def test_where_nothing_can_be_locked_all_is_done_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert plain(tmp_path, lambda: [("a", "1"), ("b", "2")]).finish() == ["a", "b"]
    assert (tmp_path / "b").read_text() == "2"


def test_work_that_others_ended_and_cleared_is_not_waited_for(tmp_path):
    def others():
        time.sleep(0.3)
        crews.close(tmp_path)

    with crews.held(tmp_path / "a.lock"):
        thread = threading.Thread(target=others)
        thread.start()
        plain(tmp_path, lambda: [("a", "1")], over=lambda: crews.is_closed(tmp_path)).finish()
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == [crews.DONE]


def test_an_item_that_came_and_went_is_told(tmp_path):
    passes = iter([[("a", "1"), ("gone", "2")], [("a", "1")]])
    lock = os.open(tmp_path / "gone.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def items():
        found = next(passes)
        yield from found
        os.close(lock) if len(found) == 2 else None

    with pytest.raises(DataError, match=r"came, went or changed .*Run the command again"):
        plain(tmp_path, items).finish()


def test_a_crew_knows_its_chief_and_begins_at_a_place_of_its_own(tmp_path):
    crew = Crew(tmp_path, 1, 3)
    assert (crew.is_chief, crew.is_alone, crews.ALONE.is_alone) == (False, False, True)
    assert crew.rotated(7) == [2, 3, 4, 5, 6, 0, 1]
    assert crew.place("a", "x") != crew.place("a", "y")
    inside = []
    with crew.one_by_one(), crews.held(tmp_path / "one.lock") as other:
        inside.append(other)
    assert inside == [False]
