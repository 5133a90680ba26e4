"""What TensorFlow sees and how fast it multiplies, asked of a process of its own.

    python -m tlcli.system.device_probe

Prints JSON. Another process, because an import that crashes or hangs must be told, not shared.
"""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from tlcli.lazy import keras, tf

SECONDS = 180
ROUNDS = 5


def probed(seconds: float = SECONDS) -> dict[str, Any]:
    """What the process found, or why it found nothing.

    Returns:
        `error` where TensorFlow cannot be used, half a sentence; else what `found` gives, and
        `chatter`: lines that TensorFlow wrote of its devices.
    """
    command = [sys.executable, "-m", "tlcli.system.device_probe"]
    try:
        done = subprocess.run(  # noqa: S603 - this program itself
            command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"its import takes more than {seconds:g} s"}
    except OSError as error:
        return {"error": f"no process can be started ({error.strerror})"}
    if done.returncode:
        return {"error": _reason(done)}
    lines = done.stderr.splitlines()
    chatter = [line.partition("] ")[2] or line for line in lines if "gpu" in line.lower()]
    return {**json.loads(done.stdout.splitlines()[-1]), "chatter": chatter}


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a process failed: its last line, or the signal that ended it."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        return f"its import is ended by signal {-done.returncode}"
    return lines[-1].strip() if lines else f"its import ends with {done.returncode}"


def found() -> dict[str, Any]:
    """Versions, seconds of the import, devices, and the time of a convolution by type."""
    started = time.monotonic()
    version = tf.version.VERSION
    seconds = time.monotonic() - started
    gpus = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        gpus.append(
            {
                "name": str(details.get("device_name", device.name)),
                "compute_capability": list(details.get("compute_capability") or ()),
            }
        )
    return {
        "tensorflow": version, "keras": keras.version(), "seconds": round(seconds, 1),
        "cuda_build": bool(tf.test.is_built_with_cuda()), "gpus": gpus,
        "cpus": len(tf.config.list_physical_devices("CPU")),
        "bfloat16_time": round(convolution("bfloat16") / convolution("float32"), 2),
    }  # fmt: skip


def convolution(kind: str) -> float:
    """Median seconds of a convolution of 8 maps of 56 x 56 x 64 by 3 x 3 in a type of numbers."""
    maps = tf.cast(tf.ones((8, 56, 56, 64)), kind)
    kernel = tf.cast(tf.ones((3, 3, 64, 64)), kind)
    # Given as arguments: what only constants decide would be computed once, and never again.
    call = tf.function(
        lambda a, b: tf.cast(tf.reduce_sum(tf.nn.conv2d(a, b, 1, "SAME")), "float32")
    )
    call(maps, kernel).numpy()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call(maps, kernel).numpy()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(found())}\n")
