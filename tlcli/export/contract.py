"""What a format is, and the formats there are."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.data.resize import Resize
from tlcli.errors import ConfigError
from tlcli.system.installed import is_importable

NAMES = ("saved_model", "litert", "onnx", "openvino", "keras")
# Of a network: always the first two, (batch, classes); the last, (batch, channels), where its run
# knows strangers.
OUTPUTS = ("logits", "probabilities", "embedding")
# From uint8 images (batch, side, side, 3) to float32 outputs by name.
Engine = Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """What is to be written.

    Attributes:
        network: Of uint8 pixels, see network.network_of.
        resize: How its pictures become squares.
        max_pixels: Width times height above which a picture is refused.
        quantize: What its numbers are made smaller by.
        images: Of the training split, uint8 (images, side, side, 3), where int8 is fitted to them.
    """

    network: Any
    resize: Resize
    max_pixels: int
    quantize: str
    images: Any


@dataclass(frozen=True)
class Format:
    """A format of models.

    Attributes:
        name: One of NAMES.
        file: What is run, below the folder of the export.
        quantize: What numbers it can be made smaller by, "none" among them.
        writes: Modules that writing takes beside TensorFlow.
        runs: Modules that running takes.
        write: Into a folder.
        engine: Of the folder.
    """

    name: str
    file: str
    quantize: Sequence[str]
    writes: Sequence[str]
    runs: Sequence[str]
    write: Callable[[Wanted, Path], None]
    engine: Callable[[Path], Engine]

    def require(self, modules: Sequence[str]) -> None:
        """Refuse what lacks a package.

        Raises:
            ConfigError: One is not installed.
        """
        missing = sorted({one for one in modules if not is_importable(one)})
        if missing:
            raise ConfigError(
                "format", f"{self.name} needs {', '.join(missing)}",
                "Install the extra: pip install 'tlcli[export]'.",
            )  # fmt: skip


def format_of(name: str) -> Format:
    """The format of a name of NAMES."""
    found: Format = importlib.import_module(f"tlcli.export.formats.{name}").FORMAT
    return found
