"""Test accuracy of fine-tuning strategies on a folder of images, mean and deviation over seeds.

    python scripts/tables/transfer.py --data photos --weights mobilenet_2_5_224_tf_no_top.h5 \
        linear_probe full lp_ft -- backbone=mobilenet backbone.alpha=0.25 image_size=128 epochs=12

Words after `--` go to every `tl train`; a strategy may be `config=NAME`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def train(run_dir: Path, words: list[str]) -> float:
    """Test accuracy of one training."""
    command = [sys.executable, "-m", "tlcli.cli", "train", f"run_dir={run_dir}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    metrics = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return float(metrics["test"]["accuracy"])


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    own, _, shared = " ".join(sys.argv[1:]).partition(" -- ")
    given = parser.parse_args(own.split())
    words = ["data=folder", f"data.path={given.data}", *shared.split()]
    words.append(f"backbone.weights={given.weights}")
    print("| strategy | test accuracy, mean ± sd | seconds a run |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for strategy in given.strategies:
            chosen = strategy if "=" in strategy else f"finetune={strategy}"
            started, figures = time.monotonic(), []
            for seed in range(given.seeds):
                run_dir = Path(folder) / f"{strategy.replace('=', '-')}-{seed}"
                figures.append(train(run_dir, [*words, chosen, f"seed={seed}"]))
            spread = statistics.stdev(figures) if len(figures) > 1 else 0.0
            seconds = (time.monotonic() - started) / given.seeds
            mean = statistics.mean(figures)
            print(f"| {strategy} | {mean:.3f} ± {spread:.3f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
