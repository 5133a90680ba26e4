"""Names of many samples as one array of their bytes: a text object each takes 80 bytes more."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from tlcli.lazy import np

# Names that are made texts, or moved, at a time.
PIECE = 1 << 16


class Ids(Sequence[str]):
    """Texts without NUL, in UTF-8 one after the other, a NUL behind each.

    Where a number picks one it is a text; where an array of rows, or of bool, picks some, these are
    `Ids` again. NumPy takes them as an array of objects.
    """

    def __init__(self, content: Any) -> None:
        """Take the bytes, uint8 (bytes,)."""
        self.content = content
        ends = np.flatnonzero(content == 0)
        self._ends = ends.astype(np.uint32 if len(content) < 2**32 else np.int64)

    @classmethod
    def of(cls, names: Iterable[str]) -> "Ids":
        """Texts as they come."""
        content = bytearray()
        for name in names:
            content += name.encode("utf-8", "surrogatepass") + b"\0"
        return cls(np.frombuffer(content, np.uint8))

    @classmethod
    def split(cls, content: bytes) -> "Ids":
        """Parts of bytes that stand between NULs."""
        return cls(np.frombuffer(content + b"\0", np.uint8))

    @classmethod
    def numbered(cls, files: Sequence[str], counts: Sequence[int]) -> "Ids":
        """FILE/0, FILE/1, … of each file, as many as it has."""
        parts = [bytearray()]
        for file, count in zip(files, counts, strict=True):
            head = f"{file}/".encode("utf-8", "surrogatepass")
            for start in range(0, count, PIECE):
                rows = range(start, min(start + PIECE, count))
                parts[0] += b"".join(b"%b%d\0" % (head, row) for row in rows)
        return cls(np.frombuffer(parts[0], np.uint8))

    @classmethod
    def joined(cls, parts: Sequence["Ids"]) -> "Ids":
        """Those of all parts."""
        return cls(np.concatenate([np.zeros(0, np.uint8), *(part.content for part in parts)]))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: Any) -> Any: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            place = np.arange(*place.indices(len(self)))
        if np.ndim(place):
            return self._some(np.asarray(place))
        row = int(place)
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        first = int(self._ends[row - 1]) + 1 if row else 0
        data: bytes = self.content[first : int(self._ends[row])].tobytes()
        return data.decode("utf-8", "surrogatepass")

    def _some(self, rows: Any) -> "Ids":
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        parts = [np.zeros(0, np.uint8)]
        for start in range(0, len(rows), PIECE):
            part = rows[start : start + PIECE] % len(self)
            ends = self._ends[part].astype(np.int64) + 1
            starts = np.where(part > 0, self._ends[part - 1].astype(np.int64) + 1, 0)
            sizes = ends - starts
            shift = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
            parts.append(self.content[np.arange(len(shift)) + shift])
        return Ids(np.concatenate(parts))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), PIECE):
            first = int(self._ends[start - 1]) + 1 if start else 0
            last = int(self._ends[min(start + PIECE, len(self)) - 1])
            text = self.content[first:last].tobytes().decode("utf-8", "surrogatepass")
            yield from text.split("\0")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found = np.empty(len(self), object)
        found[:] = self.tolist()
        return found if dtype is None else found.astype(dtype)

    def astype(self, dtype: Any) -> Any:
        """An array of texts, or of objects."""
        return self.__array__(dtype)

    def tolist(self) -> list[str]:
        """All as texts."""
        return list(self)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self.content.nbytes + self._ends.nbytes)

    @property
    def are_empty(self) -> bool:
        """Whether none has a letter."""
        return len(self.content) == len(self)

    @property
    def are_different(self) -> bool:
        """Whether no two are the same."""
        hashes = np.sort(np.fromiter(map(hash, self), np.int64, len(self)))
        if not (hashes[1:] == hashes[:-1]).any():
            return True
        return len({*self}) == len(self)


def as_ids(names: Iterable[str]) -> Ids:
    """Names in this form."""
    return names if isinstance(names, Ids) else Ids.of(names)
