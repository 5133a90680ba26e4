"""How long `tl` takes to answer: help, a typo, and the name of one photo; whole processes.

    python scripts/bench/start.py --photo photo.jpg --weights mobilenet_2_5_224_tf.h5

Help and typo stand beside importing Hydra and composing a trivial configuration, the prediction
beside the shortest Keras script that loads the same MobileNet and names the same photo. Processes
run in turn, with bytecode; printed are medians of wall and CPU seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HYDRA = """
import sys
from hydra import compose, initialize_config_dir
with initialize_config_dir(version_base="1.3", config_dir=sys.argv[1]):
    compose("trivial", ["key=2"])
"""
KERAS = """
import sys
import keras
model = keras.applications.MobileNet(alpha=float(sys.argv[3]), weights=sys.argv[2])
photo = keras.utils.load_img(sys.argv[1], target_size=(224, 224))
pixels = keras.applications.mobilenet.preprocess_input(keras.utils.img_to_array(photo)[None])
print(model.predict(pixels, verbose=0)[0].argmax())
"""


def measured(command: list[str], fails: bool) -> tuple[float, float]:
    """Wall and CPU seconds of a process, which must end well or badly as expected."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if bool(status) != fails:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return wall, usage.ru_utime + usage.ru_stime


def arms(given: argparse.Namespace, folder: Path) -> dict[str, tuple[list[str], bool]]:
    """Commands, and whether they are to fail."""
    (folder / "trivial.yaml").write_text("key: 1\n", encoding="utf-8")
    python, tl = [sys.executable], [sys.executable, "-m", "tlcli.cli"]
    found = {
        "hydra": ([*python, "-c", HYDRA, str(folder)], False),
        "tl --help": ([*tl, "--help"], False),
        "tl trian": ([*tl, "trian"], True),
        "tl train epoch=3": ([*tl, "train", "epoch=3"], True),
    }
    if given.photo and given.weights:
        words = [f"backbone.weights={given.weights}", f"backbone.alpha={given.alpha}"]
        predict = [*tl, "predict", given.photo, "backbone=mobilenet", *words]
        script = [*python, "-c", KERAS, given.photo, given.weights, str(given.alpha)]
        found |= {"keras": (script, False), "tl predict": (predict, False)}
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo")
    parser.add_argument("--weights", help="of MobileNet at 224 px with its head, .h5")
    parser.add_argument("--alpha", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = arms(given, Path(folder))
        for command in commands.values():
            measured(*command)
        rounds = [{name: measured(*c) for name, c in commands.items()} for _ in range(given.rounds)]
    middle = {name: [statistics.median(r[name][i] for r in rounds) for i in (0, 1)]
              for name in commands}  # fmt: skip
    print("| process | wall | CPU | wall | CPU |")
    print("| --- |" + " ---: |" * 4)
    for name, (wall, cpu) in middle.items():
        base = middle["keras" if name in ("keras", "tl predict") else "hydra"]
        shown = f"{wall / base[0]:.2f}x | {cpu / base[1]:.2f}x"
        print(f"| {name} | {wall:.2f} s | {cpu:.2f} s | {shown} |")


if __name__ == "__main__":
    main()
