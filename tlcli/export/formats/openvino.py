"""OpenVINO, for Intel's processors."""

import tempfile
from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format
from tlcli.lazy import np

FILE = "model.xml"


def write(network: Any, folder: Path, quantize: str, _images: Any) -> None:
    """Write the network; float16 halves the file of weights."""
    import openvino

    # Not above: who runs a file needs no TensorFlow.
    from tlcli.export.formats.saved_model import save

    with tempfile.TemporaryDirectory() as place:
        save(network, Path(place))
        model = openvino.convert_model(place)
        openvino.save_model(model, folder / FILE, compress_to_fp16=quantize == "float16")


def engine(folder: Path) -> Engine:
    """Run the file in float32: by default a processor that can computes in bfloat16, unasked."""
    import openvino

    core = openvino.Core()
    model = core.compile_model(str(folder / FILE), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def answers(images: Any) -> tuple[Any, Any]:
        found = model({"images": images})
        return np.asarray(found["logits"]), np.asarray(found["probabilities"])

    return answers


FORMAT = Format(
    "openvino", FILE, ("none", "float16"), ("openvino", "scipy"), ("openvino",), write, engine
)
