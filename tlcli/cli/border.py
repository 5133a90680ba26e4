"""The outermost border: whatever happens, a person reads one line.

A mistake or a fault of the machine is told by what it says of itself. What is truly a bug ends with
70, and its traceback lies in a file that the line names.
"""

import contextlib
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable

from tlcli.errors import TlError
from tlcli.system.shown import encodable, escaped
from tlcli.system.standing import addressed

BUG = 70
CLOSED_PIPE = 141
INTERRUPTED = 130
# How TensorFlow repeats an error of ours that was raised while it read the data.
_OURS = re.compile(r"\b(?:DataError|ConfigError|NoRoom|StoreError|WriteError): (.+)")


def settle_streams() -> None:
    """Make the standard streams safe to write any text to, also where they are closed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            # A file that is opened later must not become standard output.
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            opened = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            if number:
                setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
                stream = getattr(sys, name)
        if number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def guarded(action: Callable[[], int], word: str) -> int:
    """What an action gives, or the exit code of the one line that tells why it ended.

    Args:
        action: Answers a command line.
        word: The command, or "".
    """
    name = f"tl {word}" if word else "tl"
    try:
        code = action()
        _flush()
    except BrokenPipeError:
        _drop_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return _tell("tl", "interrupted", INTERRUPTED)
    except TlError as error:
        return _tell(name, str(error), error.exit_code)
    except Exception as error:
        return _tell(name, _what(error), _code(error))
    return code


def _code(error: Exception) -> int:
    return 1 if isinstance(error, (OSError, MemoryError)) or _ours(error) else BUG


def _what(error: Exception) -> str:
    """What a fault says of itself; for a bug, where its traceback lies."""
    if isinstance(error, OSError):
        said = error.strerror or _first_line(error)
        place = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
        return f"{place}: {said}." if place else f"{said}."
    if isinstance(error, MemoryError):
        return "out of memory."
    told = _ours(error)
    if told:
        return told
    kind = f"{type(error).__name__}: {_first_line(error)}"
    return f"this is a bug in tl ({kind}). {_kept(error)}"


def _ours(error: BaseException) -> str:
    """An error of ours that TensorFlow wrapped; "" where there is none."""
    if not type(error).__module__.startswith("tensorflow"):
        return ""
    found = _OURS.search(str(error))
    return found[1].strip() if found else ""


def _kept(error: Exception) -> str:
    """Write the traceback into a file; gives the sentence that names it."""
    text = "".join(traceback.format_exception(error))
    try:
        number, path = tempfile.mkstemp(prefix="tl-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as problem:
        sys.stderr.write(text)
        return f"Its traceback stands above, for no file can be written ({problem.strerror})."
    return f"Please report it with its traceback, which is in {path}."


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "nothing more is known"


def _flush() -> None:
    """Give all of standard output to whoever reads it, while a fault can still be told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def _writable() -> bool:
    """Whether what was written to standard output arrived."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _tell(name: str, text: str, code: int) -> int:
    """Write one line to standard error, if anybody is there to read it; gives the code."""
    with contextlib.suppress(OSError, ValueError):
        _complain(name, text)
    if not _writable():
        _drop_output()
    return code


def _complain(name: str, text: str) -> None:
    """Write who says it and what is wrong, on a terminal in its width."""
    line = escaped(addressed(text))
    if sys.stderr.isatty():
        # Where memory or a package is short, the line matters more than its looks.
        with contextlib.suppress(Exception):
            from tlcli.system.screen import Screen

            Screen(sys.stderr).complain(name, line)
            return
    sys.stderr.write(encodable(f"{name}: {line}\n", sys.stderr.encoding))
    sys.stderr.flush()


def _drop_output() -> None:
    """Send what is still in the buffer of standard output nowhere, or Python complains at exit."""
    with contextlib.suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
        sys.stdout.flush()
