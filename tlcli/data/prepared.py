"""What `tl prepare` makes: TFRecord shards with an index beside each, and one file of facts.

    prepared.json                        facts: classes, shards, what they were made from
    labels.txt                           class names for other tools
    train-00000-of-00008.tfrecord        records as TensorFlow's image tools write them
    train-00000-of-00008.npz             where each picture lies, its id, label, size and header

Ids, labels, splits and class names are those of the source, in its order within each split, so
that a training sees the same batches from either.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts.data import SPLIT_NAMES
from tlcli.data.hash_memory import verified
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system import console, files

FACTS = "prepared.json"
FORMAT = "tl-prepared-1"
COLUMNS = ("offsets", "lengths", "decoders", "orientations", "widths", "heights", "checksums")
_REMEDY = "Run tl prepare again; it completes the folder."


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
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in COLUMNS}
            words = json.loads(file["words"].tobytes())
            ids = file["ids"].tobytes().decode().split("\0")
            told = (words["size"], words["sha256"], words.get("pictures", ""))
            return Part(columns, ids, file["labels"], *told)
    # A border: whatever a damaged index raises means that it is broken.
    except Exception:
        return None


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Facts of a prepared folder; None where it is none.

    Raises:
        DataError: The file is broken or of another version.
    """
    path = folder / FACTS
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        form = facts["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(str(path), "is broken", "Prepare the data anew.") from None
    if form != FORMAT:
        raise DataError(str(path), f"has the format {form!r}", "Prepare the data anew.")
    return dict(facts)


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
