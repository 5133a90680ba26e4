"""Arrow files as `datasets` keeps them: pictures lie in them as they are, and are read there."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlcli.data.arrow import arrow, batch_rows, columns_of
from tlcli.data.stored import Format, Row
from tlcli.errors import DataError
from tlcli.system.opened import open_regular, reading
from tlcli.system.shown import shown

_REMEDY = "Save the data set again with save_to_disk."


def form(image: str | None, label: str | None) -> Format:
    """How Arrow files are gone through."""
    key = f"arrow\0{image}\0{label}"
    return Format(key, "files", functools.partial(rows, image, label))


def rows(image: str | None, label: str | None, path: Path) -> Iterator[Row]:
    """Rows of a file in order.

    Raises:
        DataError: It is no whole Arrow file, or is compressed.
    """
    module = arrow("Arrow files")
    with open_regular(path, "shard"), reading(path, _REMEDY, "is no whole Arrow file"):
        mapped = module.memory_map(str(path))
        whole = mapped.read_buffer(mapped.size())
        batches = module.ipc.open_stream(module.BufferReader(whole))
    columns = columns_of(str(path), batches.schema, image, label)
    while (batch := _next(path, batches)) is not None:
        for data, name, labels in batch_rows(str(path), batch, columns):
            yield _row(path, data, name, labels, whole)


def _next(path: Path, batches: Any) -> Any:
    with reading(path, _REMEDY, "is cut off or damaged"):
        try:
            return batches.read_next_batch()
        except StopIteration:
            return None


def _row(path: Path, data: Any, name: str, labels: Any, whole: Any) -> Row:
    if data is None:
        only = f", only the path {shown(name)}" if name else ""
        return Row(0, b"", labels, name, problem=f"holds no bytes of a picture{only}")
    offset = data.address - whole.address
    if data.size and not 0 <= offset <= whole.size - data.size:
        raise DataError(str(path), "is compressed, so that no picture can be read alone", _REMEDY)
    return Row(max(offset, 0), data.to_pybytes(), labels, name)
