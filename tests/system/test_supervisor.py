"""Workers under supervision: small programs that stand for trainings."""

import os
import sys
import time

import pytest

from tlcli.errors import PeerLost, TlError
from tlcli.system.supervisor import Elastic, Independent, Supervisor
from tlcli.system.workers import local, results, written

WAIT = "import time; time.sleep(60)"

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def supervised(*programs, restarts=0, grace=20.0):
    """A supervisor of programs, and the list of its starts."""
    starts = []

    def start(places, _):
        starts.append(time.monotonic())
        return local([[sys.executable, "-S", "-c", programs[p]] for p in places], written, places)

    return Supervisor(start, len(programs), restarts, grace), starts


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


def test_no_worker_outlives_an_error_of_the_supervisor(tmp_path):
    mark = tmp_path / "pid"
    note = f"import os; open({str(mark)!r}, 'w').write(str(os.getpid())); {WAIT}"

    def start(*_):
        return local([[sys.executable, "-S", "-c", note], [str(tmp_path / "missing")]], written)

    with pytest.raises(OSError, match="missing"):
        Supervisor(start, 2, 0, 1.0).run()
    if mark.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)


def alone(*programs, restarts=1, grace=5.0):
    """A supervisor of programs that need no other."""
    lines = [[sys.executable, "-S", "-c", program] for program in programs]

    def start(places, _):
        return local([lines[place] for place in places], results, places)

    return Independent(start, len(lines), restarts, grace)


def test_a_lost_worker_starts_again_alone_and_results_have_no_number(tmp_path, capfdbinary):
    mark, starts = tmp_path / "second", tmp_path / "starts"
    other = f"open({str(starts)!r}, 'a').write('.'); print('row'); import time; time.sleep(1)"
    once = f"""
import os, signal
if not os.path.exists({str(mark)!r}):
    open({str(mark)!r}, 'w').close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert alone(other, once).run() == 0
    told = capfdbinary.readouterr()
    assert (told.out, starts.read_text()) == (b"row\n", ".")
    assert b"worker 1 ended (SIGKILL); starting it again, 1 of such left" in told.err


def test_one_that_is_lost_as_the_last_of_all_starts_again_too(tmp_path, capfdbinary):
    mark = tmp_path / "second"
    once = f"""
import os
if os.path.exists({str(mark)!r}):
    print('its row')
else:
    open({str(mark)!r}, 'w').close()
    os.kill(os.getpid(), 9)
"""
    lines = [[sys.executable, "-S", "-c", program] for program in ("print('row')", once)]

    def start(places, _):
        workers = local([lines[place] for place in places], results, places)
        while any(worker.poll() is None for worker in workers):
            time.sleep(0.01)
        return workers

    assert Independent(start, 2, 1, 5.0).run() == 0
    assert capfdbinary.readouterr().out == b"row\nits row\n"


def test_the_loss_of_the_chief_and_mistakes_end_all_and_the_chief_has_the_last_word():
    lost = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(PeerLost, match=r"worker 0 ended \(SIGKILL\), and may not be started again"):
        alone(lost, WAIT, restarts=1).run()
    with pytest.raises(TlError, match="worker 1 failed with exit code 2") as error:
        alone(WAIT, "import sys; sys.exit(2)").run()
    assert error.value.exit_code == 2
    began = time.monotonic()
    assert alone("import sys; sys.exit(1)", WAIT).run() == 1
    assert time.monotonic() - began < 20


def test_others_go_on_without_a_worker_that_is_lost_too_often(tmp_path, capfdbinary):
    starts = tmp_path / "starts"
    lost = f"import os; open({str(starts)!r}, 'a').write('.'); os.kill(os.getpid(), 9)"
    chief = f"""
import time
while not open({str(starts)!r}, 'a+').tell() == 3:
    time.sleep(0.01)
time.sleep(0.3)
"""
    assert alone(chief, lost, "pass", restarts=2).run() == 0
    assert b"may not be started again; the others do its parts" in capfdbinary.readouterr().err
    assert starts.read_text() == "..."


STATE = """
import os, signal, sys, time
rank, count = int(os.environ["LOCAL_RANK"]), int(sys.argv[1])
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(76))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
open({starts!r}, "a").write(f"{{count}}.{{rank}} ")

def until(number):
    while open({starts!r}).read().count(" ") < number:
        time.sleep(0.01)

{body}
"""


@pytest.mark.parametrize(("least", "returns"), [(1, 1), (1, 0), (3, 1)])
def test_after_a_loss_fewer_go_on_and_the_lost_return_at_the_next_save(
    tmp_path, capfdbinary, least, returns
):
    starts, saved, lost = (tmp_path / name for name in ("starts", "saved", "lost"))
    body = f"""
until(3)
if count == 3 and rank == 1 and not os.path.exists({str(lost)!r}):
    open({str(lost)!r}, 'w').close()
    os.kill(os.getpid(), signal.SIGKILL)
if count == 2:
    until(5)
    open({str(saved)!r}, 'w').close()
    time.sleep({60 if returns else 0})
if count == 3 and not os.path.exists({str(lost)!r}):
    time.sleep(60)
"""
    program = STATE.format(starts=str(starts), body=body)

    def start(places, _):
        line = [sys.executable, "-S", "-c", program, str(len(places))]
        return local([line] * len(places), written, places)

    supervisor = Elastic(start, 3, least, returns, saved.exists, lambda _: True, 1, 20.0)
    assert supervisor.run() == 0
    counts = [word[0] for word in starts.read_text().split()]
    expected = ["3"] * 3 + (["2"] * 2 if least == 1 else [])
    assert counts == expected + (["3"] * 3 if returns or least == 3 else [])
    told = capfdbinary.readouterr().err
    assert (b"a state is saved; starting all 3 workers" in told) == (least == 1 and returns == 1)
