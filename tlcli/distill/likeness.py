"""How like its teacher a student is inside, where they differ by class, and what both cost."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.models.frozen.network import compute
from tlcli.models.graph.cost import flops, parameters
from tlcli.models.graph.stages import stages
from tlcli.models.graph.trace import taps
from tlcli.models.layers import ResizeImages

IMAGES = 512
TIMED, SECONDS = 30, 1.0


def linear_cka(first: Any, second: Any) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414), in [0, 1].

    Invariant to rotation and to a common scale of either side; 0 where one is constant.

    Args:
        first: Features of some images, (images, dim).
        second: Other features of the same images, (images, other dim).
    """
    first, second = (np.asarray(x, np.float64) for x in (first, second))
    first, second = first - first.mean(0), second - second.mean(0)
    shared = np.square(second.T @ first).sum()
    own = [np.sqrt(np.square(x.T @ x).sum()) for x in (first, second)]
    return float(shared / (own[0] * own[1])) if min(own) > 0 else 0.0


def pooled_taps(model: Any, names: Sequence[str]) -> Any:
    """A model of the mean over positions of each named layer's map, float32 (batch, channels)."""
    found = []
    for index, tensor in enumerate(taps(model, list(names))):
        shape = (-1, int(np.prod(tensor.shape[1:-1])), int(tensor.shape[-1]))
        flat = keras.layers.Reshape(shape[1:], name=f"flat_{index}")(tensor)
        found.append(keras.layers.GlobalAveragePooling1D(name=f"mean_{index}")(flat))
    return keras.Model(model.inputs, found)


def at_side(model: Any, side: int) -> Any:
    """The model on images of another side, which it resizes first as a teacher does."""
    own = int(model.inputs[0].shape[1])
    if own == side:
        return model
    images = keras.Input((side, side, 3), dtype="uint8")
    return keras.Model(images, model(ResizeImages(side, own)(images)))


def stage_cka(views: Any, rows: Any, teacher: Any, student: Any) -> list[dict[str, Any]]:
    """Linear CKA of the stages of two classifiers, each student's with the teacher's nearest depth.

    Maps are averaged over positions first, so that stages of any size can be compared.

    Args:
        views: Evaluation views.
        rows: Manifest rows; at most 512 spread over them are looked at.
        teacher: uint8 images to logits.
        student: The same; the views have its size.

    Returns:
        Layer names `student` and `teacher`, and `cka`, for each of the student's stages.
    """
    rows = np.unique(rows[np.linspace(0, len(rows) - 1, min(len(rows), IMAGES)).astype(int)])
    names = [stages(model) for model in (student, teacher)]
    if not all(names) or len(rows) < 2:
        return []
    side = int(student.inputs[0].shape[1])
    ours, theirs = (
        compute(at_side(pooled_taps(model, found), side), views, rows, 1, 128)
        for model, found in zip((student, teacher), names, strict=True)
    )
    pairs = []
    for index, name in enumerate(names[0]):
        # From the deepest, as stages of two networks correspond in methods on features.
        other = max(len(theirs) - (len(ours) - index), 0)
        cka = linear_cka(ours[index], theirs[other])
        pairs.append({"student": name, "teacher": names[1][other], "cka": cka})
    return pairs


def class_changes(
    teacher: Any, student: Any, labels: Any, names: Sequence[str]
) -> dict[str, float]:
    """Accuracy of the student less that of the teacher on the images of each class.

    Args:
        teacher: Logits (images, classes).
        student: The same of the student.
        labels: Class index of each image.
        names: Of the classes; those without an image are left out.
    """
    right = [(z.argmax(-1) == labels).astype(np.float64) for z in (teacher, student)]
    change = right[1] - right[0]
    counts = np.bincount(labels, minlength=len(names))
    sums = np.bincount(labels, change, len(names))
    return {str(names[index]): float(sums[index] / counts[index])
            for index in np.flatnonzero(counts).tolist()}  # fmt: skip


def model_bytes(model: Any) -> int:
    """Bytes of the weights as they stand in memory, each shared one once."""
    unique = {id(v): v for v in model.variables}.values()
    return sum(int(np.prod(v.shape)) * tf.as_dtype(v.dtype).size for v in unique)


def latency(model: Any) -> float:
    """Median milliseconds of one image on the CPU, warm, in this process.

    Args:
        model: uint8 (batch, side, side, 3) to logits.
    """
    images = tf.zeros((1, *model.inputs[0].shape[1:]), tf.uint8)
    call = tf.function(lambda shown: model(shown, training=False), autograph=False)
    taken: list[float] = []
    with tf.device("/CPU:0"):
        for _ in range(3):
            tf.nest.map_structure(np.asarray, call(images))
        started = time.perf_counter()
        while len(taken) < TIMED and time.perf_counter() - started < SECONDS:
            begun = time.perf_counter()
            tf.nest.map_structure(np.asarray, call(images))
            taken.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(taken))


def costs(name: str, model: Any) -> dict[str, Any]:
    """Parameters, FLOPs, bytes and latency of a classifier of images, keys `NAME_…`."""
    return {
        f"{name}_parameters": parameters(model),
        f"{name}_flops": flops(model),
        f"{name}_bytes": model_bytes(model),
        f"{name}_latency_ms": round(latency(model), 3),
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """Classes that changed most, alignment of the stages and costs, for the result."""
    told = []
    changes = sorted(found.get("class_change", {}).items(), key=lambda pair: pair[1])
    worst = [f"{name} {value:+.2f}" for name, value in changes[:3] if value < 0]
    best = [f"{name} {value:+.2f}" for name, value in changes[:-4:-1] if value > 0]
    if worst or best:
        parts = [f"loses {', '.join(worst)}"] if worst else []
        parts += [f"gains {', '.join(best)}"] if best else []
        told.append("against its teacher: " + "; ".join(parts))
    if found.get("stage_cka"):
        shown = ", ".join(f"{pair['cka']:.2f}" for pair in found["stage_cka"])
        told.append(f"CKA of stages, shallow to deep: {shown}")
    if "teacher_latency_ms" in found:
        kinds = (("flops", 1e9, "GFLOPs"), ("bytes", 1e6, "MB"), ("latency_ms", 1, "ms on the CPU"))
        pairs = [
            " / ".join(f"{found[f'{who}_{key}'] / scale:.4g}" for who in ("student", "teacher"))
            + f" {unit}"
            for key, scale, unit in kinds
        ]
        told.append("student / teacher: " + "; ".join(pairs))
    return [f"           {line}" for line in told]
