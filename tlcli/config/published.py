"""Facts of the published networks of keras.applications and of the files of their weights.

`networks.csv` and `weight_files.csv` lie beside this module; scripts/make/backbones.py writes both
and tells where each figure comes from.
"""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

NETWORKS = Path(__file__).with_name("networks.csv")
FILES = Path(__file__).with_name("weight_files.csv")


@dataclass(frozen=True)
class Network:
    """A published network in one of its widths.

    Attributes:
        name: Option of the group backbone.
        constructor: Function in keras.applications.
        alpha: Its width; None where there is one only.
        pixels: Of a side, what the published weights were trained at.
        parameters, backbone_parameters: Numbers with and without the 1,000 classes.
        gflops: Operations of one image at these pixels, forward, in 1e9.
        activation_mb: Outputs of all layers for it, in 1e6 bytes.
        relative_time: Of a forward pass on a CPU, beside MobileNetV2's; None where none was timed.
        top1: Published accuracy on ImageNet, percent.
        source: Of the accuracy.
    """

    name: str
    constructor: str
    alpha: float | None
    pixels: int
    parameters: int
    backbone_parameters: int
    gflops: float
    activation_mb: float
    relative_time: float | None
    top1: float
    source: str

    @property
    def title(self) -> str:
        """Its name, with the width where there are several."""
        return self.name if self.alpha is None else f"{self.name} {self.alpha}"


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        file: Its name where Keras looks for it.
        name, alpha: The network.
        pixels: Of a side, what it was trained at.
        top: Whether the 1,000 classes are in it.
        hash: Hex, md5 or sha256 as Keras checks it; empty where Keras knows none.
        bytes: Its size, None where nobody told.
        url: Where it is published.
    """

    file: str
    name: str
    alpha: float | None
    pixels: int
    top: bool
    hash: str
    bytes: int | None
    url: str

    @property
    def algorithm(self) -> str:
        """Of the hash."""
        return "sha256" if len(self.hash) == 64 else "md5"

    @property
    def parameters(self) -> int:
        """Numbers that are in it."""
        network = network_of(self.name, self.alpha)
        return network.parameters if self.top else network.backbone_parameters

    @property
    def about_bytes(self) -> int:
        """Its size; where nobody told, that of its numbers."""
        return self.bytes or 4 * self.parameters


@functools.cache
def networks() -> tuple[Network, ...]:
    """All of them, by name and width."""
    return tuple(
        Network(
            row["name"], row["constructor"], _number(row["alpha"]), int(row["pixels"]),
            int(row["parameters"]), int(row["backbone_parameters"]), float(row["gflops"]),
            float(row["activation_mb"]), _number(row["relative_time"]), float(row["top1"]),
            row["source"],
        )
        for row in _rows(NETWORKS)
    )  # fmt: skip


@functools.cache
def weight_files() -> dict[str, WeightFile]:
    """All of them, by the name of the file."""
    return {
        row["file"]: WeightFile(
            row["file"], row["name"], _number(row["alpha"]), int(row["pixels"]), row["top"] == "1",
            row["hash"], int(row["bytes"]) if row["bytes"] else None, row["url"],
        )
        for row in _rows(FILES)
    }  # fmt: skip


def network_of(name: str, alpha: float | None) -> Network:
    """One of them.

    Raises:
        KeyError: There is no such network.
    """
    for network in networks():
        if (network.name, network.alpha) == (name, alpha):
            return network
    raise KeyError(name, alpha)


def option_of(constructor: str) -> str:
    """Option of the group backbone that a function of keras.applications stands for."""
    return next(network.name for network in networks() if network.constructor == constructor)


def files_of(name: str, alpha: float | None, top: bool, pixels: int) -> tuple[WeightFile, ...]:
    """Files of a network, that of some pixels first, then the nearest; larger before smaller.

    Only MobileNets have more than one; a size without a file takes that of 224 first.
    """
    found = [f for f in weight_files().values() if (f.name, f.alpha, f.top) == (name, alpha, top)]
    own = pixels if any(f.pixels == pixels for f in found) else max(f.pixels for f in found)
    return tuple(sorted(found, key=lambda f: (abs(f.pixels - own), -f.pixels)))


def _number(text: str) -> float | None:
    return float(text) if text else None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))
