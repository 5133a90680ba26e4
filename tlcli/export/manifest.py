"""What manifest.json says of an export: read without trusting the file, and without TensorFlow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.data.header import MAX_PIXELS
from tlcli.errors import DataError
from tlcli.export.contract import NAMES
from tlcli.runs.facts import Facts
from tlcli.runs.schema import by_name, mapping, text, values_of, whole
from tlcli.system import files, opened

FILE = "manifest.json"
VERSION = 1
REMEDY = "Export the run again."


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """An export.

    Attributes:
        facts: What the run knows: classes, resizing, calibration, thresholds, sets, figures.
        format: One of contract.NAMES.
        quantize: How its numbers were made smaller, or "none".
        model: File or folder that is run, below the export.
        max_pixels: Width times height above which a picture is refused.
        run: Folder of the run when it was exported.
        licence: What is known of the licences of weights and data, by name.
        proof: Figures beside the run's own network.
        sha256: Hash of each file of the export by its name.
    """

    facts: Facts
    format: str
    quantize: str
    model: str
    max_pixels: int
    run: str
    licence: Mapping[str, str]
    proof: Mapping[str, Any]
    sha256: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            **self.facts.as_json(),
            "export": {
                "version": VERSION, "format": self.format, "quantize": self.quantize,
                "model": self.model, "input": "images", "outputs": ["logits", "probabilities"],
                "max_pixels": self.max_pixels, "run": self.run, "licence": dict(self.licence),
                "proof": dict(self.proof), "sha256": dict(self.sha256),
            },
        }  # fmt: skip


def is_export(path: Path) -> bool:
    """Whether a folder is an export."""
    return (path / FILE).is_file()


def read(folder: Path) -> Manifest:
    """The manifest of an export whose files are those that were written.

    Raises:
        DataError: It is damaged, or of a later version.
    """
    path = folder / FILE
    content = _json(path)
    facts = Facts.from_json(content, path)
    try:
        own = values_of(mapping(content.get("export")), READERS, tuple(READERS))
    except ValueError as problem:
        raise DataError(str(path), f"export: {problem}", REMEDY) from None
    found = Manifest(facts=facts, **{k: v for k, v in own.items() if k != "version"})
    _check(folder, found)
    return found


def _json(path: Path) -> dict[str, Any]:
    text_ = opened.read_text(path, "json")
    with opened.reading(path, REMEDY):
        found = json.loads(text_)
    if not isinstance(found, dict):
        raise DataError(str(path), "is no JSON object", REMEDY)
    return found


def _check(folder: Path, found: Manifest) -> None:
    for name in (*found.sha256, found.model):
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise DataError(str(folder / FILE), f"names {name}", REMEDY)
    for name, digest in found.sha256.items():
        path = folder / name
        if not path.is_file():
            raise DataError(str(path), "is missing", REMEDY)
        if files.sha256(path) != digest:
            raise DataError(str(path), "is not the file that was exported", REMEDY)


def hashes(folder: Path) -> dict[str, str]:
    """Hash of each file of an export but its manifest, by name."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / FILE)
    return {p.relative_to(folder).as_posix(): files.sha256(p) for p in found}


def with_hashes(found: Manifest, folder: Path) -> Manifest:
    """The manifest of a folder whose other files are written."""
    return replace(found, sha256=hashes(folder))


def _one_of(names: tuple[str, ...]) -> Any:
    def read(value: Any) -> Any:
        if value not in names:
            raise ValueError(f"is {value!r}, and not one of {', '.join(names)}")
        return value

    return read


READERS: dict[str, Any] = {
    "version": whole(1, VERSION), "format": _one_of(NAMES),
    "quantize": _one_of(("none", "float16", "dynamic", "int8")), "model": text,
    "max_pixels": whole(1, MAX_PIXELS * 100), "run": text, "licence": by_name(text),
    "proof": mapping, "sha256": by_name(text),
}  # fmt: skip
