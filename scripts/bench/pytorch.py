"""tl beside PyTorch: a frozen forward pass and a training step of the same network.

    pip install torch; python scripts/bench/pytorch.py mobilenet resnet50 --rounds 5

Both sides hold the pictures in memory as uint8, and cast and scale them themselves; tl runs what
`tl train` and `tl predict` run. PyTorch lives in a process of its own (`pytorch_networks.py`) that
waits while tl works, and the other way round. Rounds alternate; shown are medians an image, in
milliseconds, and how many times tl's PyTorch takes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np

from tlcli.commands import bench, bench_arms
from tlcli.commands.bench_arms import forward_arms, step_arms
from tlcli.config import compose
from tlcli.config.checking import check_request

# Pictures a batch, and batches a round.
CASES = {"mobilenet": (16, 8), "resnet50": (16, 2)}
PARTS = {"forward": forward_arms, "step": step_arms}


class Torch:
    """The other process."""

    def __init__(self, case: str, alpha: float, side: int, batch: int, classes: int) -> None:
        script = Path(__file__).with_name("pytorch_networks.py")
        words = [case, str(alpha), str(side), str(batch), str(classes)]
        self.process = subprocess.Popen(
            [sys.executable, str(script), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told = json.loads(self.process.stdout.readline())

    def round(self, part: str, batches: int) -> bench.Cost:
        """What some batches cost there."""
        self.process.stdin.write(f"{part} {batches}\n")
        self.process.stdin.flush()
        return bench.Cost(release=0.0, **json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait()


def compared(case: str, given: argparse.Namespace, folder: Path) -> None:
    """Measure and print one network."""
    batch, batches = CASES[case]
    pictures = np.random.default_rng(0).integers(
        0, 256, (2 * batch * batches, given.side, given.side, 3)
    )
    labels = np.arange(len(pictures)) % 2
    for part in ("train", "test"):
        np.save(folder / f"{part}_data.npy", pictures.astype(np.uint8))
        np.save(folder / f"{part}_labels.npy", labels)
    words = ["data=npy", f"data.path={folder}", f"backbone={case}", "backbone.weights=none",
             f"image_size={given.side}", f"batch_size={batch}", "teacher=none"]  # fmt: skip
    if case == "mobilenet":
        words.append(f"backbone.alpha={given.alpha}")
    run = bench.prepare(check_request(compose.read("train", words)).job, batch * batches)
    bench_arms.BATCH = batch
    other = Torch(case, given.alpha, given.side, batch, 2)
    try:
        for part, arms in PARTS.items():
            ours = arms(run)["tl"]
            one = {"tl": lambda work=ours: bench.measured(work),
                   "torch": lambda name=part: other.round(name, batches)}  # fmt: skip
            for measure in [*one.values()] * bench.WARM_UPS:
                measure()
            found: dict[str, list[bench.Cost]] = {name: [] for name in one}
            for index in range(given.rounds):
                for name in list(one)[:: -1 if index % 2 else 1]:
                    found[name].append(one[name]())
            middle = {
                name: [1000 * statistics.median(getattr(c, key) for c in costs) / (batch * batches)
                       for key in ("cpu", "wall")]
                for name, costs in found.items()
            }  # fmt: skip
            shown = [f"{value:.2f}" for value in middle["tl"] + middle["torch"]]
            shown += [f"{b / a:.2f}x" for a, b in zip(*middle.values(), strict=True)]
            print(f"| {case} {part} | " + " | ".join(shown) + " |", flush=True)
    finally:
        other.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--alpha", type=float, default=0.25)
    given = parser.parse_args()
    print("| network | tl CPU | tl wall | torch CPU | torch wall | CPU | wall |")
    print("| --- |" + " ---: |" * 6)
    for case in given.cases:
        with tempfile.TemporaryDirectory() as folder:
            compared(case, given, Path(folder))


if __name__ == "__main__":
    main()
