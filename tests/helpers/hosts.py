"""What stands for ssh, and network namespaces that stand for hosts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import environment

MARK = "tltest-"
WAY = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
# Notes the host, and runs the command where the host is; `gone-HOST` and `cut-HOST` beside it take
# it away: no connection, or one that breaks when the file is there. A shell reads the command, as
# at the end of a real one. What it begins hears of a break by its standard input alone.
SSH = """#!{python}
import os, subprocess, sys, time
words = sys.argv[1:]
while words[0] == "-o":
    words = words[2:]
host, *command = words
name, here = host.rpartition("@")[2], {here!r}
with open(os.path.join(here, "asked"), "a") as file:
    file.write(host + "\\n")
if os.path.exists(os.path.join(here, "gone-" + name)):
    sys.stderr.write("ssh: connect to host " + name + " port 22: No route to host\\n")
    sys.exit(255)
place = {inside!r}.get(name, [])
process = subprocess.Popen([*place, "sh", "-c", " ".join(command)], stdin=subprocess.PIPE)
os.set_blocking(0, False)
while process.poll() is None:
    if os.path.exists(os.path.join(here, "cut-" + name)):
        sys.exit(255)
    try:
        found = os.read(0, 65536)
    except BlockingIOError:
        time.sleep(0.01)
        continue
    if not found:
        break
    try:
        process.stdin.write(found)
        process.stdin.flush()
    except BrokenPipeError:
        break
try:
    process.stdin.close()
except BrokenPipeError:
    pass
code = process.wait()
sys.exit(code if code >= 0 else 255)
"""


def fake_ssh(folder, inside=None):
    """Write a program that stands for ssh.

    Args:
        folder: For it and what it notes.
        inside: By host the words that run a command where it is.
    """
    path = Path(folder) / "ssh"
    path.write_text(SSH.format(python=sys.executable, here=str(folder), inside=inside or {}))
    path.chmod(0o755)
    return path


def ip(*words):
    """Run `ip`; gives whether that could be done."""
    found = shutil.which("ip", path=WAY)
    if found is None:
        pytest.skip("iproute2 is not installed")
    return subprocess.run([found, *words], capture_output=True, check=False).returncode == 0


class Hosts:
    """Namespaces with addresses, of which nothing leads anywhere else.

    Attributes:
        names: Of the namespaces, those of workers first.
        addresses: Of the workers, as they are known to each other.
    """

    letters, addresses = "ab", ("10.213.7.1", "10.213.7.2")

    def __init__(self):
        self.names = [f"{MARK}{os.getpid()}-{letter}" for letter in self.letters]
        self.started = []

    def make(self):
        """Make them; gives whether that could be done. What a killed test left goes first."""
        for path in Path("/run/netns").glob(f"{MARK}*"):
            if not Path("/proc", path.name.split("-")[1]).exists():
                ip("netns", "del", path.name)
        made = all(ip("netns", "add", name) for name in self.names)
        made = made and all(ip("-n", name, "link", "set", "lo", "up") for name in self.names)
        return made and self.join()

    def join(self):
        """Join them by a cable."""
        made = self.cable(*self.names, "cable", "cable")
        for name, address in zip(self.names, self.addresses, strict=True):
            made = made and ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
        return made and self.plug("up")

    def cable(self, one, other, end, other_end):
        """Put a cable between two of them."""
        return ip("-n", one, "link", "add", end, "type", "veth", "peer", "name", other_end,
                  "netns", other)  # fmt: skip

    def plug(self, state):
        """Put the cable in, "up", or pull it out, "down"."""
        states = [ip("-n", name, "link", "set", "cable", state) for name in self.names]
        return all(states)

    def inside(self, name):
        """Words that run a command there."""
        return ["ip", "netns", "exec", name]

    def start(self, folder, port, *words):
        """A worker in each, by its own address."""
        workers = ",".join(f"{address}:{port}" for address in self.addresses)
        return [
            self.run(
                name, folder, sys.executable, "-m", "tlcli.cli", "train",
                "run_dir=run", "backbone=tiny", "report=false", "hardware=multi_worker",
                f"hardware.workers=[{workers}]", f"hardware.rank={rank}", "hardware.threads=1",
                *words,
            )
            for rank, name in enumerate(self.names[: len(self.addresses)])
        ]  # fmt: skip

    def run(self, name, folder, *words):
        """A process in one of them."""
        process = subprocess.Popen(
            [*self.inside(name), *words], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**environment(), "PATH": WAY},
        )  # fmt: skip
        self.started.append(process)
        return process

    def remove(self):
        """Leave nothing behind."""
        for process in self.started:
            process.kill()
            process.communicate()
        for name in self.names:
            ip("netns", "del", name)


class RelayedHosts(Hosts):
    """Two hosts whose ways to each other lead through a third, where a relay has their addresses.

    Each has its address for itself, where nobody asks for it, and another on its cable.
    """

    letters, addresses = "abr", ("10.213.7.1", "10.213.8.1")
    relay: subprocess.Popen

    def join(self):
        """Two cables to the one in the middle, which hands on nothing by itself."""
        *hosts, middle = self.names
        made = True
        for number, name in enumerate(hosts):
            own, other = self.addresses[number], self.addresses[1 - number]
            made = made and self.cable(name, middle, "cable", f"to{number}")
            for words in (
                ("-n", name, "addr", "add", f"10.213.{number}.2/24", "dev", "cable"),
                ("-n", name, "addr", "add", f"{own}/32", "dev", "lo"),
                ("-n", name, "link", "set", "cable", "up"),
                ("-n", middle, "addr", "add", f"10.213.{number}.1/24", "dev", f"to{number}"),
                ("-n", middle, "addr", "add", f"{own}/32", "dev", "lo"),
                ("-n", middle, "link", "set", f"to{number}", "up"),
                ("-n", name, "route", "add", f"{other}/32", "via", f"10.213.{number}.1",
                 "src", f"10.213.{number}.2"),
            ):  # fmt: skip
                made = made and ip(*words)
        return made

    def start_relay(self, folder, delay, stall, ports):
        """Let the one in the middle hand on what is sent to some ports of the addresses."""
        pairs = [
            f"{address}:{port}=10.213.{number}.2:{port}"
            for number, address in enumerate(self.addresses)
            for port in ports
        ]
        program = str(Path(__file__).with_name("relay.py"))
        words = (sys.executable, program, str(delay), str(stall), *pairs)
        self.relay = self.run(self.names[-1], folder, *words)
        assert self.relay.stdout.readline() == "listening\n"
