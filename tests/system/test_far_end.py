"""The end at a host, spoken to as the other side does."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.helpers.runs import environment
from tlcli.system import far_end

PYTHON = [sys.executable, "-S", "-c"]


@pytest.fixture
def end():
    """A process of it, and its greeting."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tlcli.system.far_end"], env={**environment(), "LOCAL_RANK": "7"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.greeting = json.loads(process.stdout.readline())
    yield process
    process.kill()
    process.communicate()


def tell(process, **order):
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def test_it_says_where_to_listen_runs_what_it_is_told_and_ends_as_that_did(end):
    assert 0 < end.greeting["port"] < 65536
    program = "import os, sys; print(os.environ.get('LOCAL_RANK'), os.environ['A']); sys.exit(42)"
    tell(end)
    tell(end, command=[*PYTHON, program], environment={"A": "it's"})
    assert end.stdout.readline() == "None it's\n"
    assert end.wait(timeout=20) == 42


def test_a_signal_is_handed_on(end):
    program = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(76))
print("ready", flush=True)
time.sleep(60)
"""
    tell(end, command=[*PYTHON, program], environment={})
    assert end.stdout.readline() == "ready\n"
    tell(end, signal=int(signal.SIGUSR1))
    assert end.wait(timeout=20) == 76


def test_a_signal_before_the_command_ends_it(end):
    tell(end, signal=int(signal.SIGTERM))
    assert end.wait(timeout=20) == 128 + signal.SIGTERM


@pytest.mark.parametrize("cut", ["end of input", "hangup"])
def test_without_another_side_the_worker_is_stopped(end, cut, tmp_path):
    program = f"""
import os, signal, sys, time

def stop(*_):
    print("nobody hears that " * 10000)
    open({str(tmp_path / "stopped")!r}, "w").close()
    sys.exit(76)

signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
    tell(end, command=[*PYTHON, program], environment={})
    assert end.stdout.readline() == "ready\n"
    end.stdout.close()
    end.stderr.close()
    if cut == "hangup":
        end.send_signal(signal.SIGHUP)
    else:
        end.stdin.close()
    assert end.wait(timeout=20) == 76
    assert (tmp_path / "stopped").exists()
    end.stdin, end.stdout, end.stderr = None, None, None


def test_silence_is_the_end_of_a_connection(monkeypatch):
    monkeypatch.setattr(far_end, "SILENCE", 0.2)
    ours, theirs = os.pipe()
    try:
        orders = far_end.Orders(ours)
        os.write(theirs, b"{}\n")
        assert orders.first() == {}
        assert orders.is_cut
    finally:
        os.close(ours)
        os.close(theirs)
