"""NumPy files of strangers: plain numbers and texts, their size known before they are read.

A few kilobytes of .npz can expand to gigabytes, and a header can declare what is not there: what
is declared is compared with what lies in the file and with the memory that is free.
"""

import contextlib
import math
import os
import weakref
import zipfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system import memory
from tlcli.system.files import megabytes
from tlcli.system.opened import open_regular, reading

REMEDY = "Save plain number arrays with numpy.save."
ALIGNMENT = 64  # bytes
READERS = 16  # of rows of an array that is larger than memory
# Descriptors of mapped files, by what is mapped.
_files: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()
# A longer header is no array's: NumPy's own bound.
MOST_HEADER = 10_000


def load_npy(path: Path | str, mapped: bool = False, remedy: str = REMEDY) -> Any:
    """The array of a .npy file.

    Args:
        path: The file.
        mapped: Leave it on the disk, memory-mapped; see `check_whole`.
        remedy: What to do about a file that cannot be read, a sentence.

    Raises:
        DataError: It is no such file, cut off, holds objects, or memory cannot hold it.
    """
    with open_regular(path, "arrays") as file, reading(path, remedy):
        shape, fortran, dtype = _header(file)
        size, start = math.prod(shape) * dtype.itemsize, file.tell()
        there = os.fstat(file.fileno()).st_size - start
        if there < size:
            raise ValueError(f"it is cut off: {size:,} bytes are declared, {there:,} are there")
        if mapped and size:
            order = "F" if fortran else "C"
            array = np.memmap(file, dtype, "r", start, shape, order)
            array.filename = str(path)
            _files[array._mmap] = number = os.dup(file.fileno())
            weakref.finalize(array._mmap, os.close, number)
            return array
        require_memory(path, size)
        array = aligned_empty(shape[::-1] if fortran else shape, dtype)
        file.seek(start)
        content: Any = file
        filled = content.readinto(array.reshape(-1).view(np.uint8).data) if size else 0
        if filled != size:
            raise ValueError(f"it is cut off: {size:,} bytes are declared, {filled:,} are there")
        return array.T if fortran else array


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array without content, its memory as TensorFlow's widest kernels ask it: not copied."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def load_npz(
    path: Path | str, wanted: Collection[str] | None = None, remedy: str = REMEDY
) -> dict[str, Any]:
    """Arrays of an .npz file by their names.

    Args:
        path: The file.
        wanted: Names that are read if they are there; None for all.
        remedy: What to do about a file that cannot be read, a sentence.

    Raises:
        DataError: It is no such file, damaged, holds objects, or memory cannot hold it.
    """
    with _members(path, remedy) as (archive, members):
        chosen = {n: m for n, m in members.items() if wanted is None or n in wanted}
        require_memory(path, sum(member.file_size for member in chosen.values()))
        return {name: _member(archive, member) for name, member in chosen.items()}


def require_memory(path: Path | str, size: int) -> None:
    """Refuse a file whose content does not fit in the memory that is free.

    Raises:
        DataError: It does not.
    """
    free = memory.free()
    if size > free:
        problem = f"expands to {megabytes(size)}, and {megabytes(free)} of memory are free"
        raise DataError(str(path), problem, "Give a smaller file, or a folder of .npy files.")


def check_whole(array: Any) -> None:
    """Refuse a mapped array whose file was cut since: reading it would end the process.

    Raises:
        DataError: The file is shorter than the array.
    """
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and mapped.size() < len(mapped):
        raise _cut_off(str(getattr(array, "filename", None) or "an array"))


def is_mapped(array: Any) -> bool:
    """Whether an array is read from its file when it is used."""
    return getattr(array, "_mmap", None) is not None


def picker(array: Any) -> Callable[[Any], Any]:
    """A function from rows to these rows of an array, in their order.

    Of a mapped array that memory will not hold, each row is read by itself, many at a time: a disk
    serves them at once, while a row that is touched in memory is waited for, and 128 kB around it
    are read, too.
    """
    number = _files.get(array._mmap) if is_mapped(array) else None
    whole = number is not None and array.flags.c_contiguous and (
        array.nbytes + array.offset == os.fstat(number).st_size
    )  # fmt: skip
    if number is None or not whole or array.nbytes < memory.free() // 2:
        return lambda rows: np.ascontiguousarray(array[rows])
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)
    pool = ThreadPoolExecutor(READERS)
    size, start = array.nbytes // max(1, len(array)), int(array.offset)
    name = str(array.filename)

    def read(some: Any, rows: Any) -> None:
        for place, row in enumerate(rows.tolist()):
            if os.preadv(number, [some[place]], start + row * size) != size:
                raise _cut_off(name)

    def picked(rows: Any) -> Any:
        found = np.empty((len(rows), size), np.uint8)
        parts = zip(np.array_split(found, READERS), np.array_split(rows, READERS), strict=True)
        list(pool.map(lambda part: read(*part), parts))
        # What is mapped is named here, lest it be let go, and its file closed.
        return found.view(array.dtype).reshape(len(rows), *array.shape[1:])

    return picked


def _cut_off(name: str) -> DataError:
    return DataError(name, "was cut off while it was in use", "Restore it and begin again.")


@contextlib.contextmanager
def _members(path: Path | str, remedy: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    with (
        open_regular(path, "arrays") as file,
        reading(path, remedy),
        zipfile.ZipFile(file) as archive,
    ):
        infos = [member for member in archive.infolist() if not member.is_dir()]
        members = {member.filename.removesuffix(".npy"): member for member in infos}
        if len(members) < len(infos):
            raise ValueError("it has one array twice")
        yield archive, members


def _member(archive: Any, member: Any) -> Any:
    with archive.open(member) as file:
        shape, _, dtype = _header(file)
        declared = math.prod(shape) * dtype.itemsize
        if declared > member.file_size:
            there = f"{declared:,} bytes are declared, {member.file_size:,} are there"
            raise ValueError(f"{member.filename}: {there}")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, whether columns come first, and dtype.

    Raises:
        ValueError: It is no header, or tells of objects.
    """
    form = np.lib.format
    version = form.read_magic(file)
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of .npy")
    try:
        shape, fortran, dtype = readers[version](file, max_header_size=MOST_HEADER)
    # A border: what NumPy's parser says of a damaged header is for its authors.
    except Exception as error:
        raise ValueError("its header describes no array") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    if any(side < 0 for side in shape):
        raise ValueError(f"it declares the shape {shape}")
    return shape, fortran, dtype
