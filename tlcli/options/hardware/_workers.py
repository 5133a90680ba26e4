"""Who trains together: from keys, TF_CONFIG, SLURM's variables, or those of torchrun."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tlcli.errors import ConfigError, PeerLost, TlError

REMEDY = (
    "Give hardware.workers=[host:port,…] hardware.rank=N, set TF_CONFIG, or start it with "
    "tl launch, srun or torchrun."
)


@dataclass(frozen=True)
class Place:
    """This process among all.

    Attributes:
        workers: host:port of each, by rank.
        rank: Of this process.
        local_rank: Its number on its machine, or None when it has all GPUs for itself.
    """

    workers: tuple[str, ...]
    rank: int
    local_rank: int | None = None


def find(
    workers: tuple[str, ...], rank: int | None, environment: Mapping[str, str], timeout: float
) -> Place:
    """The place that keys give, else the environment.

    Raises:
        ConfigError: Neither says who trains together, or what they say is not whole.
    """
    local = environment.get("LOCAL_RANK")
    if workers:
        if rank is None:
            raise ConfigError("hardware.rank", "no value", "Give this worker's number, from 0.")
        return _checked(Place(workers, rank, int(local) if local else None), "hardware")
    if "TF_CONFIG" in environment:
        return _checked(_from_tf_config(environment["TF_CONFIG"]), "TF_CONFIG")
    if "SLURM_PROCID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        return _checked(from_slurm(environment), "SLURM_JOB_NODELIST")
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return _checked(_from_torchrun(environment, timeout), "RANK")
    raise ConfigError("hardware", "nothing says who trains together", REMEDY)


def _checked(place: Place, where: str) -> Place:
    for worker in place.workers:
        host, _, port = worker.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError(f"{where}", f"{worker!r} is no host:port", "Write host:port.")
    if len(set(place.workers)) < len(place.workers):
        raise ConfigError(where, "names a worker twice", "Give each one its own port.")
    if not 0 <= place.rank < len(place.workers):
        raise ConfigError(
            where, f"rank {place.rank} is not among {len(place.workers)} workers",
            "Count from 0.",
        )  # fmt: skip
    return place


def _from_tf_config(text: str) -> Place:
    try:
        content = json.loads(text)
        cluster, task = content["cluster"], content["task"]
        rank = int(task["index"])
        if set(cluster) == {"chief", "worker"} and task["type"] in cluster:
            workers = (*cluster["chief"], *cluster["worker"])
            rank += len(cluster["chief"]) if task["type"] == "worker" else 0
        elif set(cluster) == {"worker"} and task["type"] == "worker":
            workers = tuple(cluster["worker"])
        else:
            raise ValueError("it has other jobs than chief and worker")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("TF_CONFIG", f"cannot be used ({error})", REMEDY) from None
    return Place(tuple(map(str, workers)), rank)


def from_slurm(environment: Mapping[str, str]) -> Place:
    """The place of a task that srun started; ports depend on the job's number."""
    hosts = expand(environment["SLURM_JOB_NODELIST"])
    text = environment.get("SLURM_TASKS_PER_NODE", "1")
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not match:
            raise ConfigError("SLURM_TASKS_PER_NODE", f"got {text!r}", REMEDY)
        counts += [int(match[1])] * int(match[2] or 1)
    if len(counts) != len(hosts):
        raise ConfigError("SLURM_JOB_NODELIST", f"{len(hosts)} nodes, {len(counts)} counts", REMEDY)
    first = 20000 + int(environment.get("SLURM_JOB_ID", "0")) % 20000
    workers = [f"{h}:{first + i}" for h, n in zip(hosts, counts, strict=True) for i in range(n)]
    local = int(environment.get("SLURM_LOCALID", "0")) if max(counts) > 1 else None
    return Place(tuple(workers), int(environment["SLURM_PROCID"]), local)


def expand(text: str) -> list[str]:
    """Names in SLURM's short form: `a[01-03,7],b` gives a01, a02, a03, a7 and b."""
    found: list[str] = []
    for name in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", name)
        if not match:
            found.append(name)
            continue
        for part in match[2].split(","):
            low, _, high = part.partition("-")
            span = range(int(low), int(high or low) + 1)
            found += [f"{match[1]}{n:0{len(low)}d}{rest}" for n in span
                      for rest in (expand(match[3]) if match[3] else [""])]  # fmt: skip
    return found


def _from_torchrun(environment: Mapping[str, str], timeout: float) -> Place:
    """The place of a process of torchrun: rank 0 hears of the others and tells all of them.

    MASTER_PORT itself belongs to torchrun, so the meeting is at the next one.
    """
    rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    meeting = environment["MASTER_ADDR"], int(environment["MASTER_PORT"]) + 1
    local = int(environment.get("LOCAL_RANK", "0"))
    alone = int(environment.get("LOCAL_WORLD_SIZE", "1")) == 1
    end = time.monotonic() + timeout
    try:
        workers = _host(meeting, size, end, {}) if rank == 0 else _visit(meeting, rank, end)
    except (OSError, ValueError) as error:
        raise TlError(
            f"hardware: the workers did not meet at {meeting[0]}:{meeting[1]} within {timeout:.0f} "
            f"s ({error})."
        ) from None
    return Place(tuple(workers), rank, None if alone else local)


def meet(place: Place, timeout: float) -> None:
    """Wait at the chief's address until all workers are there.

    TensorFlow waits for them too, but for ever, and holds Python's lock meanwhile.

    Raises:
        PeerLost: One did not come in time.
    """
    host, _, port = place.workers[0].rpartition(":")
    end = time.monotonic() + timeout
    found: dict[int, str] = {}
    try:
        if place.rank == 0:
            _host((host, int(port)), len(place.workers), end, found)
        else:
            _visit((host, int(port)), place.rank, end)
    except (OSError, ValueError):
        missing = [w for i, w in enumerate(place.workers) if i not in (found or {0, place.rank})]
        who = ", ".join(missing) if place.rank == 0 else f"the chief at {place.workers[0]}"
        raise PeerLost(
            f"hardware: {who} did not start within {timeout:.0f} s (hardware.timeout), or another "
            "was missing. Start all workers again."
        ) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _host(meeting: tuple[str, int], size: int, end: float, found: dict[int, str]) -> list[str]:
    """host:port of all by rank, told to each; `found` fills as they come."""
    found[0] = f"{meeting[0]}:{_free_port()}"
    guests: dict[int, socket.socket] = {}
    with socket.create_server(("", meeting[1])) as server, _closing([]) as opened:
        while len(found) < size:
            server.settimeout(max(0.01, end - time.monotonic()))
            guest, address = server.accept()
            opened.append(guest)
            guest.settimeout(5.0)
            # What stands in between may break a connection; then its guest comes again.
            with contextlib.suppress(OSError, ValueError):
                rank, port = json.loads(guest.makefile("rb").readline(200))
                found[int(rank)] = f"{address[0]}:{int(port)}"
                guests[int(rank)] = guest
        workers = [found[rank] for rank in sorted(found)]
        for guest in guests.values():
            guest.sendall(json.dumps(workers).encode() + b"\n")
    return workers


class _closing(list[socket.socket]):  # noqa: N801
    """Sockets that are closed at the end of a with block."""

    def __enter__(self) -> "_closing":
        return self

    def __exit__(self, *reason: object) -> None:
        for one in self:
            one.close()


def _visit(meeting: tuple[str, int], rank: int, end: float) -> list[str]:
    """host:port of all by rank, as the chief tells them.

    What stands in between may take a connection before the chief listens, and break it then.
    """
    while True:
        try:
            with socket.create_connection(meeting, timeout=5.0) as host:
                host.sendall(json.dumps([rank, _free_port()]).encode() + b"\n")
                host.settimeout(max(0.01, end - time.monotonic()))
                return [str(w) for w in json.loads(host.makefile("rb").readline(1 << 20))]
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
