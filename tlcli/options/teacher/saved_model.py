"""A classifier in a TensorFlow SavedModel; only with trust, for it is a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts.teacher import Target
from tlcli.errors import ConfigError, nearest
from tlcli.lazy import tf
from tlcli.options.teacher._common import Foreign
from tlcli.system.files import expanded
from tlcli.system.opened import reading


@dataclass(frozen=True)
class Teacher(Foreign):
    """A folder with the signature `serving_default` of one image input.

    Attributes:
        trust: Whether its graph may run; it can read and write files.
    """

    trust: bool

    def build(self, target: Target) -> Any:
        """The teacher; it has logits alone.

        Raises:
            ConfigError: It is not trusted, or does not fit.
            DataError: The folder cannot be read.
        """
        from tlcli.distill import foreign

        if not self.trust:
            raise ConfigError(
                "teacher.trust", "a SavedModel is a program that can read and write files",
                "Give teacher.trust=true if you know who made it, or teacher=onnx.",
            )  # fmt: skip
        path = expanded(self.path, "teacher.path")
        if not (path / "saved_model.pb").is_file():
            raise ConfigError("teacher.path", f"{path} has no saved_model.pb", "Give its folder.")
        with reading(path, "Export it again."):
            loaded = tf.saved_model.load(str(path))
        if "serving_default" not in loaded.signatures:
            raise ConfigError("teacher.path", f"{path} has no serving_default", "Export with one.")
        signature = loaded.signatures["serving_default"]
        inputs = signature.structured_input_signature[1]
        if len(inputs) != 1:
            raise ConfigError("teacher.path", f"{path} has {len(inputs)} inputs", "Give one.")
        name, spec = next(iter(inputs.items()))
        output = self._output(list(signature.structured_outputs))

        def run(pixels: Any) -> Any:
            return signature(**{name: tf.cast(pixels, spec.dtype)})[output].numpy()

        run.owner = loaded  # type: ignore[attr-defined]  # its variables die with it
        model = foreign.Foreign(tuple(spec.shape.as_list()), run, _hash(path))
        return foreign.ForeignTeacher(self, target, model)

    def _output(self, names: list[str]) -> str:
        if self.output is None and len(names) == 1:
            return names[0]
        if self.output is None or self.output not in names:
            raise ConfigError(
                "teacher.output", f"got {self.output!r}", nearest(str(self.output), names)
            )
        return self.output


def _hash(folder: Path) -> str:
    import hashlib

    from tlcli.system import files

    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)}{files.sha256(path)}".encode())
    return digest.hexdigest()
