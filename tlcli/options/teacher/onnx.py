"""A classifier in an ONNX file, run by onnxruntime."""

import importlib
from dataclasses import dataclass
from typing import Any

from tlcli.contracts.teacher import Target
from tlcli.errors import ConfigError, nearest
from tlcli.options.teacher._common import Foreign
from tlcli.system.files import expanded
from tlcli.system.opened import reading


@dataclass(frozen=True)
class Teacher(Foreign):
    """An .onnx file with one image input; it runs on the CPU, beside the training."""

    def build(self, target: Target) -> Any:
        """The teacher; it has logits alone.

        Raises:
            ConfigError: onnxruntime is missing, or the model does not fit.
            DataError: The file cannot be read.
        """
        from tlcli.distill import foreign
        from tlcli.system import files

        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError:
            raise ConfigError(
                "teacher", "onnxruntime is not installed",
                "Install it with: pip install 'tlcli[onnx]'.",
            ) from None  # fmt: skip
        path = expanded(self.path, "teacher.path")
        if not path.is_file():
            raise ConfigError("teacher.path", f"{path}: there is no such file", "Give an .onnx.")
        with reading(path, "Give a whole ONNX model."):
            session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        if len(session.get_inputs()) != 1:
            raise ConfigError(
                "teacher.path", f"{path} has {len(session.get_inputs())} inputs", "Give one."
            )
        images, output = session.get_inputs()[0], self._output(session)

        def run(pixels: Any) -> Any:
            return session.run([output], {images.name: pixels})[0]

        model = foreign.Foreign(tuple(images.shape), run, files.sha256(path))
        return foreign.ForeignTeacher(self, target, model)

    def _output(self, session: Any) -> str:
        names = [output.name for output in session.get_outputs()]
        if self.output is None and len(names) == 1:
            return str(names[0])
        if self.output is None or self.output not in names:
            raise ConfigError(
                "teacher.output", f"got {self.output!r}", nearest(str(self.output), names)
            )
        return self.output
