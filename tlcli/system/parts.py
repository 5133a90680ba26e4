"""Arrays that one worker writes and another reads: parts of what several compute together."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.errors import TlError
from tlcli.lazy import np
from tlcli.system import crew as crews
from tlcli.system import files
from tlcli.system.array_file import load_npz
from tlcli.system.crew import Crew, Work


def computed(
    crew: Crew, place: Path, count: int, make: Callable[[int], Sequence[Any]], tell: str = "",
    made_of: Callable[[int], str] = lambda _: "",
) -> Iterator[Sequence[Any]]:  # fmt: skip
    """Arrays of all parts in order, each computed by one of the workers before this returns.

    Where all is over and cleared meanwhile, what is asked for is computed anew.

    Args:
        crew: This worker.
        place: Folder of the parts.
        count: How many there are.
        make: Computes the arrays of a part, by its number.
        tell: What is done, in words.
        made_of: What a part follows from, by its number, beside what the folder is called by.

    Raises:
        WriteError: They cannot be written.
    """

    def path(name: str) -> Path:
        return place / f"{name}{crews.PART}"

    def do(name: str, number: int) -> None:
        write(path(name), make(number), made_of(number))

    names = [f"{number:08d}" for number in range(count)]
    order = [(names[number], number) for number in crew.rotated(count)]
    Work(place, lambda: order, do, lambda name: path(name).is_file(),
         lambda: crews.is_closed(place), tell if crew.is_chief else "").finish()  # fmt: skip

    def found() -> Iterator[Sequence[Any]]:
        for number, name in enumerate(names):
            kept = read(path(name), made_of(number))
            yield make(number) if kept is None else kept

    return found()


def write(path: Path, arrays: Sequence[Any], made_of: str = "") -> None:
    """Write arrays, whole or not at all.

    Args:
        path: Of the part.
        arrays: In order.
        made_of: What they follow from, beside what the part is called by.

    Raises:
        WriteError: It cannot be written.
    """
    head = {"dtypes": [str(one.dtype) for one in arrays], "made_of": made_of}
    # As a .npz can hold it: bfloat16 as its bits.
    plain = [one.view(np.uint16) if str(one.dtype) == "bfloat16" else one for one in arrays]
    columns = {str(number): one for number, one in enumerate(plain)}
    words = np.frombuffer(json.dumps(head).encode(), np.uint8)

    def fill(file: BinaryIO) -> None:
        np.savez(file, words=words, **columns)

    files.write(path, fill)


def read(path: Path, made_of: str = "") -> list[Any] | None:
    """Arrays of a part; None where it is missing, damaged, or follows from something else."""
    try:
        found = load_npz(path)
        head = json.loads(found["words"].tobytes())
        arrays = [found[str(number)] for number in range(len(head["dtypes"]))]
        pairs = zip(arrays, head["dtypes"], strict=True)
        return [_as(*pair) for pair in pairs] if head["made_of"] == made_of else None
    except (OSError, TlError, ValueError, KeyError, TypeError):
        return None


def _as(array: Any, dtype: str) -> Any:
    if dtype != "bfloat16":
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)
