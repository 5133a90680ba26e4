"""Data sets as TensorFlow Datasets writes them: array_record or TFRecord files, told by JSON.

A folder is read as it is, without that library: what its files are stands in dataset_info.json, and
which of their features hold pictures and labels in features.json.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.data.arrow import LABELS, PICTURES, Columns, chosen_column
from tlcli.errors import ConfigError, DataError
from tlcli.system.opened import read_text, reading
from tlcli.system.shown import shown

FEATURES, ABOUT = "features.json", "dataset_info.json"
FORMATS = ("array_record", "tfrecord")
# Texts that a picture is called by, the likeliest first.
_NAMES = ("file_name", "filename", "image/filename", "path")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
REMEDY = "Build the data set again with TensorFlow Datasets."
_MOST_SHARDS = 1_000_000


@dataclass(frozen=True)
class Built:
    """A data set in one version.

    Attributes:
        folder: Of it.
        format: One of FORMATS.
        files: Names of the files of each split, and how many rows each holds.
        columns: The features that hold pictures and labels.
        name: The feature that a picture is called by; None where there is none.
    """

    folder: Path
    format: str
    files: Mapping[str, Mapping[str, int]]
    columns: Columns
    name: str | None


def folder_of(root: Path, version: str | None) -> Path:
    """The folder of a version of a data set: its newest one, or that which is named.

    Args:
        root: A folder of a version, or one above.
        version: As 1.0.0.

    Raises:
        ConfigError: There is none, or there are several data sets.
    """
    if (root / FEATURES).is_file() and version in (None, root.name):
        return root
    found = [path.parent for depth in ("*", "*/*") for path in root.glob(f"{depth}/{FEATURES}")
             if _VERSION.fullmatch(path.parent.name)]  # fmt: skip
    known = ", ".join(sorted({shown(path.relative_to(root)) for path in found}))
    found = [path for path in found if version in (None, path.name)]
    if not found:
        problem = f"{shown(root)} has no version {shown(version or '')}".rstrip()
        remedy = f"Give one of {known}." if known else "Give a folder that TensorFlow Datasets made"
        raise ConfigError("data.path", problem, remedy.removesuffix(".") + ".")
    if len({path.parent for path in found}) > 1:
        problem = f"{shown(root)} holds several data sets: {known}"
        raise ConfigError("data.path", problem, "Give the folder of one.")
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")])


def built(folder: Path, image: str | None, label: str | None) -> Built:
    """What a folder of a version says of itself.

    Args:
        folder: That holds FEATURES.
        image: What data.image_column says.
        label: What data.label_column says.

    Raises:
        ConfigError: A feature that was named is not there, or several may be meant.
        DataError: The files say something else than such files do.
    """
    about = _json(folder / ABOUT)
    with reading(folder / ABOUT, REMEDY, "tells no files of splits"):
        form = str(about.get("fileFormat", "tfrecord"))
        files = {str(one["name"]): _files(about, form, one) for one in about["splits"]}
    if form not in FORMATS:
        problem = f"has files of the format {shown(form)}"
        raise DataError(str(folder), problem, f"Build it as {FORMATS[0]}.")
    with reading(folder / FEATURES, REMEDY, "tells no features"):
        features = _features(folder)
        columns = _columns(folder, features, image, label)
        texts = [name for name in _NAMES if "text" in features.get(name, ())]
    return Built(folder, form, files, columns, texts[0] if texts else None)


def _json(path: Path) -> Mapping[str, Any]:
    with reading(path, REMEDY, "is no JSON object"):
        return dict(json.loads(read_text(path, "json")))


def _files(about: Mapping[str, Any], form: str, split: Mapping[str, Any]) -> dict[str, int]:
    """Names of the files of a split that hold rows, and the number of these."""
    rows = [int(count) for count in split.get("shardLengths", ())]
    if len(rows) > _MOST_SHARDS or min(rows, default=0) < 0:
        raise ValueError(f"{len(rows)} files")
    names: dict[str, int] = {}
    for number, count in enumerate(rows):
        index, of = f"{number:05d}", f"{len(rows):05d}"
        words = {"DATASET": about["name"], "SPLIT": split["name"], "FILEFORMAT": form,
                 "SHARD_INDEX": index, "NUM_SHARDS": of,
                 "SHARD_X_OF_Y": f"{index}-of-{of}"}  # fmt: skip
        name = str(split.get("filepathTemplate") or _TEMPLATE)
        for word, value in words.items():
            name = name.replace(f"{{{word}}}", str(value))
        if "/" in name or "\0" in name or name in names:
            raise ValueError(f"a file called {shown(name)}")
        names[name] = count
    return {name: count for name, count in names.items() if count}


def _features(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The features by name, those of a dictionary within by `outer/inner`."""
    told = _json(folder / FEATURES)

    def flat(prefix: str, feature: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        if "featuresDict" not in feature:
            return {prefix: feature}
        found: dict[str, Mapping[str, Any]] = {}
        for name, one in feature["featuresDict"]["features"].items():
            found |= flat(f"{prefix}/{name}" if prefix else str(name), one)
        return found

    return flat("", told)


def _columns(
    folder: Path, features: Mapping[str, Mapping[str, Any]], image: str | None, label: str | None
) -> Columns:
    """The features that hold pictures and labels."""
    kinds = {name: _kind(feature) for name, feature in features.items()}
    pictures = [name for name, kind in kinds.items() if kind == "Image"]
    own = chosen_column(str(folder), "image", image, pictures, kinds, PICTURES)
    plain = {name: _inner(feature) for name, feature in features.items() if name != own}
    classes = [name for name, feature in plain.items() if "classLabel" in feature]
    texts = [name for name, feature in plain.items() if "text" in feature and name not in _NAMES]
    held = chosen_column(str(folder), "label", label, classes or texts, kinds, LABELS)
    own_kind = plain.get(held, {})
    if "classLabel" not in own_kind and "text" not in own_kind:
        problem = f"{shown(folder)} has {kinds[held]} there"
        raise ConfigError("data.label_column", problem, "Give a ClassLabel or a Text.")
    several = "sequence" in features[held]
    return Columns(own, False, held, several, _class_names(folder, held, own_kind))


def _kind(feature: Mapping[str, Any]) -> str:
    return str(feature.get("pythonClassName", "")).rpartition(".")[2] or "?"


def _inner(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a list holds; else the feature itself."""
    inner = feature["sequence"].get("feature", {}) if "sequence" in feature else feature
    return dict(inner)


def _class_names(folder: Path, label: str, feature: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What the classes of a feature are called, a line each in a file of its own."""
    path = folder / f"{label.replace('/', '-')}.labels.txt"
    if "classLabel" not in feature or not path.is_file():
        return None
    text = unicodedata.normalize("NFC", read_text(path, "csv"))
    return tuple(text.removesuffix("\n").split("\n"))
