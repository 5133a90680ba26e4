"""OpenVINO, for Intel's processors."""

import tempfile
from pathlib import Path
from typing import Any

from tlcli.export.contract import OUTPUTS, Engine, Format, Wanted
from tlcli.lazy import np

FILE = "model.xml"


def write(wanted: Wanted, folder: Path) -> None:
    """Write the network; float16 halves the file of weights."""
    import openvino

    # Not above: who runs a file needs no TensorFlow.
    from tlcli.export.formats.saved_model import save

    with tempfile.TemporaryDirectory() as place:
        save(wanted.network, Path(place))
        model = openvino.convert_model(place)
        half = wanted.quantize == "float16"
        openvino.save_model(model, folder / FILE, compress_to_fp16=half)


def engine(folder: Path) -> Engine:
    """Run the file in float32: by default a processor that can computes in bfloat16, unasked."""
    import openvino

    core = openvino.Core()
    model = core.compile_model(str(folder / FILE), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    names = [name for name in OUTPUTS if any(name in one.get_names() for one in model.outputs)]

    def answers(images: Any) -> dict[str, Any]:
        found = model({"images": images})
        return {name: np.asarray(found[name]) for name in names}

    return answers


FORMAT = Format(
    "openvino", FILE, ("none", "float16"), ("openvino", "scipy"), ("openvino",), write, engine
)
