"""Workers under supervision; most are small programs that stand for trainings."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tlcli.commands import launch
from tlcli.errors import PeerLost, TlError
from tlcli.system.supervisor import Supervisor

WAIT = "import time; time.sleep(60)"
OBEY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(76))
print('ready', flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def supervised(*programs, restarts=0, grace=20.0):
    """A supervisor of programs, and the list of its starts."""
    starts = []

    def commands():
        starts.append(time.monotonic())
        return [[sys.executable, "-S", "-c", program] for program in programs]

    return Supervisor(commands, restarts, grace), starts


def test_workers_that_end_well_give_zero_and_their_lines_carry_their_number(capfdbinary):
    loud = "import os, sys; print('rank', os.environ['LOCAL_RANK']); print('no', file=sys.stderr)"
    assert supervised(loud, loud)[0].run() == 0
    told = capfdbinary.readouterr()
    assert sorted(told.out.splitlines()) == [b"[0] rank 0", b"[1] rank 1"]
    assert sorted(told.err.splitlines()) == [b"[0] no", b"[1] no"]


def test_a_lost_worker_ends_the_others_and_all_start_again(tmp_path):
    mark = tmp_path / "second"
    once = f"""
import os, signal
if not os.path.exists({str(mark)!r}):
    open({str(mark)!r}, 'w').close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    again = f"import os, time; time.sleep(0 if os.path.exists({str(mark)!r}) else 60)"
    supervisor, starts = supervised(once, again, restarts=1)
    began = time.monotonic()
    assert supervisor.run() == 0
    assert len(starts) == 2
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("code", [75, -9])
def test_losses_beyond_the_limit_are_told(code):
    end = "os.kill(os.getpid(), 9)" if code < 0 else f"sys.exit({code})"
    supervisor, starts = supervised(f"import os, sys; {end}", WAIT, restarts=1)
    with pytest.raises(PeerLost, match="Start them again with the same run_dir") as error:
        supervisor.run()
    assert ("SIGKILL" if code < 0 else "exit code 75") in str(error.value)
    assert error.value.exit_code == 75
    assert len(starts) == 2


def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace():
    supervisor, _ = supervised("import sys, time; time.sleep(1); sys.exit(75)", DEAF, grace=0.5)
    began = time.monotonic()
    with pytest.raises(PeerLost, match="1 \\(SIGKILL\\)"):
        supervisor.run()
    assert time.monotonic() - began < 20


def test_a_mistake_is_not_tried_again():
    supervisor, starts = supervised("import sys; sys.exit(2)", WAIT, restarts=5)
    with pytest.raises(TlError, match="worker 0 failed with exit code 2") as error:
        supervisor.run()
    assert error.value.exit_code == 2
    assert len(starts) == 1


CODE = """
import sys
from tlcli.system.supervisor import Supervisor
programs = sys.argv[1:]
sys.exit(Supervisor(lambda: [[sys.executable, '-S', '-c', p] for p in programs], 3, 1.0).run())
"""


@pytest.mark.parametrize(("second", "code"), [(OBEY, 76), (DEAF, 75)], ids=["obeys", "deaf"])
def test_a_signal_reaches_the_workers_and_nothing_starts_again(second, code):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, OBEY, second], stdout=subprocess.PIPE, text=True
    )
    for _ in range(2 if second is OBEY else 1):
        assert process.stdout.readline().endswith("ready\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == code
    process.stdout.close()


def test_no_worker_outlives_an_error_of_the_supervisor(tmp_path):
    mark = tmp_path / "pid"
    note = f"import os; open({str(mark)!r}, 'w').write(str(os.getpid())); {WAIT}"

    def commands():
        return [[sys.executable, "-S", "-c", note], [str(tmp_path / "missing")]]

    with pytest.raises(OSError, match="missing"):
        Supervisor(commands, 0, 1.0).run()
    if mark.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


def test_each_worker_gets_its_rank_and_all_the_same_ports():
    found = launch.commands(["train", "epochs=3"], 3)
    workers = {next(w for w in line if w.startswith("hardware.workers=")) for line in found}
    assert len(workers) == 1
    assert len(set(workers.pop().split("=")[1].strip("[]").split(","))) == 3
    assert [line[-1] for line in found] == [f"hardware.rank={n}" for n in range(3)]
    assert all(line[3:6] == ["train", "epochs=3", "hardware=multi_worker"] for line in found)


@pytest.mark.slow
def test_two_workers_train_one_run_after_one_was_killed(tmp_path, start_tl):
    words = ["launch", "2", "grace=20", "--", "train", "run_dir=run", "data.images_per_class=9",
             "batch_size=10", "epochs=60", "finetune=full", "save_every=4steps",
             "hardware.timeout=60", "hardware.threads=1"]  # fmt: skip
    process = start_tl(*words)
    while not list((tmp_path / "run" / "state").glob("*.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    children = listed.stdout.split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    assert "starting all again, 3 of such left" in told
    assert "[0] going on at phase 1" in told
    assert (tmp_path / "run" / "metrics.json").is_file()
