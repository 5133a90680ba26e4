"""A linear probe as a whole process: tl train beside the Keras script that a person would write.

    python scripts/bench/probe.py --data photos --weights mobilenet_2_5_224_tf_no_top.h5 --rounds 5

The folder has train/ and test/ with a folder for each class. Arms run in turn: Keras
(image_dataset_from_directory, frozen MobileNet, fit), tl with nothing kept from earlier runs, and
tl once more with another learning rate. `training` begins when the plan is printed or fit is
called, so it has the frozen forward passes in it. Prints medians and the ratios to Keras.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = "TRAINING"


def plain(data: Path, weights: str, side: int, epochs: int) -> None:
    """The script: run as a process of its own."""
    import keras

    def pictures(part: str, **options: object) -> object:
        return keras.utils.image_dataset_from_directory(
            data / part, image_size=(side, side), batch_size=32, verbose=False, **options
        )

    split = {"validation_split": 0.15, "seed": 0}
    train = pictures("train", subset="training", **split)
    validation = pictures("train", subset="validation", **split)
    base = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg"
    )
    base.trainable = False
    inputs = keras.Input((side, side, 3))
    features = base(keras.layers.Rescaling(1 / 127.5, -1)(inputs), training=False)
    model = keras.Model(inputs, keras.layers.Dense(len(train.class_names))(features))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.005), loss, metrics=["accuracy"])
    print(MARK, flush=True)
    started = time.perf_counter()
    model.fit(train, validation_data=validation, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - started
    accuracy = model.evaluate(pictures("test", shuffle=False), verbose=0)[1]
    print(json.dumps({"training": seconds, "accuracy": accuracy}), flush=True)


def measured(command: list[str], cache: Path) -> dict[str, float]:
    """Wall and CPU seconds of a process, and the times at which it printed what matters."""
    # As an installation has it: with the bytecode that pip or a first run leaves.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env = {**kept, "XDG_CACHE_HOME": str(cache)}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    found: dict[str, float] = {}
    lines = []
    for line in process.stdout:
        lines.append(line)
        now = time.perf_counter() - started
        if line.startswith("run  "):
            found.setdefault("ready", now)
        elif re.match(r"\s+1\s+\d+\s+\d", line):
            found.setdefault("first epoch", now)
            found["last epoch"] = now
        elif line.startswith("{"):
            found |= json.loads(line)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}\n{''.join(lines)}")
    found["wall"] = time.perf_counter() - started
    found["CPU"] = usage.ru_utime + usage.ru_stime
    if "ready" in found:
        found["training"] = found["last epoch"] - found["ready"]
    return found


def ours(given: argparse.Namespace, folder: Path, name: str, *words: str) -> dict[str, float]:
    """One tl train."""
    run_dir = folder / name
    command = [
        sys.executable, "-m", "tlcli.cli", "train", "data=folder", f"data.path={given.data}",
        "backbone=mobilenet", "backbone.alpha=0.25", f"backbone.weights={given.weights}",
        "finetune=linear_probe", f"image_size={given.side}", f"epochs={given.epochs}",
        "data.validation_fraction=0.15", f"run_dir={run_dir}", *words,
    ]  # fmt: skip
    found = measured(command, folder / "cache")
    metrics = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return found | {"accuracy": metrics["test"]["accuracy"]}


def one_round(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All arms once."""
    script = [sys.executable, __file__, "--plain", "--data", given.data, "--weights",
              given.weights, "--side", str(given.side), "--epochs", str(given.epochs)]  # fmt: skip
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        return {
            "keras": measured(script, folder / "cache"),
            "tl": ours(given, folder, "first"),
            "tl again": ours(given, folder, "second", "optimizer.learning_rate=0.0005"),
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help="be the Keras arm")
    given = parser.parse_args()
    if given.plain:
        plain(Path(given.data), given.weights, given.side, given.epochs)
        return
    rounds = []
    for _ in range(given.rounds):
        rounds.append(one_round(given))
        print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
    columns = ("wall", "CPU", "training", "accuracy")
    print("| arm | " + " | ".join(columns) + " | wall | CPU | training |")
    print("| --- |" + " ---: |" * 7)
    middle = {
        arm: {key: statistics.median(r[arm][key] for r in rounds) for key in columns}
        for arm in rounds[0]
    }
    for arm, values in middle.items():
        shown = [f"{values[key]:.3f}" if key == "accuracy" else f"{values[key]:.1f} s"
                 for key in columns]  # fmt: skip
        shown += [f"{middle['keras'][key] / values[key]:.1f}x" for key in columns[:3]]
        print(f"| {arm} | " + " | ".join(shown) + " |")
    first = statistics.median(r["tl again"]["first epoch"] - r["tl again"]["ready"] for r in rounds)
    print(f"\nfrom the plan to the end of the first epoch of the second run: {first:.1f} s")


if __name__ == "__main__":
    main()
