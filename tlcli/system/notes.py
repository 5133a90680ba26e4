"""What is said to a person, as values: lines with a label, tables, sheets of both.

A value knows its whole plain text, which the log of a run holds. The terminal shows what fits.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

# What everybody must read, what experts look up (verbose=true), what may be wrong, and what stands
# out in a result.
Kind = Literal["must", "expert", "warning", "best", "worst"]
MUST: Kind = "must"
EXPERT: Kind = "expert"
WARNING: Kind = "warning"
BEST: Kind = "best"
WORST: Kind = "worst"

LABEL = 10
_LABELLED = re.compile(rf"(?=.{{{LABEL}}} )(\S+(?: \d+)?) *(?<=^.{{{LABEL + 1}}})(.*)")
_GOES_ON = " " * (LABEL + 1)


@dataclass(frozen=True)
class Note:
    """One line: a label in a column of LABEL characters, then a text.

    Attributes:
        label: A word; empty where the line goes on with the one before.
        text: What is said, in one line.
        kind: For whom it is.
    """

    label: str
    text: str
    kind: Kind = MUST

    @property
    def plain(self) -> str:
        """The line as the log has it."""
        return f"{self.label:<{LABEL}} {self.text}".rstrip()


@dataclass(frozen=True)
class Line:
    """A line without a label."""

    text: str
    kind: Kind = MUST

    @property
    def plain(self) -> str:
        """The line as the log has it."""
        return self.text


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its head.
        width: Least characters; a longer cell or title takes its room.
        rank: Where a terminal is narrow, columns of the highest rank are left out first.
        left: Whether cells stand at its left.
    """

    title: str
    width: int = 0
    rank: int = 0
    left: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells in columns that leave out what a narrow terminal has no room for.

    Attributes:
        columns: From left to right; the first is that of labels, where `labelled`.
        rows: Cells of each row, one a column.
        titled: Whether the titles are shown.
        labelled: Whether the first column is as wide as the labels of notes, and all stand apart.
        kind: For whom it is.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    titled: bool = True
    labelled: bool = True
    kind: Kind = MUST

    @property
    def plain(self) -> str:
        """All columns, as the log has them."""
        return "\n".join(self.lines())

    def lines(self, width: int | None = None) -> list[str]:
        """The rows as text.

        Args:
            width: Characters of the terminal; None shows every column.
        """
        columns = self._settled()
        gap = 2 if self.labelled else 1
        kept = fitting(columns, width, gap)
        titles = tuple(column.title for column in columns)
        rows = [titles, *self.rows] if self.titled else self.rows
        return [_row(columns, row, kept, gap) for row in rows]

    def _settled(self) -> list[Column]:
        """The columns as wide as what they hold."""
        found = []
        for index, column in enumerate(self.columns):
            width = max([column.width, len(column.title), *(len(row[index]) for row in self.rows)])
            found.append(replace(column, width=width))
        if self.labelled and found:
            found[0] = replace(found[0], width=LABEL - 1, left=True)
        return found


def fitting(columns: Sequence[Column], width: int | None, gap: int = 1) -> list[int]:
    """Numbers of the columns that a width has room for, those of the lowest ranks.

    Args:
        columns: With their widths.
        width: Characters, or None for any.
        gap: Spaces between two columns.
    """
    kept = list(range(len(columns)))
    while width is not None and len(kept) > 1:
        if sum(columns[i].width + gap for i in kept) - gap <= width:
            break
        worst = max(kept, key=lambda i: (columns[i].rank, i))
        if not columns[worst].rank:
            break
        kept.remove(worst)
    return kept


def _row(columns: Sequence[Column], cells: Sequence[str], kept: Sequence[int], gap: int) -> str:
    parts = [
        f"{cells[i]:<{columns[i].width}}" if columns[i].left else f"{cells[i]:>{columns[i].width}}"
        for i in kept
    ]
    return (" " * gap).join(parts).rstrip()


Said: TypeAlias = Note | Line | Table


@dataclass(frozen=True)
class Sheet:
    """What belongs together, of which a terminal shows no more than a number of lines.

    Attributes:
        said: In order; what may be wrong is shown last.
        most: Lines of a terminal that show all but what is for experts.
        rest: Where all of it is, in words.
    """

    said: tuple[Said, ...]
    most: int = 20
    rest: str = "verbose=true shows all"

    @property
    def plain(self) -> str:
        """All of it, a line each."""
        return "\n".join(one.plain for one in self.said)

    def chosen(self, verbose: bool) -> list[Said]:
        """What is shown: everything in its order, or what is not for experts, warnings last."""
        if verbose:
            return list(self.said)
        shown = [one for one in self.said if one.kind != EXPERT]
        return sorted(shown, key=lambda one: one.kind == WARNING)


def of_line(line: str, kind: Kind = MUST) -> Said:
    """A line of the log as a value: its label told apart where it has one."""
    if line.startswith(_GOES_ON):
        return Note("", line[len(_GOES_ON) :], kind)
    found = _LABELLED.fullmatch(line)
    return Note(found[1], found[2], kind) if found else Line(line, kind)
