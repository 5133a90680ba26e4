"""What `tl prepare` makes: TFRecord shards with an index beside each, and one file of facts.

    prepared.json                        facts: classes, shards, what they were made from
    labels.txt                           class names for other tools
    train-00000-of-00008.tfrecord        records as TensorFlow's image tools write them
    train-00000-of-00008.npz             where each picture lies, its id, label, size and header

Ids, labels, splits and class names are those of the source, in its order within each split, so
that a training sees the same batches from either.
"""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts.data import SPLIT_NAMES
from tlcli.data.hash_memory import verified
from tlcli.data.header import BY_JPEG, BY_PILLOW, BY_PNG, BY_WEBP
from tlcli.data.ids import Ids
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system import console, files
from tlcli.system.array_file import load_npz
from tlcli.system.opened import read_text, reading
from tlcli.system.shown import shown

FACTS = "prepared.json"
FORMAT = "tl-prepared-1"
COLUMNS = ("offsets", "lengths", "decoders", "orientations", "widths", "heights", "checksums")
# As a scan of files has them.
TYPES = {"offsets": "int64", "lengths": "int64", "decoders": "uint8", "orientations": "uint8",
         "widths": "int32", "heights": "int32", "checksums": "uint32"}  # fmt: skip
_REMEDY = "Run tl prepare again; it completes the folder."
# As plan_shards names them: a name from a file must not lead out of its folder.
_NAME = re.compile(rf"({'|'.join(SPLIT_NAMES)})-[0-9]{{5,}}-of-[0-9]{{5,}}")


@dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
        name: TRAIN-00000-of-00008, without extension.
        split: 0, 1 or 2.
        rows: Its rows in the manifest it is made of, int64 (records,).
    """

    name: str
    split: int
    rows: Any

    def records(self, folder: Path) -> Path:
        """Its file of records."""
        return folder / f"{self.name}.tfrecord"

    def index(self, folder: Path) -> Path:
        """Its index."""
        return folder / f"{self.name}.npz"


@dataclass(frozen=True)
class Part:
    """Index of a shard.

    Attributes:
        columns: COLUMNS by name, int64 (records,), as _records.Index has them.
        ids: Sample ids.
        labels: int32 (records,) or multi-hot uint8 (records, classes).
        size: Bytes of the file of records.
        sha256: Of that file, hex.
        pictures: Hash of the content of the pictures that it was made of, see Manifest.content.
    """

    columns: dict[str, Any]
    ids: Sequence[str]
    labels: Any
    size: int
    sha256: str
    pictures: str = ""


def plan_shards(splits: Any, count_of: Sequence[int]) -> list[Shard]:
    """Rows of each shard: those of a split in order, in parts of nearly one length.

    Args:
        splits: Of the manifest, int8 (samples,).
        count_of: How many shards each split has.
    """
    shards = []
    for split, count in enumerate(count_of):
        rows = (splits == split).nonzero()[0]
        for number, part in enumerate(np.array_split(rows, count) if len(rows) else []):
            name = f"{SPLIT_NAMES[split]}-{number:05d}-of-{count:05d}"
            shards.append(Shard(name, split, part))
    return shards


def read_part(path: Path) -> Part | None:
    """Index of a shard; None where it is missing or broken."""
    try:
        found = load_npz(path)
        columns = {name: found[name] for name in COLUMNS}
        words = json.loads(found["words"].tobytes())
        ids = _ids(found["ids"])
        told = (words["size"], words["sha256"], words.get("pictures", ""))
        part = Part(columns, ids, found["labels"], *told)
        return part if _fits(part) else None
    # A border: whatever a damaged index raises means that it is broken.
    except Exception:
        return None


def _ids(joined: Any) -> Ids:
    """Ids that are joined by NUL, uint8 (bytes,).

    Raises:
        UnicodeDecodeError: They are no texts.
    """
    found = Ids.split(joined.tobytes())
    for _ in found:
        pass
    return found


def _fits(part: Part) -> bool:
    """Whether an index describes pictures that lie within its file of records."""
    numbers, labels = [*part.columns.values()], np.asarray(part.labels)
    whole = all(c.dtype.kind in "iu" and c.shape == (len(part.ids),) for c in numbers)
    if not whole or any(c.min(initial=0) < 0 for c in numbers):
        return False
    if any(c.max(initial=0) > np.iinfo(TYPES[name]).max for name, c in part.columns.items()):
        return False
    ends = part.columns["offsets"] + part.columns["lengths"]
    decoders, turned = part.columns["decoders"], part.columns["orientations"]
    labelled = labels.dtype.kind in "iu" and labels.ndim in (1, 2)
    return bool(
        labelled and len(labels) == len(part.ids) and labels.min(initial=0) >= -1
        and isinstance(part.size, int) and isinstance(part.sha256, str)
        and isinstance(part.pictures, str) and ends.max(initial=0) <= part.size
        and set(np.unique(decoders).tolist()) <= {BY_JPEG, BY_PNG, BY_WEBP, BY_PILLOW}
        and turned.min(initial=1) >= 1 and turned.max(initial=1) <= 8
    )  # fmt: skip


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Facts of a prepared folder; None where it is none.

    Raises:
        DataError: The file is broken or of another version.
    """
    path = folder / FACTS
    if not path.is_file():
        return None
    again = "Prepare the data anew."
    text = read_text(path, "json")
    with reading(path, again, "is broken"):
        facts = dict(json.loads(text))
        if (form := facts["format"]) != FORMAT:
            raise DataError(str(path), f"has the format {shown(form)!r}", again)
        _check_facts(facts)
    return facts


def _check_facts(facts: dict[str, Any]) -> None:
    """Refuse facts that are none, whoever wrote them.

    Raises:
        ValueError: A value is missing or of another form.
    """
    shards, names = facts["shards"], facts["class_names"]
    if not (isinstance(shards, list) and shards and all(map(_is_shard, shards))):
        raise ValueError("shards are no names of shards")
    if not (isinstance(names, list) and all(isinstance(one, str) and one for one in names)):
        raise ValueError("class_names are no names")
    if len(set(names)) < len(names) or len(set(shards)) < len(shards):
        raise ValueError("a name stands twice")
    if not isinstance(facts["complete"], bool) or not isinstance(facts["source"], str):
        raise ValueError("complete is true or false, and source a text")


def _is_shard(name: Any) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def read_parts(folder: Path, facts: dict[str, Any], cache_dir: Path) -> list[Part]:
    """Indexes of all shards, in order.

    Args:
        folder: Of the shards.
        facts: See read_facts.
        cache_dir: Where it is remembered which shards are whole.

    Raises:
        DataError: A shard or its index is missing, or not what was written.
    """
    if not facts["complete"]:
        raise DataError(str(folder), "is not prepared to its end", _REMEDY)
    parts = []
    for name in facts["shards"]:
        part, records = read_part(folder / f"{name}.npz"), folder / f"{name}.tfrecord"
        if part is None or not records.is_file() or records.stat().st_size != part.size:
            raise DataError(str(records), "is missing or was changed", _REMEDY)
        parts.append(part)

    def whole(name: str, part: Part) -> bool:
        return verified(folder / f"{name}.tfrecord", files.sha256, part.sha256, cache_dir)

    with ThreadPoolExecutor(4) as pool:
        read = pool.map(whole, facts["shards"], parts)
        checked = console.staged(read, "checking shards", len(parts), "shards")
        for name, good in zip(facts["shards"], checked, strict=True):
            if not good:
                problem = "is damaged: its SHA-256 is another than was written"
                raise DataError(str(folder / f"{name}.tfrecord"), problem, _REMEDY)
    return parts


def check_labels(folder: Path, parts: Sequence[Part], classes: int) -> None:
    """Refuse labels that are none of the classes, or of two forms.

    Raises:
        DataError: They are.
    """
    for part in parts:
        labels = np.asarray(part.labels)
        several = labels.ndim == 2
        fits = labels.shape[1] == classes if several else labels.max(initial=-1) < classes
        if not fits or (several and not np.isin(labels, (0, 1)).all()) or (
            several != (np.ndim(parts[0].labels) == 2)
        ):  # fmt: skip
            raise DataError(str(folder), f"has labels that are none of {classes} classes", _REMEDY)
