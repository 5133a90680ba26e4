"""What besides configuration and data decides the bits of a training."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import __version__

# Instruction sets that TensorFlow's kernels choose among; sums are ordered differently in each.
INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd")


# Facts that do not change the bits, or change them within rounding by design.
LOOSE = ("python", "replicas")


def surroundings(replicas: int) -> dict[str, Any]:
    """Versions, devices and threads of this process, plain values.

    Args:
        replicas: Over how many devices a batch is spread.
    """
    import keras
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    kind = "cpu"
    if gpus:
        physical = tf.config.list_physical_devices("GPU")[0]
        details = tf.config.experimental.get_device_details(physical)
        kind = str(details.get("device_name", "gpu"))
    threading = tf.config.threading
    return {
        "tl": __version__, "tensorflow": tf.__version__, "keras": keras.__version__,
        "numpy": np.__version__, "python": platform.python_version(),
        "precision": keras.config.dtype_policy().name, "device": kind, "replicas": replicas,
        "threads of an operation": threading.get_intra_op_parallelism_threads() or cores(),
        "operations at once": threading.get_inter_op_parallelism_threads() or cores(),
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0",
        "instructions": instructions(),
    }  # fmt: skip


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instructions() -> str:
    """The processor's kind and its wide instruction sets."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    flags = next((x for x in text.splitlines() if x.lower().startswith(("flags", "features"))), "")
    return " ".join([platform.machine(), *(n for n in INSTRUCTIONS if n in flags.split())])


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What differs between two surroundings in words: what decides the bits, and the rest."""
    told = {k: f"{k} was {old.get(k)} and is {new[k]}" for k in new if old.get(k) != new[k]}
    return [t for k, t in told.items() if k not in LOOSE], [told[k] for k in told if k in LOOSE]
