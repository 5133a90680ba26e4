"""`tl train PATH` beside the script of Keras' guide to transfer learning, as whole processes.

    python scripts/bench/guide.py --data photos --weights mobilenet_2_5_224_tf_no_top.h5 --seeds 3

The folder has train/ and test/ with a folder for each class. The script follows the guide of
keras.io ("Transfer learning & fine-tuning"): random flips and rotations, a frozen base run in
inference mode, dropout and a dense layer with the default rate, then the base unfrozen with a low
rate; ten epochs each, as in TensorFlow's tutorial of that name. `tl` gets the path and a seed, and
chooses the rest itself; nothing is cached before. The arms run in turn. Prints test accuracy
(mean ± sd), wall and CPU seconds, and the ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def guide(data: Path, weights: str, side: int, epochs: list[int], rate: float, seed: int) -> None:
    """The guide's script: run as a process of its own."""
    import keras

    keras.utils.set_random_seed(seed)

    def pictures(part: str, **options: Any) -> Any:
        return keras.utils.image_dataset_from_directory(
            data / part, image_size=(side, side), batch_size=32, verbose=False, **options
        )

    split: dict[str, Any] = {"validation_split": 0.15, "seed": seed}
    train = pictures("train", subset="training", **split)
    validation = pictures("train", subset="validation", **split).cache().prefetch(2)
    classes = len(train.class_names)
    views = keras.Sequential(
        [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)]
    )
    train = train.map(lambda x, y: (views(x, training=True), y), num_parallel_calls=2).prefetch(2)
    base = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=weights, input_shape=(side, side, 3)
    )
    base.trainable = False
    inputs = keras.Input((side, side, 3))
    maps = base(keras.layers.Rescaling(1 / 127.5, -1)(inputs), training=False)
    features = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, keras.layers.Dense(classes)(features))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for tuned, length, phase_rate in zip((False, True), epochs, (1e-3, rate), strict=True):
        base.trainable = tuned
        model.compile(keras.optimizers.Adam(phase_rate), loss, metrics=["accuracy"])
        model.fit(train, validation_data=validation, epochs=length, verbose=0)
    accuracy = model.evaluate(pictures("test", shuffle=False), verbose=0)[1]
    print(json.dumps({"accuracy": accuracy}), flush=True)


def process(command: list[str], env: dict[str, str]) -> dict[str, float]:
    """Wall and CPU seconds of a process; its output ends as an error if it fails."""
    started = time.perf_counter()
    running = subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = "".join(running.stdout or ())
    _, status, usage = os.wait4(running.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}\n{said}")
    found = {
        "wall": time.perf_counter() - started,
        "CPU": usage.ru_utime + usage.ru_stime,
    }
    last = said.strip().rpartition("\n")[2]
    return found | (json.loads(last) if last.startswith("{") else {})


def show(rows: dict[str, list[dict[str, float]]]) -> None:
    """Print the table of both and how many times longer the guide takes."""
    print("| | test accuracy | wall s | CPU s |\n| --- | --- | ---: | ---: |")
    for name, found in rows.items():
        accuracy = [row["accuracy"] for row in found]
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
        wall, cpu = (statistics.median(row[key] for row in found) for key in ("wall", "CPU"))
        mean = statistics.mean(accuracy)
        print(f"| {name} | {mean:.3f} ± {spread:.3f} | {wall:.0f} | {cpu:.0f} |")
    for key in ("wall", "CPU"):
        ratios = [k[key] / t[key] for k, t in zip(*rows.values(), strict=True)]
        print(f"{key}: the guide takes {statistics.median(ratios):.1f} times as long")


def main() -> None:
    """Run both in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", required=True, help="of MobileNet 0.25, without its top")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=[10, 10], help="frozen, then unfrozen"
    )
    parser.add_argument("--rate", type=float, default=1e-4, help="of the unfrozen epochs")
    parser.add_argument("--words", nargs="*", default=[], help="more words for tl train")
    parser.add_argument("--guide", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.guide is not None:
        guide(given.data, given.weights, given.side, given.epochs, given.rate, given.guide)
        return
    # As an installation has it: with the bytecode that pip or a first run leaves.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    rows: dict[str, list[dict[str, float]]] = {"Keras' guide": [], "tl": []}
    for seed in range(given.seeds):
        rows["Keras' guide"].append(process([sys.executable, *sys.argv, f"--guide={seed}"], env))
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            words = [str(given.data), f"seed={seed}", f"run_dir={run}", *given.words]
            # Nothing that an earlier seed computed may help.
            lonely = {**env, "XDG_CACHE_HOME": folder}
            row = process([sys.executable, "-m", "tlcli.cli", "train", *words], lonely)
            figures = json.loads((run / "metadata.json").read_text(encoding="utf-8"))["metrics"]
            rows["tl"].append({**row, "accuracy": figures["test"]["accuracy"]})
        print({name: found[-1] for name, found in rows.items()}, file=sys.stderr, flush=True)
    show(rows)


if __name__ == "__main__":
    main()
