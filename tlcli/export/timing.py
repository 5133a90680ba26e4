"""One export, or one run, timed in a process of its own: `python -m tlcli.export.timing FOLDER`.

A line of JSON on standard input asks for calls, one on standard output answers; so that several of
these processes can be asked in turn.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlcli.lazy import keras, np
from tlcli.system.chatter import silent

WARM_UPS = 3


def opened(folder: Path) -> tuple[Callable[[Any], Any], int]:
    """What answers images, and the pixels of a side that it takes.

    Args:
        folder: Of an export, or of a run, whose network then is run as `tl predict` runs it.
    """
    from tlcli.export import manifest
    from tlcli.export.contract import format_of

    if manifest.is_export(folder):
        found = manifest.read(folder)
        return format_of(found.format).engine(folder), found.facts.resize.size
    from tlcli.export import network
    from tlcli.runs import checkpoint

    run = checkpoint.read_run(folder)
    return network.engine(network.network_of(run)), run.resize.size


def by_keras(folder: Path) -> tuple[Callable[[Any], Any], int]:
    """Keras' own `Model.predict` of a run, as its documentation says it."""
    keras.config.disable_interactive_logging()
    from tlcli.runs import checkpoint

    run = checkpoint.read_run(folder)
    return run.model.predict, run.resize.size


def timed(call: Callable[[Any], Any], images: Any, calls: int, seconds: float) -> list[float]:
    """Seconds of each of some calls; fewer, but one at least, where they take longer."""
    found: list[float] = []
    while len(found) < calls and sum(found) < seconds:
        began = time.perf_counter()
        call(images)
        found.append(time.perf_counter() - began)
    return found


def peak_bytes() -> int:
    """Most memory of this process; `ru_maxrss` counts the one that started it too."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Open what is named, say how long that took, then answer until the input ends."""
    began = time.perf_counter()
    opener = by_keras if "--keras" in sys.argv else opened
    # Runtimes write of themselves where they like; the answers keep their own way out.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with silent():
        call, side = opener(Path(sys.argv[1]))
        random = np.random.default_rng(0)
        one = random.integers(0, 256, (1, side, side, 3), np.uint8)
        call(one)
    say(out, {"load_seconds": time.perf_counter() - began})
    for line in sys.stdin:
        asked = json.loads(line)
        images = np.repeat(one, asked["batch"], 0)
        timed(call, images, WARM_UPS, asked["seconds"])
        peak = peak_bytes()
        say(
            out,
            {"seconds": timed(call, images, asked["calls"], asked["seconds"]), "peak_bytes": peak},
        )


def say(out: Any, found: dict[str, Any]) -> None:
    """Write an answer."""
    out.write(json.dumps(found) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
