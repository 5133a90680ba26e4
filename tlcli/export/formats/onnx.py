"""ONNX, for ONNX Runtime and what else reads it."""

import tempfile
from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format, Wanted
from tlcli.lazy import np

FILE = "model.onnx"
OPSET = 17
LEVELS = 127  # of a weight, either way of zero
PRECISE = ("session.x64quantprecision", "1")


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
        whole = ("MatMul", "Gemm")
        quantization.quantize_dynamic(plain, wanted, whole, per_channel=True)
        _store_small(wanted)
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


def _store_small(path: Path) -> None:
    """Keep kernels of convolutions in 8 bits, by a scale for each channel that they make.

    They are computed with in float: the runtime's own dynamic convolutions have one scale for all
    channels, and take longer.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph = model.graph
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    found = [one for one in graph.initializer if one.name in kernels]
    for kernel in found:
        values = numpy_helper.to_array(kernel)
        scale = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True) / LEVELS
        scale = np.maximum(scale, np.float32(1e-12))
        rows = np.round(values / scale).astype(np.int8)
        names = [f"{kernel.name}_{end}" for end in ("int8", "scale", "zero")]
        parts = (rows, scale.ravel(), np.zeros(len(rows), np.int8))
        graph.initializer.extend(map(numpy_helper.from_array, parts, names))
        graph.node.insert(
            0, onnx.helper.make_node("DequantizeLinear", names, [kernel.name], axis=0)
        )
        graph.initializer.remove(kernel)
    onnx.save(model, path)


def engine(folder: Path) -> Engine:
    """Run the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Else sums of two products overflow on processors that have AVX2 and no VNNI.
    options.add_session_config_entry(*PRECISE)
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
