"""Workers over what stands for ssh: small programs that stand for trainings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.hosts import fake_ssh
from tests.helpers.runs import environment
from tlcli.errors import PeerLost, TlError
from tlcli.system import far
from tlcli.system.supervisor import Elastic, Independent, Supervisor
from tlcli.system.workers import results, written

TOLD = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('LOCAL_RANK')]))"
WAIT = "import time; time.sleep(60)"


@pytest.fixture
def reach(tmp_path):
    """A way to hosts that are processes of this machine."""
    return far.Reach(
        (str(fake_ssh(tmp_path)),), sys.executable, os.getcwd(), environment()["PYTHONPATH"], None
    )


def hosts(names, reach, program, heard=written, *words):
    """Hosts whose workers all run a program, with the addresses of all as its last word."""

    def compose(places, addresses):
        line = [sys.executable, "-S", "-c", program]
        return [[*line, *words, str(n), ",".join(addresses)] for n in range(len(places))]

    return far.Hosts(names, reach, compose, heard)


def test_workers_of_hosts_know_each_other_and_their_lines_carry_their_host(reach, capfdbinary):
    found = hosts(["me@one", "two", "two"], reach, TOLD)
    assert Supervisor(found.start, 3, 0, 20.0).run() == 0
    lines = sorted(capfdbinary.readouterr().out.decode().splitlines())
    assert [line.partition("] ")[0] for line in lines] == ["[0 one", "[1 two", "[2 two"]
    told = [json.loads(line.partition("] ")[2]) for line in lines]
    # Alone on its host a worker has all GPUs.
    assert [local for _, local in told] == [None, "0", "1"]
    assert [words[0] for words, _ in told] == ["0", "1", "2"]
    addresses = {words[1] for words, _ in told}
    assert len(addresses) == 1
    names, ports = zip(*(a.split(":") for a in addresses.pop().split(",")), strict=True)
    assert names == ("one", "two", "two")
    assert len(set(ports)) == 3


def test_ports_that_are_given_are_taken_in_turn_on_each_host(reach, capfdbinary):
    fixed = far.Reach(reach.program, reach.python, reach.folder, reach.search_path, 4000)
    found = hosts(["one", "two", "two"], fixed, TOLD)
    assert Supervisor(found.start, 3, 0, 20.0).run() == 0
    assert b"one:4000,two:4000,two:4001" in capfdbinary.readouterr().out


ODD = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=12)
NAME = ODD.filter(lambda text: text not in ("", ".", ".."))
SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "fish", "csh") if shutil.which(shell)]


@settings(max_examples=60, deadline=None)
@given(NAME, NAME, ODD, st.sampled_from(SHELLS))
def test_shells_read_the_line_for_a_host_as_it_is(name, python, search, shell):
    with tempfile.TemporaryDirectory() as base:
        folder, program = Path(base, name), Path(base, f"{python}-python")
        folder.mkdir()
        program.write_text('#!/bin/sh\nprintf "%s\\0" "$PWD" "$@"\n')
        program.chmod(0o755)
        line = far.Reach(("ssh",), str(program), str(folder), search, None).line("there")
        found = subprocess.run([shell, "-c", line[-1]], capture_output=True, check=True).stdout
        expected = [str(folder), "-c", far.START, search, ""]
        assert found.decode() == "\0".join(expected)


def test_words_folder_and_python_arrive_as_they_are(reach, tmp_path, capfdbinary):
    folder = tmp_path / 'it\'s $HOME `a` "b" \\ ü 日本 \n;&'
    folder.mkdir()
    python = folder / "py thon"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    odd = ["a b", "it's", '"$HOME"', "`id`", "\\", "*", "ü 日本 🙂", "", "\n", "$(id)", "!!", "#"]
    place = far.Reach(reach.program, str(python), str(folder), reach.search_path, None)
    program = "import json, os, sys; print(json.dumps([sys.argv[1:-2], os.getcwd()]))"
    found = hosts(["one"], place, program, results, *odd)
    assert Supervisor(found.start, 1, 0, 20.0).run() == 0
    assert json.loads(capfdbinary.readouterr().out) == [odd, str(folder)]


def test_a_host_that_cannot_be_reached_is_told_in_a_line(reach, tmp_path):
    (tmp_path / "gone-two").touch()
    found = hosts(["one", "two"], reach, WAIT)
    with pytest.raises(TlError, match=r"two cannot be reached .*No route to host") as error:
        Supervisor(found.start, 2, 3, 1.0).run()
    assert "\n" not in str(error.value)
    assert sorted((tmp_path / "asked").read_text().split()) == ["one", "two"]


def test_a_program_that_is_missing_is_told_in_a_line(reach):
    found = hosts(["one"], far.Reach(**{**vars(reach), "program": ("/no/ssh",)}), WAIT)
    with pytest.raises(TlError, match=r"^ssh: /no/ssh cannot be started \(No such file"):
        Supervisor(found.start, 1, 3, 1.0).run()


@pytest.mark.parametrize("changes", [{"folder": "/no/such"}, {"python": "/no/such"}])
def test_a_host_without_the_folder_or_python_is_told_in_a_line(reach, changes):
    found = hosts(["one"], far.Reach(**{**vars(reach), **changes}), WAIT)
    with pytest.raises(TlError, match=r"one cannot start tl \(.*no/such.*\)\. "):
        Supervisor(found.start, 1, 3, 1.0).run()


def test_a_host_with_another_tl_is_told_in_a_line(reach, tmp_path):
    other = tmp_path / "other"
    other.write_text('#!/bin/sh\necho \'{"tl-far-end": "0.0.9", "port": 1}\'; sleep 5\n')
    other.chmod(0o755)
    found = hosts(["one"], far.Reach(**{**vars(reach), "python": str(other)}), WAIT)
    with pytest.raises(TlError, match=r"tl is 0\.0\.9 there and"):
        Supervisor(found.start, 1, 3, 1.0).run()


OBEYS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(76))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(76))
open(sys.argv[1] + "/runs-" + sys.argv[-2], "w").close()
time.sleep(60)
"""
LAUNCH = """
import sys
from tests.system.test_far import OBEYS, far, hosts
from tlcli.system.supervisor import Supervisor
program, folder, search = sys.argv[1:]
reach = far.Reach((program,), sys.executable, folder, search, None)
found = hosts(["one", "two"], reach, OBEYS, far.workers.written, folder)
sys.exit(Supervisor(found.start, 2, 3, 20.0).run())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_workers_and_their_exit_codes_come_back(reach, tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, reach.program[0], str(tmp_path), reach.search_path],
        env=environment(),
    )
    while len(list(tmp_path.glob("runs-*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=60) == 76
    assert len((tmp_path / "asked").read_text().split()) == 2


def test_a_lost_connection_ends_the_worker_there_and_all_start_again(reach, tmp_path, capfdbinary):
    body = f"""
import os, signal, sys, time
here = {str(tmp_path)!r}
if os.path.exists(here + "/second"):
    sys.exit(0)

def stop(*_):
    open(here + "/stopped-" + sys.argv[1], "w").close()
    if sys.argv[1] == "1":
        os.remove(here + "/cut-two")
        open(here + "/second", "w").close()
    sys.exit(76 if sys.argv[1] == "1" else 75)

signal.signal(signal.SIGTERM, stop)
if sys.argv[1] == "1":
    open(here + "/cut-two", "w").close()
time.sleep(60)
"""
    found = hosts(["one", "two"], reach, body)
    assert Supervisor(found.start, 2, 1, 20.0).run() == 0
    assert (tmp_path / "stopped-0").exists()
    # Its end heard of the break by the end of what it reads.
    until = time.monotonic() + 20
    while not (tmp_path / "stopped-1").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert (tmp_path / "stopped-1").exists()
    told = capfdbinary.readouterr().err
    assert b"1 two (connection lost)" in told
    assert b"starting all again, 1 of such left" in told


def test_a_worker_that_is_killed_is_told_by_its_signal(reach):
    found = hosts(["one"], reach, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(PeerLost, match=r"0 one \(SIGKILL\)"):
        Supervisor(found.start, 1, 0, 1.0).run()


def test_a_worker_that_hears_nothing_is_killed(reach):
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"
    program = f"import sys\nif sys.argv[1] == '0': sys.exit(75)\n{deaf}"
    found = hosts(["one", "two"], reach, program)
    began = time.monotonic()
    with pytest.raises(PeerLost, match=r"1 two \(SIG(KILL|TERM)\)"):
        Supervisor(found.start, 2, 0, 0.5).run()
    assert time.monotonic() - began < 30


def test_a_host_that_is_gone_is_done_without_until_it_is_back(reach, tmp_path, capfdbinary):
    body = f"""
import os, signal, sys, time
here, count = {str(tmp_path)!r}, len(sys.argv[2].split(","))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(76))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))

def put(name):
    open(here + "/" + name, "w").close()

def is_there(name):
    return os.path.exists(here + "/" + name)

if is_there("back"):
    put(f"again-{{count}}-{{sys.argv[1]}}")
    sys.exit(0)
if count == 2 and sys.argv[1] == "1":
    put("gone-two")
    put("cut-two")
if count == 1:
    os.remove(here + "/cut-two")
    put("saved-1")
    while open(here + "/asked").read().split().count("two") < 2:
        time.sleep(0.02)
    put("back")
    os.remove(here + "/gone-two")
    put("saved-2")
time.sleep(60)
"""
    found = hosts(["one", "two"], reach, body)

    def saved():
        return sorted(tmp_path.glob("saved-*"))

    job = Elastic(found.start, 2, 1, 1, saved, found.answer, 1, 20.0)
    assert job.run() == 0
    assert len(list(tmp_path.glob("again-2-*"))) == 2
    told = capfdbinary.readouterr().err
    assert b"1 two (connection lost); going on with 1" in told or b"going on with 1, 1" in told
    assert b"cannot be reached yet" in told
    assert b"starting all 2 workers from it" in told


def test_a_worker_that_waits_for_no_other_starts_again_alone(reach, tmp_path, capfdbinary):
    program = f"""
import os, sys, time
mark, number = {str(tmp_path / "second")!r}, sys.argv[1]
if number == "1" and not os.path.exists(mark):
    open(mark, "w").close()
    os.kill(os.getpid(), 9)
print("row", number)
"""
    lines = [[sys.executable, "-S", "-c", program, str(n)] for n in range(2)]
    found = far.Hosts(["one", "two"], reach, lambda places, _: [lines[p] for p in places], results)
    assert Independent(found.start, 2, 1, 5.0).run() == 0
    told = capfdbinary.readouterr()
    assert sorted(told.out.split(b"\n")) == [b"", b"row 0", b"row 1"]
    assert b"worker 1 two ended (SIGKILL); starting it again" in told.err
