"""Pictures that a command line names: found one after the other, decoded ahead of their use."""

import glob
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from tlcli.data.decode import decode, decode_file, upright
from tlcli.data.header import BY_JPEG, inspect
from tlcli.data.resize import Resize
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.lazy import tf
from tlcli.system.files import expanded

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".jpe", ".jfif")
MAX_PIXELS = 50_000_000


def expand(given: Iterable[str]) -> Iterator[str]:
    """Files that words stand for: files, folders, globs, and lines of standard input for `-`.

    Memory holds the names of one folder (and of those it lies in) or of one glob.

    Raises:
        ConfigError: A folder holds no picture, or there is nothing at all.
    """
    words = tuple(given)
    for word in words:
        path = expanded(word, "images")
        if word != "-" and path.is_dir() and next(_below(str(path)), None) is None:
            raise ConfigError("images", f"{word} holds no picture", "Give another folder.")
    found = chain.from_iterable(map(_meant, words))
    first = next(found, None)
    if first is None:
        raise ConfigError("images", "none was found", "Give files, folders or globs.")
    return chain([first], found)


def _meant(word: str) -> Iterator[str]:
    path = expanded(word, "images")
    if word == "-":
        yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
    elif path.is_dir():
        yield from _below(str(path))
    elif not path.exists() and (names := sorted(glob.glob(str(path), recursive=True))):
        yield from names
    else:
        yield str(path)


def _below(folder: str) -> Iterator[str]:
    """Pictures below a folder by their extension, in order of their names."""
    with os.scandir(folder) as entries:
        found = sorted((e.name, e.is_dir(follow_symlinks=False), e.is_dir()) for e in entries)
    for name, is_folder, leads_to_one in found:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _below(path)
        elif not leads_to_one and os.path.splitext(name)[1].lower() in ENDINGS:
            yield path


def reader(resize: Resize) -> Callable[[str], Any]:
    """A function from a file to its evaluation view, uint8 (size, size, 3), or a TlError.

    The pixels are those of `tl eval`: the same operations decode, turn and resize.
    """
    side = resize.short_side
    text, number = tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)

    def jpeg(data: Any) -> Any:
        return resize.apply(decode(data, BY_JPEG, side))

    def other(data: Any, decoder: Any, orientation: Any) -> Any:
        return resize.apply(upright(decode(data, decoder, side), orientation))

    of_jpeg = tf.function(jpeg, input_signature=[text], autograph=False)
    of_other = tf.function(other, input_signature=[text, number, number], autograph=False)

    def read(path: str) -> Any:
        try:
            header = inspect(path, MAX_PIXELS)
            data = Path(path).read_bytes()
            if header.decoder == BY_JPEG and header.orientation == 1:
                return of_jpeg(tf.constant(data))
            return of_other(tf.constant(data), header.decoder, header.orientation)
        except TlError as problem:
            return problem
        except (OSError, tf.errors.OpError):
            return _why(path)

    return read


def _why(path: str) -> TlError:
    """Decode a file that failed by itself, where the error tells the reason alone."""
    try:
        decode_file(path, MAX_PIXELS)
    except TlError as problem:
        return problem
    except OSError as error:
        return DataError(path, f"cannot be read: {error.strerror}", "Check the file.")
    return DataError(path, "changed while it was read", "Run the command again.")


def ahead(
    work: Callable[[str], Any], paths: Iterable[str], workers: int, most: int
) -> Iterator[tuple[str, Any]]:
    """Each path with what work makes of it, in order; at most `most` of them wait.

    Args:
        work: Called in threads.
        paths: Taken only as far as they are needed.
        workers: Threads.
        most: Results that may be ready or under way before they are asked for.
    """
    pool = ThreadPoolExecutor(workers)
    waiting: deque[tuple[str, Future[Any]]] = deque()
    try:
        for path in paths:
            waiting.append((path, pool.submit(work, path)))
            if len(waiting) >= most:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
