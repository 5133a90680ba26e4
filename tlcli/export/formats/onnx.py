"""ONNX, for ONNX Runtime and what else reads it."""

import tempfile
from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format, Wanted
from tlcli.lazy import np

FILE = "model.onnx"
OPSET = 17


def write(wanted: Wanted, folder: Path) -> None:
    """Write the network; weights of 8 bits by ONNX Runtime's own tools."""
    import tf2onnx

    # Not above: who runs a file needs no TensorFlow.
    from tlcli.export.network import function

    call = function(wanted.network)
    model, _ = tf2onnx.convert.from_function(
        call, input_signature=call.input_signature, opset=OPSET
    )
    if wanted.quantize == "none":
        (folder / FILE).write_bytes(model.SerializeToString())
        return
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / FILE
        plain.write_bytes(model.SerializeToString())
        _quantized(plain, folder / FILE, wanted.quantize, wanted.images)


def _quantized(plain: Path, wanted: Path, quantize: str, images: Any) -> None:
    from onnxruntime import quantization

    if quantize == "dynamic":
        quantization.quantize_dynamic(
            plain, wanted, per_channel=True, nodes_to_exclude=_depthwise(plain)
        )
        return
    ready = plain.with_name("ready.onnx")
    quantization.quant_pre_process(plain, ready, skip_symbolic_shape=True)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Images one by one."""

        def __init__(self) -> None:
            self._left = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            """The next one."""
            image = next(self._left, None)
            return None if image is None else {"images": image[None]}

    quantization.quantize_static(
        ready, wanted, Reader(), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
    )  # fmt: skip


def _depthwise(path: Path) -> list[str]:
    """Convolutions of few weights, which ONNX Runtime rounds by one scale for all channels."""
    import onnx

    nodes = onnx.load(path).graph.node
    return [
        node.name for node in nodes
        if node.op_type == "Conv" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    ]  # fmt: skip


def engine(folder: Path) -> Engine:
    """Run the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / FILE), options, providers=["CPUExecutionProvider"]
    )

    names = [one.name for one in session.get_outputs()]

    def answers(images: Any) -> dict[str, Any]:
        found = session.run(names, {"images": images})
        return {name: np.asarray(value) for name, value in zip(names, found, strict=True)}

    return answers


FORMAT = Format(
    "onnx", FILE, ("none", "dynamic", "int8"), ("tf2onnx", "onnx", "onnxruntime"),
    ("onnxruntime",), write, engine,
)  # fmt: skip
