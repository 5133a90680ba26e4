"""`tl doctor`: what this machine is to `tl`, and what to do where something is wrong."""

import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlcli import __version__
from tlcli.config.checking import Checked
from tlcli.config.registry import package_of, plugins
from tlcli.config.settings import Doctor, cache_folder
from tlcli.contracts import GROUPS
from tlcli.system import console, device_probe, files, gpu, installed, memory, precision
from tlcli.system.notes import WARNING, Note, Said
from tlcli.system.shown import json_line, shown
from tlcli.system.surroundings import cores, instructions

PACKAGES = ("tensorflow", "keras", "numpy", "hydra-core", "h5py", "pillow", "rich")
WEIGHTS = (".h5", ".keras")
LITTLE_MEMORY, LITTLE_DISK = 2 << 30, 2 << 30
# A processor is called fast at bfloat16 below this share of float32's time.
PAYS = 0.8


@dataclass(frozen=True)
class Health:
    """What was found.

    Attributes:
        facts: By section, plain values.
        advice: What to do, a sentence each.
        fatal: Why no training is possible, a sentence each.
    """

    facts: dict[str, Any]
    advice: list[str] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)


def run(checked: Checked[Doctor, None]) -> int:
    """Print the report; 1 where no training is possible."""
    console.start_log(None)
    with console.Stage("asking TensorFlow what it sees"):
        found = examined(cache_folder(checked.settings.cache_dir), device_probe.probed())
    if checked.settings.format == "json":
        told = {**found.facts, "advice": found.advice, "fatal": found.fatal, "line": line(found)}
        sys.stdout.write(json_line(files.as_json(told)))
    else:
        for note in notes(found):
            console.report(note)
    return 1 if found.fatal else 0


def examined(cache: Path, probe: Mapping[str, Any]) -> Health:
    """Look at everything.

    Args:
        cache: Folder for caches.
        probe: What `device_probe.probed` gave.
    """
    found = Health({"versions": versions()})
    _tensorflow(found, probe)
    _precision(found, probe)
    _memory(found)
    _folders(found, cache)
    _weights(found)
    found.facts["extras"] = installed.extras()
    found.facts["plugins"] = [
        f"{group}={name} of {' '.join(package_of(entry))}"
        for group in GROUPS for name, entry in plugins(group).items()
    ]  # fmt: skip
    for told in installed.lacking(installed.NAME):
        found.fatal.append(f"{told} is needed and is not there. Install tlcli anew.")
    return found


def versions() -> dict[str, str | None]:
    """Versions of this program, of Python, of the system and of what is needed."""
    return {
        "tl": __version__, "python": platform.python_version(),
        "system": platform.platform(terse=True), "machine": platform.machine(),
        **{name: installed.version_of(name) for name in PACKAGES},
    }  # fmt: skip


def _tensorflow(found: Health, probe: Mapping[str, Any]) -> None:
    """Devices, and why a GPU is not used."""
    told: dict[str, Any] = {"cores": cores(), "instructions": instructions()}
    found.facts["devices"] = told
    if "error" in probe:
        told["error"] = probe["error"]
        found.fatal.append(f"TensorFlow cannot be used: {probe['error']}.")
        return
    told |= {"gpus": probe["gpus"], "import_seconds": probe["seconds"]}
    if probe["gpus"]:
        return
    lacking = installed.lacking("tensorflow", "and-cuda")
    reason, remedy = gpu.why_none(gpu.machine(probe["cuda_build"], lacking, probe["chatter"]))
    told["no_gpu"] = reason
    found.advice.extend([f"GPU: {remedy}"] * bool(remedy))


def _precision(found: Health, probe: Mapping[str, Any]) -> None:
    """Which numbers pay: what `precision=auto` takes, and what a convolution took here."""
    if "error" in probe:
        return
    auto = precision.resolved("auto", bool(probe["gpus"]))
    share = probe["bfloat16_time"]
    found.facts["precision"] = {"auto": auto, "bfloat16_time": share}
    if auto == "float32" and share < PAYS:
        found.advice.append(
            "Precision: try precision=mixed_bfloat16; tl bench tells whether your network gains."
        )


def _memory(found: Health) -> None:
    """Memory of the machine, of its control group, and what is free."""
    limit, free = memory.group_limit(), memory.free()
    found.facts["memory"] = {"total": memory.total(), "free": free, "limit": limit}
    if free < LITTLE_MEMORY:
        found.advice.append(
            f"Memory: {size(free)} are free; give a small batch_size, or end other programs."
        )


def _folders(found: Health, cache: Path) -> None:
    """Whether the folders that are written to can be, and how much room they have."""
    told = {}
    for name, folder, remedy in (
        ("runs", Path("runs").absolute(), "Give run_dir=PATH"),
        ("cache", cache, "Give cache_dir=PATH"),
        ("weights", weights_folder(), "Set KERAS_HOME to another folder"),
        ("temporary", Path(tempfile.gettempdir()), "Set TMPDIR to another folder"),
    ):
        problem = unwritable(folder)
        free = None if problem else files.free_bytes(folder)
        told[name] = {"path": str(folder), "problem": problem, "free": free}
        if problem:
            found.advice.append(f"Folders: {shown(folder)} {problem}. {remedy}.")
        elif free is not None and free < LITTLE_DISK:
            found.advice.append(f"Disk: {shown(folder)} has {size(free)} free. {remedy}.")
    found.facts["folders"] = told


def unwritable(folder: Path) -> str:
    """Why nothing can be written below a folder, which need not exist; "" where it can."""
    there = folder
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            return f"cannot be made: {shown(there)} is a file"
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"cannot be written ({error.strerror})"


def weights_folder() -> Path:
    """Where Keras keeps published weights."""
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")) / "models"


def _weights(found: Health) -> None:
    """Files of published weights that are at hand."""
    folder = weights_folder()
    try:
        there = sorted(one for one in folder.iterdir() if one.suffix in WEIGHTS)
        told = {one.name: one.stat().st_size for one in there}
    except OSError:
        told = {}
    found.facts["weights"] = told


# ---- in words -----------------------------------------------------------------------------------


def size(count: float) -> str:
    """Bytes in words."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def line(found: Health) -> str:
    """All that a bug report should say of the machine."""
    told, devices = found.facts["versions"], found.facts["devices"]
    packages = ", ".join(f"{name} {told[name]}" for name in ("tensorflow", "keras", "numpy"))
    gpus = devices.get("gpus")
    cards = ", ".join(one["name"] for one in gpus) if gpus else "no GPU"
    return (
        f"tl {told['tl']}, python {told['python']}, {packages}, {told['system']} "
        f"{told['machine']}, {devices['cores']} cores, {size(found.facts['memory']['total'])}, "
        f"{cards}"
    )


def notes(found: Health) -> list[Said]:
    """The report."""
    told = found.facts
    packages = ", ".join(f"{name} {told['versions'][name]}" for name in PACKAGES)
    return [
        Note("tl", f"{told['versions']['tl']}, Python {told['versions']['python']}, "
             f"{told['versions']['system']}"),
        Note("packages", packages),
        *device_notes(told["devices"], told.get("precision")),
        *memory_notes(told["memory"]),
        *map(folder_note, told["folders"], told["folders"].values()),
        *weight_notes(told["weights"]),
        *extra_notes(told["extras"], told["plugins"]),
        *(Note("stop", text, WARNING) for text in found.fatal),
        *(Note("to do", text, WARNING) for text in found.advice),
        Note("verdict", "no training is possible here" if found.fatal
             else "trainings can start" + ("; see to do" if found.advice else "")),
        Note("report", line(found)),
    ]  # fmt: skip


def device_notes(devices: Mapping[str, Any], numbers: Mapping[str, Any] | None) -> list[Said]:
    """Processor and GPUs."""
    kind, *wide = devices["instructions"].split()
    found: list[Said] = [Note("processor", f"{devices['cores']} cores, {kind}")]
    if wide:
        found.append(Note("", f"with {' '.join(wide)}"))
    for one in devices.get("gpus", ()):
        capability = ".".join(map(str, one["compute_capability"]))
        found.append(Note("GPU", f"{one['name']}, compute capability {capability}"))
    if "no_gpu" in devices:
        found.append(Note("GPU", f"none: {devices['no_gpu']}"))
    if numbers is not None:
        share = numbers["bfloat16_time"]
        found.append(Note("precision", f"auto takes {numbers['auto']}; a convolution in bfloat16 "
                          f"takes {share:.2f} of float32's time"))  # fmt: skip
    return found


def memory_notes(told: Mapping[str, Any]) -> list[Said]:
    """Memory in words."""
    limit = told["limit"]
    capped = f", limited to {size(limit)} by its control group" if limit is not None else ""
    return [Note("memory", f"{size(told['free'])} free of {size(told['total'])}{capped}")]


def folder_note(name: str, told: Mapping[str, Any]) -> Note:
    """A folder in words."""
    state = told["problem"] or f"writable, {size(told['free'])} free"
    return Note(name, f"{told['path']}: {state}")


def weight_notes(told: Mapping[str, int]) -> list[Said]:
    """The weights at hand; those of `tiny` come with the program."""
    found: list[Said] = [
        Note("at hand" if index == 0 else "", f"{name}, {size(count)}")
        for index, (name, count) in enumerate(told.items())
    ]
    return found or [Note("at hand", "no weights but those of backbone=tiny")]


def extra_notes(extras: Mapping[str, list[str]], plugins: list[str]) -> list[Said]:
    """Extras and plug-ins in words."""
    whole = [name for name, lacks in extras.items() if not lacks]
    rest = [f"{name} (lacks {lacks[0] if len(lacks) == 1 else f'{len(lacks)} packages'})"
            for name, lacks in extras.items() if lacks]  # fmt: skip
    found: list[Said] = [Note("extras", ", ".join(whole) if whole else "none")]
    if rest:
        found.append(Note("", f"not installed: {'; '.join(rest)}"))
    if plugins:
        found.append(Note("plug-ins", ", ".join(plugins)))
    return found
