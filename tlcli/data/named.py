"""Pictures that a command line names: found one after the other, decoded ahead of their use."""

import glob
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any

from tlcli.data.decode import decode, decode_file, upright
from tlcli.data.header import BY_JPEG, MAX_PIXELS, inspect
from tlcli.data.resize import Resize
from tlcli.data.walk import LeftOut, walk
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.lazy import tf
from tlcli.system.located import located
from tlcli.system.opened import read_bytes
from tlcli.system.remote import StoreError, is_address
from tlcli.system.remote_cache import current
from tlcli.system.shown import shown
from tlcli.system.standing import addressed


def expand(given: Iterable[str], left_out: LeftOut) -> Iterator[str]:
    """Files that words stand for: files, folders, globs, addresses; `-` is standard input.

    Memory holds the names of one folder (and of those it lies in) or of one glob.

    Args:
        given: The words.
        left_out: Gets what folders hold beside pictures.

    Raises:
        ConfigError: A folder holds no picture, or there is nothing at all.
    """
    words = tuple(given)
    for word in words:
        path = located(word, "images")
        passed = LeftOut()
        if word != "-" and path.is_dir() and next(_below(str(path), passed), None) is None:
            why = f" ({'; '.join(passed.notes())})" if passed else ""
            raise ConfigError(
                "images", f"{shown(word)} holds no picture{why}", "Give another folder."
            )
    found = chain.from_iterable(_meant(word, left_out) for word in words)
    first = next(found, None)
    if first is None:
        raise ConfigError("images", "none was found", "Give files, folders or globs.")
    return chain([first], found)


def _meant(word: str, left_out: LeftOut) -> Iterator[str]:
    path = located(word, "images")
    if word == "-":
        yield from listed()
    elif path.is_dir():
        yield from map(addressed, _below(str(path), left_out))
    elif not path.exists() and (names := sorted(glob.glob(str(path), recursive=True))):
        yield from map(addressed, names)
    else:
        yield addressed(str(path))


def listed() -> Iterator[str]:
    """Files that lines of standard input name, as they come."""
    # A list from Windows ends its lines with a carriage return, and may begin with a mark.
    lines = (os.fsdecode(line.rstrip(b"\r\n")) for line in sys.stdin.buffer)
    yield from (line.removeprefix("\ufeff") for line in lines if line.strip())


def _below(folder: str, left_out: LeftOut) -> Iterator[str]:
    """What may be a picture below a folder, as a training finds it."""
    for name, *_ in walk(folder, left_out, lambda _: None):
        yield os.path.join(folder, name)


def at_hand(picture: str | bytes) -> str | bytes:
    """The file of a picture that is named by an address; any other as it is.

    Raises:
        ConfigError: There is nothing at the address.
        DataError: It may not be read.
        StoreError: The store does not answer.
    """
    if isinstance(picture, str) and is_address(picture):
        return str(current().known(picture, "images"))
    return picture


def reader(resize: Resize, max_pixels: int = MAX_PIXELS) -> Callable[[str | bytes], Any]:
    """A function from a file or its bytes to its evaluation view, or a TlError.

    The view is uint8 (size, size, 3), its pixels those of `tl eval`: the same operations decode,
    turn and resize.

    Args:
        resize: How pictures become squares.
        max_pixels: Width times height above which a picture is refused.
    """
    side = resize.short_side
    text, number = tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)

    def jpeg(data: Any) -> Any:
        return resize.apply(decode(data, BY_JPEG, side))

    def other(data: Any, decoder: Any, orientation: Any) -> Any:
        return resize.apply(upright(decode(data, decoder, side), orientation))

    of_jpeg = tf.function(jpeg, input_signature=[text], autograph=False)
    of_other = tf.function(other, input_signature=[text, number, number], autograph=False)

    def read(given: str | bytes) -> Any:
        picture = given
        try:
            picture = at_hand(given)
            header = inspect(picture, max_pixels)
            data = picture if isinstance(picture, bytes) else read_bytes(picture, "picture")
            if header.decoder == BY_JPEG and header.orientation == 1:
                return of_jpeg(tf.constant(data))
            return of_other(tf.constant(data), header.decoder, header.orientation)
        except StoreError:  # of no picture's making
            raise
        except TlError as problem:
            return problem
        except (OSError, tf.errors.OpError):
            return _why(picture, max_pixels)

    return read


def _why(picture: str | bytes, max_pixels: int) -> TlError:
    """Decode a picture that failed by itself, where the error tells the reason alone."""
    name = "image" if isinstance(picture, bytes) else picture
    try:
        decode_file(picture, max_pixels)
    except TlError as problem:
        return problem
    except OSError as error:
        return DataError(name, f"cannot be read: {error.strerror}", "Check the file.")
    return DataError(name, "changed while it was read", "Run the command again.")


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
