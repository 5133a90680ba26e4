"""What libjpeg says of damaged pictures: a line on C's standard error that names no file.

TensorFlow hands on neither the warning nor a count, so C's `stderr` points to a file of ours while
pictures are decoded. Python's own standard error is another one and stays. Where the C library has
no such variable nothing is heard, and damaged pictures are used as they decode.
"""

import contextlib
import ctypes
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

_OF_JPEG = re.compile(rb"(?m)^(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progr).*\n?")
_UNBUFFERED = 2  # _IONBF
_lock = threading.RLock()


class _Ear:
    """C's standard error, which can be pointed to a file and back."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        library.fdopen.restype = ctypes.c_void_p
        library.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - C writes to it until the end
        stream = library.fdopen(os.dup(self.file.fileno()), b"a")
        library.setvbuf(stream, None, _UNBUFFERED, 0)
        self.variable: Any = ctypes.c_void_p.in_dll(library, "stderr")
        self.ours, self.theirs, self.listeners, self.heard = stream, self.variable.value, 0, 0

    def listen(self, change: int) -> None:
        """One listener more or less."""
        with _lock:
            self.listeners += change
            self.variable.value = self.ours if self.listeners else self.theirs
            self.lines()

    def lines(self) -> int:
        """How many lines of libjpeg there were since the start; others go where they belong."""
        with _lock:
            number = self.file.fileno()
            if os.fstat(number).st_size:
                text = os.pread(number, 1 << 20, 0)
                os.ftruncate(number, 0)
                self.heard += len(_OF_JPEG.findall(text))
                if rest := _OF_JPEG.sub(b"", text):
                    with contextlib.suppress(OSError):
                        os.write(2, rest)
            return self.heard


@cache
def _ear() -> _Ear | None:
    try:
        return _Ear()
    except (OSError, ValueError, AttributeError):
        return None


def so_far() -> int:
    """How many complaints there were, for `listening` to begin from."""
    ear = _ear()
    return 0 if ear is None else ear.lines()


@contextlib.contextmanager
def listening(since: int | None = None) -> Iterator[Callable[[], bool]]:
    """Inside, the function given tells whether libjpeg has complained since the start.

    Args:
        since: What `so_far` gave; then what was heard from there on counts, which another one who
            listened all the while has kept. None begins now.
    """
    ear = _ear()
    if ear is None:
        yield lambda: False
        return
    ear.listen(1)
    before = ear.lines() if since is None else since
    try:
        yield lambda: ear.lines() > before
    finally:
        ear.listen(-1)
