"""Pictures that come one after the other, as a script or a camera writes them."""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from tlcli.data.walk import LeftOut, walk
from tlcli.errors import DataError

# Seconds between two looks into a folder; a folder that takes long is looked into more rarely.
PAUSE, SHARE = 0.5, 10


def watched(folder: Path, looks: int | None = None) -> Iterator[str]:
    """Files of a folder as they come, those that are there first.

    A file counts once it is whole: two looks found it the same, and not empty. One that is written
    anew counts again; one that is taken away is forgotten.

    Args:
        folder: With those below it.
        looks: How often it is looked into; None for ever.

    Raises:
        DataError: The folder is gone, or cannot be read.
    """
    told: dict[str, tuple[int, int]] = {}
    before: dict[str, tuple[int, int]] = {}
    for _ in islice(iter(int, 1), looks):
        began = time.monotonic()
        now = _listed(folder)
        told = {name: stamp for name, stamp in told.items() if name in now}
        for name, stamp in now.items():
            if stamp[0] and before.get(name) == stamp and told.get(name) != stamp:
                told[name] = stamp
                yield str(folder / name)
        before = now
        time.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))


def _listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Bytes and time of writing of each file; of none where a folder went meanwhile."""
    found = {}
    try:
        for name, *_ in walk(str(folder), LeftOut(), lambda _: None):
            # Not the mark: rights that are set after the content make no other picture.
            with contextlib.suppress(OSError):
                status = os.stat(folder / name)
                found[name] = (status.st_size, status.st_mtime_ns)
    except DataError:
        if not folder.is_dir():
            raise
    return found


def flowing(
    work: Callable[[str], Any], paths: Iterable[str], workers: int, size: int
) -> Iterator[list[tuple[str, Any]]]:
    """Parts of paths with what work makes of each, in order: as many as have come, none waits.

    Args:
        work: Called in threads.
        paths: May take any time to give the next.
        workers: Threads.
        size: Most paths of a part.
    """
    waiting: queue.Queue[Any] = queue.Queue(2 * size + workers)
    pool = ThreadPoolExecutor(workers)
    reader = threading.Thread(target=_feed, args=(work, paths, pool, waiting), daemon=True)
    reader.start()
    try:
        part: list[Any] = [waiting.get()]
        while part[0] is not None:
            while len(part) < size and part[-1] is not None and not waiting.empty():
                part.append(waiting.get())
            ended = part[-1] is None
            yield [_result(one) for one in part if one is not None]
            part = [None] if ended else [waiting.get()]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _feed(
    work: Callable[[str], Any], paths: Iterable[str], pool: ThreadPoolExecutor,
    waiting: "queue.Queue[Any]",
) -> None:  # fmt: skip
    """Submit each path as it comes; None is the end, and an exception is whoever waits' to see."""
    try:
        for path in paths:
            waiting.put((path, pool.submit(work, path)))
    # A border between two threads.
    except BaseException as error:
        waiting.put(error)
    waiting.put(None)


def _result(one: Any) -> tuple[str, Any]:
    if isinstance(one, BaseException):
        raise one
    path: str = one[0]
    future: Future[Any] = one[1]
    return path, future.result()
