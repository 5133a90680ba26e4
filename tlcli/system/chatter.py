"""What libraries write past Python, to the descriptors themselves."""

import contextlib
import os
import sys
from collections.abc import Iterator

from tlcli.system import console


@contextlib.contextmanager
def silent(*descriptors: int) -> Iterator[None]:
    """Send what is written to descriptors nowhere; what we say is heard.

    Args:
        descriptors: 1 for standard output, 2 for standard error; none takes both.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    wanted = descriptors or (1, 2)
    kept = {number: os.dup(number) for number in wanted}
    sink = os.open(os.devnull, os.O_WRONLY)
    heard = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    for number in wanted:
        os.dup2(sink, number)
    os.close(sink)
    console.start_log(None, stream=heard)
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, own in kept.items():
            os.dup2(own, number)
            os.close(own)
        console.start_log(None)
        heard.close()
