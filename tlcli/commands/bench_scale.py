"""`tl bench scale`: a training on 1, 2, … workers, what its steps go to, and a forecast for more.

Each number of workers is a group of processes of its own, here or on hosts, that train some steps
together. Every worker keeps the batch of one, so that more workers have more images a step.
"""

import json
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tlcli.commands.launch import commands, starting
from tlcli.config import compose
from tlcli.config.checking import Checked, check_request
from tlcli.config.settings import BenchScale
from tlcli.errors import PeerLost, TlError
from tlcli.lazy import np
from tlcli.runs import output
from tlcli.system import console, files, gpu
from tlcli.system import pinned as pinning
from tlcli.system.shown import shown
from tlcli.system.supervisor import Supervisor
from tlcli.training import scaling
from tlcli.training.scaling import (
    Costs,
    Parts,
    Prediction,
    fitted_ring,
    predicted,
    waited_by_the_last,
)

WORKER = "tlcli.commands.bench_scale_worker"
MARK = "tl-bench-scale"


@dataclass
class Group:
    """Workers that trained together.

    Attributes:
        found: What each measured, by rank.
        last: What each said last to standard error.
    """

    found: dict[int, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)

    def heard(self, label: str, line: bytes, of_error: bool) -> None:
        """Take a line of a worker."""
        text = line.decode("utf-8", "replace").strip()
        if of_error:
            self.last[label] = text or self.last.get(label, "")
        elif text.startswith(f'{{"{MARK}"'):
            measured = json.loads(text)[MARK]
            self.found[measured["rank"]] = measured

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self.found)

    @property
    def batch(self) -> int:
        """Images of each in a step."""
        return int(self.found[0]["batch"])

    @property
    def parts(self) -> Parts:
        """What a step went to."""
        rows = [self.found[rank] for rank in range(self.size)]
        step = float(np.mean([row["step"] for row in rows]))
        return scaling.parts(step, [row["durations"] for row in rows])

    @property
    def rate(self) -> float:
        """Images a second of all together."""
        return self.size * self.batch / self.parts.step

    @property
    def sums(self) -> list[tuple[int, float, float]]:
        """Workers, bytes and seconds of sums over all of them."""
        probes = [self.found[rank]["probes"] for rank in range(self.size)]
        return [
            (self.size, same[0][0], waited_by_the_last([seconds for _, seconds in same]))
            for same in zip(*probes, strict=True)
        ]


def run(checked: Checked[BenchScale, None]) -> int:
    """Measure, print the tables; returns the exit code.

    Raises:
        TlError: A worker could not do it.
    """
    console.start_log(None)
    given = checked.settings
    place = output.place(given.output, given.overwrite) if given.output else None
    check_request(compose.read("train", [*given.words[1:], "hardware=multi_worker"]))
    groups = []
    sizes = sizes_of(given)
    for size in sizes:
        with console.Stage(f"training on {size}"):
            group = Group()
            code = measure(given, size, max(sizes), group)
        if code:
            return code
        groups.append(group)
    found = figures(groups, given, max(sizes))
    sys.stdout.write(table(found))
    if place is not None:
        output.write(place, files.as_json(found).encode())
    return 0


def sizes_of(given: BenchScale) -> list[int]:
    """Numbers of workers in order."""
    if given.workers is not None:
        return sorted(set(given.workers))
    most = len(given.places) or gpu.cards() or usable_cores()
    powers = [2**n for n in range(most.bit_length()) if 2**n <= most]
    return sorted({*powers, most})


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cores_of(given: BenchScale, most: int) -> int | None:
    """Cores of a worker; None for all of its host."""
    if given.cores is None and not given.places:
        return max(1, usable_cores() // most)
    return given.cores


def measure(given: BenchScale, size: int, most: int, group: Group) -> int:
    """Let so many workers train; fills the group and gives the exit code.

    Raises:
        TlError: One could not.
    """
    cores = cores_of(given, most)

    order = json.dumps({"steps": given.steps, "images": given.images})
    python = given.python or sys.executable

    def lines(places: Sequence[int], addresses: Sequence[str]) -> list[list[str]]:
        found = []
        for place, line in zip(places, commands(given.words, addresses), strict=True):
            pinned = []
            if cores is not None:
                first = cores * (given.places[:place].count(given.places[place])
                                 if given.places else place)  # fmt: skip
                pinned = [python, "-m", pinning.__name__, str(cores), str(first)]
            found.append([*pinned, python, "-m", WORKER, order, *line[4:]])
        return found

    start, _ = starting(given, lines, group.heard)
    try:
        code = Supervisor(start, size, 0, given.grace).run()
    except (PeerLost, TlError) as error:
        said = next((text for text in group.last.values() if text), "")
        if said:
            found = TlError(f"{shown(said)} (training on {size})")
            found.exit_code = error.exit_code
            raise found from error
        raise
    return code


def figures(groups: Sequence[Group], given: BenchScale, most: int) -> dict[str, Any]:
    """All that was measured, and what follows from it."""
    costs = costs_of(groups, given, most)
    base = groups[0]
    rows = []
    for group in groups:
        forecast = predicted(costs, group.size, crowd(given, group.size, most))
        rows.append({
            "workers": group.size, "images_per_second": group.rate,
            "efficiency": group.rate / group.size / (base.rate / base.size),
            "seconds": asdict(group.parts), "forecast": forecast.images_per_second,
        })  # fmt: skip
    return {
        "batch_size": base.batch, "cores": cores_of(given, most), "hosts": list(given.places),
        "measured": rows, "sums": [each for group in groups for each in group.sums],
        "costs": asdict(costs),
        "forecast": [asdict(predicted(costs, size)) for size in given.forecast],
    }  # fmt: skip


def costs_of(groups: Sequence[Group], given: BenchScale, most: int) -> Costs:
    """What the model takes from what was measured, where possible of workers that share no core."""
    base = groups[0]
    several = [group for group in groups if group.size > 1]
    free = [group for group in several if crowd(given, group.size, most) == 1] or several
    sums = [each for group in free for each in group.sums]
    latency, seconds_a_byte = fitted_ring(sums) if sums else (0.0, 0.0)
    rates = [row["input_rate"] for row in base.found.values() if row["input_rate"]]
    return Costs(
        batch=base.batch,
        computing=[step[1] for row in base.found.values() for step in row["durations"]],
        rest=max(0.0, base.parts.rest), input_rate=float(np.mean(rates)) if rates else None,
        gradient_bytes=base.found[0]["gradient_bytes"],
        sums=base.found[0]["sums"], sum_bytes=base.found[0]["sum_bytes"],
        latency=latency if given.latency is None else given.latency,
        seconds_a_byte=seconds_a_byte if given.bandwidth is None else 1 / given.bandwidth,
    )  # fmt: skip


def crowd(given: BenchScale, size: int, most: int) -> int:
    """Most workers that share a core or a GPU that the model's worker has for itself."""
    cores = cores_of(given, most)
    if given.places:
        return max(Counter(given.places[:size]).values())
    cards = gpu.cards()
    by_core = math.ceil(size * (cores or 1) / usable_cores())
    return max(1, math.ceil(size / cards) if cards else by_core)


def table(found: dict[str, Any]) -> str:
    """All of it for a person."""
    costs, cores = found["costs"], found["cores"]
    each = "" if cores is None else f", {cores} cores each" if cores > 1 else ", a core each"
    lines = [f"measured, {found['batch_size']} images a worker and step{each}"]
    lines.append(
        f"{'workers':>7}{'images/s':>10}{'efficiency':>12}{'step ms':>9}{'computing':>11}"
        f"{'input':>8}{'reduction':>11}{'stragglers':>12}{'rest':>7}{'model says':>12}"
    )
    for row in found["measured"]:
        seconds = row["seconds"]
        shares = {key: f"{100 * value / seconds['step']:.1f}%" for key, value in seconds.items()}
        lines.append(
            f"{row['workers']:>7}{row['images_per_second']:>10.1f}{row['efficiency']:>12.1%}"
            f"{1000 * seconds['step']:>9.2f}{shares['computing']:>11}{shares['input']:>8}"
            f"{shares['reduction']:>11}{shares['stragglers']:>12}{shares['rest']:>7}"
            f"{row['forecast']:>12.1f}"
        )
    return "\n".join([*lines, "", *forecast_lines(found["forecast"], costs)]) + "\n"


def forecast_lines(rows: Sequence[dict[str, Any]], costs: dict[str, Any]) -> list[str]:
    """The forecast, and what it takes for granted."""
    if not costs["latency"] and not costs["seconds_a_byte"]:
        return ["no forecast: sums take two workers, or latency= and bandwidth="]
    byte = costs["seconds_a_byte"]
    lines = [
        f"forecast for such workers on machines of their own: a sum of "
        f"{costs['gradient_bytes'] / 1e6:.2f} MB, {1e6 * costs['latency']:.0f} us a message"
        + (f", {1e-6 / byte:.0f} MB/s" if byte else "")
    ]
    lines.append(
        f"{'workers':>7}{'images/s':>10}{'efficiency':>12}{'step ms':>9}{'computing':>11}"
        f"{'input':>8}{'reduction':>11}{'stragglers':>12}"
    )
    for values in rows:
        row = Prediction(**values)
        step = row.workers * costs["batch"] / row.images_per_second
        parts = (row.computing, row.input, row.reduction, row.stragglers)
        cells = [f"{100 * part / step:.1f}%" for part in parts]
        lines.append(
            f"{row.workers:>7}{row.images_per_second:>10.1f}{row.efficiency:>12.1%}"
            f"{1000 * step:>9.2f}{cells[0]:>11}{cells[1]:>8}{cells[2]:>11}{cells[3]:>12}"
        )
    return lines
