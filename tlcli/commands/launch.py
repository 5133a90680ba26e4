"""`tl launch`: several workers of this machine that train one model, watched and started again."""

import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from tlcli.config import compose
from tlcli.config.checking import Checked, check_request
from tlcli.config.settings import Launch
from tlcli.runs import claim
from tlcli.system.supervisor import Supervisor, say


def run(checked: Checked[Launch, None]) -> int:
    """Start the workers and stay with them; returns the exit code of the training.

    Raises:
        ConfigError: A mistake in the words of the training.
        PeerLost: Workers were lost more often than they may be started again.
        TlError: One failed, so the others were ended.
    """
    given = checked.settings
    words = given.command
    check_request(compose.read("train", [*words[1:], "hardware=multi_worker"]))
    typed = {word.partition("=")[0] for word in words}
    if not typed & {"run_dir", "resume"}:
        # A training that goes on must find its folder again.
        name = next((w.partition("=")[2] for w in words if w.startswith("name=")), "train")
        base = Path("runs") / name
        planned = "plan_only=true" in words
        path = claim.free_name(base) if planned else claim.new_folder(base)
        words = (*words, f"run_dir={path}")
    say(f"{given.count} workers: tl {shlex.join(words)}")
    return Supervisor(lambda: commands(words, given.count), given.restarts, given.grace).run()


def commands(words: Sequence[str], count: int) -> list[list[str]]:
    """The command line of each worker, on ports that are free now."""
    workers = ",".join(f"127.0.0.1:{port}" for port in free_ports(count))
    start = [sys.executable, "-m", "tlcli.cli", *words, "hardware=multi_worker"]
    return [[*start, f"hardware.workers=[{workers}]", f"hardware.rank={n}"] for n in range(count)]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens at."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return found
