"""Text that came from outside, as a person may see it: no escape codes, no formulas, no commands.

Names of files and classes and what metadata says may hold anything. A terminal obeys control
characters, a spreadsheet computes what begins like a formula, and text that runs backwards hides
what it says.
"""

import csv
import re
import shlex
from collections.abc import Iterable
from typing import TextIO

from tlcli.system.standing import addressed

MOST = 240
_JOINERS = "\u200c\u200d"  # between letters of some scripts, and in emoji
# What stands for a sign that a terminal's code page lacks; of a row all or none, so that bars rise.
_PLAINER = (("…", "..."), ("\xd7", "x"), ("²", "2"), ("±", "+-"), ("→", "->"))
_PLAINER_ROWS = (("▁▂▃▄▅▆▇█", "_.:-=+*#"), ("━─", "#-"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_HIDDEN_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)


def shown(text: object, most: int = MOST) -> str:
    r"""One line of what cannot do harm: `\x1b` for an escape, `\xff` for a byte that is no UTF-8.

    Args:
        text: Anything from outside.
        most: Characters; the middle of a longer text is left out.
    """
    line = escaped(addressed(str(text)))
    if len(line) <= most:
        return line
    half = (most - 1) // 2
    return f"{line[:half]}…{line[-half:]}"


def shown_lines(text: str) -> str:
    """Text of several lines for a terminal, its line ends and tabs kept."""
    text = addressed(text)
    if text.isprintable():
        return text
    return "".join(one if one in "\n\t" else _safe(one) for one in text)


def escaped(text: str) -> str:
    """The whole text in one line, what is not printable as an escape of Python."""
    return text if text.isprintable() else "".join(map(_safe, text))


def _safe(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS:
        return letter
    if "\udc80" <= letter <= "\udcff":  # what Python makes of a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape", "surrogatepass").decode()


def encodable(text: str, encoding: str | None) -> str:
    r"""Text in signs that an encoding has: `...` for `…`, `\xfc` for what nothing stands for.

    Args:
        text: Of any characters.
        encoding: Of the stream that it goes to; None counts as ASCII.
    """
    code = encoding or "ascii"
    if text.isascii() or _has(text, code):
        return text
    for row, plain in _PLAINER_ROWS:
        if not _has(row, code):
            text = text.translate(str.maketrans(row, plain))
    for sign, plain in _PLAINER:
        if not _has(sign, code):
            text = text.replace(sign, plain)
    return text.encode(code, "backslashreplace").decode(code)


def _has(text: str, code: str) -> bool:
    try:
        text.encode(code)
    except UnicodeError:
        return False
    return True


def typed(word: object) -> str:
    """A word for a command line to copy: quoted where a shell would take it apart."""
    text = addressed(str(word))
    return shlex.quote(text) if text.isprintable() else f"'{escaped(text)}'"


def json_line(text: str) -> str:
    r"""JSON of one line, equal to what it was: `\u` and digits for what a terminal would obey."""
    return _HIDDEN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class CsvWriter:
    """Rows as RFC 4180 has them; a text that a spreadsheet would compute begins with `'`."""

    def __init__(self, out: TextIO) -> None:
        """Write to a file or to standard output."""
        self._writer = csv.writer(out, lineterminator="\n")

    def row(self, cells: Iterable[object]) -> None:
        """Write a row: texts defused, numbers as they are."""
        self._writer.writerow([cell(c) if isinstance(c, str) else c for c in cells])


def cell(text: str) -> str:
    """A text that a spreadsheet shows and does not compute."""
    return f"'{escaped(text)}" if text.startswith(_FORMULA) else escaped(text)


def defused(text: str) -> str:
    """A text that a spreadsheet does not compute; `fused` gives it back."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def fused(text: str) -> str:
    """The text that `defused` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
