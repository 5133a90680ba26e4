"""`tl launch`: workers, here or on hosts, that do one command together, watched, started again."""

import shlex
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tlcli.config import compose
from tlcli.config.checking import Checked, check_request
from tlcli.config.settings import BenchScale, Launch, cache_folder
from tlcli.errors import ConfigError, PeerLost
from tlcli.runs import claim
from tlcli.runs.remote_copy import place_of
from tlcli.system import crew, far, files, workers
from tlcli.system.files import expanded
from tlcli.system.remote import is_address
from tlcli.system.shown import typed
from tlcli.system.supervisor import Elastic, Independent, Start, Supervisor
from tlcli.system.workers import Heard, Worker, say


def run(checked: Checked[Launch, None]) -> int:
    """Start the workers and stay with them; returns the exit code of the training.

    Raises:
        ConfigError: A mistake in the words of the training.
        PeerLost: Workers were lost more often than they may be started again.
        TlError: One failed, so the others were ended, or a host cannot be reached.
    """
    given = checked.settings
    if given.shares_rows:
        return together(given)
    words = given.command
    check_request(compose.read("train", [*words[1:], "hardware=multi_worker"]))
    keys = {word.partition("=")[0] for word in words}
    if not keys & {"run_dir", "resume"}:
        # A training that goes on must find its folder again.
        name = next((w.partition("=")[2] for w in words if w.startswith("name=")), "train")
        base = Path("runs") / name
        planned = "plan_only=true" in words
        path = claim.free_name(base) if planned else claim.new_folder(base)
        words = (*words, f"run_dir={path}")
    say(f"{given.count} workers: tl {shlex.join(words)}")
    start, back = starting(given, lambda _, addresses: commands(words, addresses, given.python))
    if given.elastic is None:
        return Supervisor(start, given.count, given.restarts, given.grace).run()
    return Elastic(
        start, given.count, given.elastic, given.returns,
        lambda: states(words), back, given.restarts, given.grace,
    ).run()  # fmt: skip


def starting(
    given: Launch | BenchScale, lines: far.Compose, heard: Heard = workers.written
) -> tuple[Start, Callable[[Sequence[int]], bool]]:
    """What starts workers, and whether places can have one again.

    Args:
        given: Where.
        lines: From places and host:port of each to their command lines.
        heard: Takes their lines.
    """
    if given.places:
        reach = far.reach(given.ssh, given.python, given.port)
        hosts = far.Hosts(given.places, reach, lines, heard)
        return hosts.start, hosts.answer
    return partial(start_here, lines, heard), lambda _: True


def start_here(
    lines: far.Compose, heard: Heard, places: Sequence[int], _: Callable[[], bool]
) -> list[Worker]:
    """Workers of this machine, on ports that are free now."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(places))]
    return workers.local(lines(places, addresses), heard, places)


def states(words: Sequence[str]) -> list[str]:
    """Names of the states that the run of a training has on disk."""
    pairs = [word.partition("=")[::2] for word in words]
    given = [value for key, value in pairs if key in ("run_dir", "resume")]
    cache = cache_folder(next((value for key, value in pairs if key == "cache_dir"), None))
    folders = [
        (place_of(one, cache) if is_address(one) else expanded(one, "run_dir")) / "state"
        for one in given
    ]
    return sorted(path.name for folder in folders for path in folder.glob("*.json"))


def together(given: Launch) -> int:
    """Let workers share the rows of a command; gives the chief's exit code.

    Raises:
        ConfigError: A mistake in its words.
        PeerLost: Workers were lost more often than they may be started again.
    """
    words = list(given.command)
    check_request(compose.read(words[0], [*words[1:], "hardware=multi_worker"]))
    own = not any(word.startswith("shared=") for word in words)
    if own and given.places:
        raise ConfigError("shared", "no value", "Give a folder that all hosts see: shared=FOLDER.")
    folder = cache_folder(None) / "shared" / uuid.uuid4().hex
    if own:
        files.make_folder(folder)
        words = beside(words, f"shared={folder}")
    say(f"{given.count} workers: tl {shlex.join(given.command)}")
    # They meet in the folder: how many they are is all that their addresses say.
    names = [f"{host.rpartition('@')[2]}:{n + 1}" for n, host in enumerate(
        given.places or ["127.0.0.1"] * given.count)]  # fmt: skip
    lines = commands(words, names, given.python)
    start, _ = starting(given, lambda places, _: [lines[p] for p in places], workers.results)
    try:
        code = Independent(start, given.count, given.restarts, given.grace).run()
    except PeerLost:
        if own:
            say(f"what was done is in {folder}; to go on with it, add shared={typed(folder)}")
        raise
    if own:
        crew.remove(folder)
    return code


def beside(words: Sequence[str], *more: str) -> list[str]:
    """Words of a command and more of its keys, before a `--` behind which there are none."""
    at = words.index("--") if "--" in words else len(words)
    return [*words[:at], *more, *words[at:]]


def commands(
    words: Sequence[str], addresses: Sequence[str], python: str | None = None
) -> list[list[str]]:
    """The command line of each worker.

    Args:
        words: Of the command.
        addresses: host:port of each worker.
        python: Its path; None for this one's.
    """
    start = [python or sys.executable, "-m", "tlcli.cli"]
    who = ["hardware=multi_worker", f"hardware.workers=[{','.join(addresses)}]"]
    numbers = range(len(addresses))
    return [[*start, *beside(words, *who, f"hardware.rank={n}")] for n in numbers]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens at."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return found
