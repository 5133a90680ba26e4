"""Pictures in files that hold many of them: shards, archives, tables; each by file and offset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from tlcli.contracts.data import Manifest
from tlcli.data.content import Contents, Origin
from tlcli.data.damage import Damage
from tlcli.data.encoded import EncodedImages, read_by
from tlcli.data.manifest import check_readable
from tlcli.data.prepared import COLUMNS
from tlcli.data.readable import Reading
from tlcli.data.samples import Samples, check_classes, describe_sizes, fingerprint
from tlcli.data.stamps import stamp_of
from tlcli.data.stored import Index
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system.opened import read_part
from tlcli.system.remote import StoreError


class Unpacking(Protocol):
    """Reads pictures that do not lie in their file as they are."""

    def read(self, path: Path, number: int) -> tuple[bytes, tuple[int, int]]:
        """Bytes of a row of a file, and the stamp that the file had then."""

    def notes(self, paths: Sequence[Path]) -> list[str]:
        """What a person should know of reading these files so."""


@dataclass(frozen=True)
class Files:
    """Files of pictures, as they were when they were indexed.

    Attributes:
        paths: The files.
        stamps: Of each, see stamps.stamps.
        memory: What remembers the hashes of their pictures.
        unpack: Reads what has an offset below 0, -1 - number; None where nothing has.
    """

    paths: Sequence[Path]
    stamps: Any
    memory: Path
    unpack: Unpacking | None = None


@dataclass(frozen=True)
class Records:
    """Where the pictures of some samples lie.

    Attributes:
        files: What holds them.
        numbers: File of each sample, int32 (samples,).
        columns: prepared.COLUMNS by name, integers (samples,).
    """

    files: Files
    numbers: Any
    columns: Mapping[str, Any]

    @classmethod
    def of(cls, files: Files, indexes: Sequence[Index], rows: Any) -> "Records":
        """Some rows of all files together, int64 (rows,)."""
        counts = [len(index.counts) for index in indexes]
        numbers = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[rows]
        columns = {
            name: np.concatenate([index.columns[name] for index in indexes])[rows]
            for name in COLUMNS
        }
        return cls(files, numbers, columns)

    def keep(self, rows: Any) -> "Records":
        """The rows given, int64 (rows,)."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Records(self.files, self.numbers[rows], columns)

    def stamps(self) -> Any:
        """Stamp of each sample's file, int64 (samples, 2)."""
        return self.files.stamps[self.numbers]

    def read(self, row: int) -> tuple[bytes, tuple[int, int]]:
        """Bytes of a picture, and the stamp of its file now.

        Raises:
            DataError: The file cannot be read, or ends before the picture.
        """
        path, offset = self.files.paths[self.numbers[row]], int(self.columns["offsets"][row])
        if offset < 0 and self.files.unpack is not None:
            return self.files.unpack.read(path, -1 - offset)
        length = int(self.columns["lengths"][row])
        data, status = read_part(path, "shard", offset, length)
        if len(data) < length:
            raise DataError(str(path), "is shorter than it was", "Restore it.")
        return data, stamp_of(status)

    def images(self, ids: Any, damage: Damage) -> EncodedImages:
        """Image source that reads a picture's bytes from its file."""
        files = self.files

        def whole(row: int) -> bytes:
            try:
                data, now = self.read(row)
            except DataError as error:
                problem = f"cannot be read: {error.where} {error.problem}"
                raise contents.other(row, problem) from None
            except StoreError as error:
                raise contents.unreached(row, error) from None
            return contents.taken(row, data, now)

        paths = [str(path) for path in files.paths]
        origin = Origin(paths, self.numbers, files.stamps, ids, whole, files.memory)
        contents = Contents(origin)
        headers = SimpleNamespace(**self.columns)
        return EncodedImages(
            lambda index: read_by(whole, index), ids, headers, whole, contents, damage
        )


@dataclass(frozen=True)
class Told:
    """What is said of packed pictures beside themselves.

    Attributes:
        root: What the user named.
        skipped: See leave_out.
        notes: Facts for the report.
    """

    root: str
    skipped: Sequence[tuple[str, str]]
    notes: Sequence[str]


def without_faults(
    samples: Samples, records: Records, told: Told, how: Reading, cache_dir: Path
) -> Manifest:
    """Manifest of pictures without those that are known to be faulty.

    Args:
        samples: All that are readable, with their splits.
        records: Where they lie.
        told: What else is said.
        how: What is to be done about faults.
        cache_dir: Where faults are remembered.
    """
    own = fingerprint(samples, [records.columns["lengths"], records.columns["checksums"]])
    skipped = told.skipped
    left = (len(skipped), len(skipped) + len(samples.ids))
    damage = Damage(told.root, cache_dir, how.on_error, how.damaged, left)
    faults = damage.known(samples.ids, records.stamps(), lambda row: records.read(row)[0])
    if faults:
        rows = np.setdiff1d(np.arange(len(samples.ids)), list(faults))
        skipped = [*skipped, *((str(samples.ids[row]), why) for row, why in faults.items())]
        whole = samples.keep(rows)
        check_readable(samples, whole.ids, skipped)
        check_classes(whole)
        samples, records = whole, records.keep(rows)
    columns = records.columns
    return Manifest(
        ids=samples.ids,
        labels=samples.labels,
        splits=samples.splits,
        class_names=samples.class_names,
        images=records.images(samples.ids, damage),
        root=told.root,
        fingerprint=fingerprint(samples, [columns["lengths"], columns["checksums"]]),
        report={
            "skipped": skipped,
            "duplicates": [],
            "sizes": describe_sizes(columns["widths"], columns["heights"]),
            "notes": [*told.notes, *samples.notes],
        },
        own=own if faults else None,
        listed=own if faults else None,
    )
