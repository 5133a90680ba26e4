"""LiteRT, which was TensorFlow Lite: small, and soon with one picture."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format, Wanted
from tlcli.lazy import np, tf

FILE = "model.tflite"


def write(wanted: Wanted, folder: Path) -> None:
    """Write the network with a signature of uint8 pixels; int8 computes in whole numbers alone."""
    # Not above: who runs a file needs no TensorFlow.
    from tlcli.export.formats.saved_model import save
    from tlcli.export.network import from_floats

    network, quantize = wanted.network, wanted.quantize
    whole = quantize == "int8"
    with tempfile.TemporaryDirectory() as place:
        save(from_floats(network) if whole else network, Path(place))
        converter = tf.lite.TFLiteConverter.from_saved_model(place)
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if whole:
            converter.representative_dataset = lambda: _shown(wanted.images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        content = converter.convert()
    (folder / FILE).write_bytes(content)


def _shown(images: Any) -> Iterator[dict[str, Any]]:
    for image in images:
        yield {"images": image[None].astype(np.float32)}


def engine(folder: Path) -> Engine:
    """Run the file on all cores of this process."""
    import os

    from ai_edge_litert.interpreter import Interpreter

    threads = len(os.sched_getaffinity(0))
    interpreter = Interpreter(str(folder / FILE), num_threads=threads)
    call = interpreter.get_signature_runner()
    # Once, so that what it says of itself is said here.
    call(
        images=np.zeros([max(1, n) for n in call.get_input_details()["images"]["shape"]], np.uint8)
    )

    def answers(images: Any) -> dict[str, Any]:
        # The interpreter writes the next answers over these.
        return {name: value.copy() for name, value in call(images=images).items()}

    return answers


FORMAT = Format(
    "litert", FILE, ("none", "float16", "dynamic", "int8"), (), ("ai_edge_litert",), write, engine
)
