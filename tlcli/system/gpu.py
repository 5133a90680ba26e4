"""Why no GPU is used: what of card, driver, libraries and settings is missing, and what to do."""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NVIDIA, DISPLAYS = "0x10de", "0x03"
HIDING = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Machine:
    """What a GPU of NVIDIA needs here.

    Attributes:
        cards: How many such cards the machine's bus has.
        driver: Whether their driver is there.
        visible: What CUDA_VISIBLE_DEVICES is set to, or None.
        cuda_build: Whether this TensorFlow can use them.
        lacking: Libraries of CUDA that `tlcli[gpu]` installs and that are not there.
        chatter: Lines that TensorFlow wrote of them.
    """

    cards: int
    driver: bool
    visible: str | None
    cuda_build: bool
    lacking: Sequence[str]
    chatter: Sequence[str]


def machine(cuda_build: bool, lacking: Sequence[str], chatter: Sequence[str]) -> Machine:
    """Look at this machine."""
    return Machine(
        cards(), has_driver(), os.environ.get(HIDING), cuda_build, tuple(lacking), tuple(chatter)
    )


def cards(root: Path = Path("/")) -> int:
    """NVIDIA cards on the bus.

    Args:
        root: Where the system's files lie.
    """
    found = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        vendor, kind = (_text(device / name) for name in ("vendor", "class"))
        found += vendor == NVIDIA and kind.startswith(DISPLAYS)
    return found


def has_driver() -> bool:
    """Whether the library that comes with NVIDIA's driver can be loaded."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def why_none(here: Machine) -> tuple[str, str]:
    """Why TensorFlow sees no GPU, and what to do; nothing to do where there is no card.

    Args:
        here: See `machine`.
    """
    hidden = here.visible is not None and here.visible.strip() in ("", "-1")
    if hidden and (here.cards or here.driver):
        return f"{HIDING}={here.visible!r} hides them", f"Leave out {HIDING}, or set it to 0."
    if not here.cards and not here.driver:
        return "this machine has no NVIDIA card that can be seen, and no driver for one", ""
    if not here.driver:
        return (
            f"{here.cards} NVIDIA card{'s' * (here.cards > 1)}, but no driver",
            "Install NVIDIA's driver; in a container, start it with the GPU (--gpus all).",
        )
    if not here.cuda_build:
        return "this TensorFlow is a build for CPUs alone", "pip install 'tlcli[gpu]'."
    if here.lacking:
        return (
            f"libraries of CUDA are missing: {', '.join(here.lacking[:3])}"
            f"{', …' if len(here.lacking) > 3 else ''}",
            "pip install 'tlcli[gpu]'.",
        )
    said = here.chatter[-1] if here.chatter else "TensorFlow does not say why"
    return f"the driver is there, and TensorFlow refuses: {said}", "Look at nvidia-smi first."


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""
