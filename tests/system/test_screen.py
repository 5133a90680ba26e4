"""What a terminal shows: within its width and its code page, colour with a meaning, no markup."""

import io
import re

import pytest

from tlcli.system.notes import BEST, EXPERT, WARNING, Column, Line, Note, Sheet, Table
from tlcli.system.screen import Screen

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG = "a" * 90 + " and words that follow, one after another, until a line is full and more"
SHEET = Sheet(
    (
        Note("data", f"{LONG}, {LONG}"),
        *(Note(f"phase {i}", "so many numbers are trained at such a rate " * 3) for i in range(8)),
        Table((Column("phases"), Column("x", 40, rank=1)), (("phase 1", "1"),)),
        Note("", "of interest to experts", EXPERT),
        Note("warning", "only 12 labelled validation images", WARNING),
        Note("run", "runs/a, seed 0"),
    )
)


class Terminal(io.TextIOWrapper):
    """A stream in memory that says it is a terminal."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="")

    def isatty(self):
        return True

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def drawn(monkeypatch):
    """Draw a value on a terminal; gives what it was sent."""

    def draw(said, width=80, verbose=False, encoding="utf-8", **environment):
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
            monkeypatch.delenv(name, raising=False)
        values = {"TERM": "xterm-256color", "COLUMNS": str(width), **environment}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal(encoding)
        Screen(terminal).show(said, verbose)
        return terminal.text

    return draw


def plain(text):
    return ESCAPES.sub("", text).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal(drawn, width, verbose):
    assert max(map(len, plain(drawn(SHEET, width, verbose)))) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_sheet_has_at_most_twenty_lines_and_says_that_there_is_more(drawn, width):
    lines = plain(drawn(SHEET, width))
    assert len(lines) <= SHEET.most
    assert lines[-1] == "more       verbose=true shows all"
    assert "warning    only 12 labelled validation images" in lines
    assert not any("experts" in line for line in lines)
    everything = plain(drawn(SHEET, width, verbose=True))
    assert len(everything) > SHEET.most
    assert "           of interest to experts" in everything


def test_lines_wrap_at_words_below_the_text(drawn):
    lines = plain(drawn(Note("data", "one two three four five six seven eight"), 40))
    assert lines == ["data       one two three four five six", "           seven eight"]


def test_colour_tells_what_is_best_and_what_may_be_wrong(drawn):
    assert "\x1b[32m" in drawn(Line("a", BEST))
    assert "\x1b[33m" in drawn(Note("warning", "a", WARNING))
    assert not re.search(r"\x1b\[3\d", drawn(Note("data", "a")))
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        assert not re.search(r"\x1b\[(\d;)?3\d", drawn(Line("a", BEST), **{name: value}))


def test_names_from_outside_are_neither_markup_nor_commands(drawn):
    text = drawn(Note("worst", "[red]cat[/red] :dog: \x1b[2J [link=x]y[/link]"))
    assert plain(text) == [r"worst      [red]cat[/red] :dog: \x1b[2J [link=x]y[/link]"]
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "cp932", "latin-1"])
def test_a_code_page_that_lacks_a_sign_shows_another(drawn, encoding):
    text = drawn(Note("curve", "▁▂▃▄▅▆▇█ a … b, größe 猫"), encoding=encoding)
    (line,) = plain(text)
    assert "▂" not in line or encoding == "utf-8"
    assert "_.:-=+*#" in line
    assert "\\u2581" not in line


def test_columns_that_a_narrow_terminal_has_no_room_for_are_left_out(drawn):
    table = Table((Column("epoch", 5), Column("wide", 40, rank=1)), (("1", "2"),), labelled=False)
    assert plain(drawn(table, 60))[0].split() == ["epoch", "wide"]
    assert plain(drawn(table, 40)) == ["epoch", "    1"]


def test_a_stage_is_drawn_and_taken_away_and_the_cursor_stays(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    screen = Screen(terminal)
    number = screen.begin("evaluating", "images", 0, 10, 0.0)
    screen.move(number, "evaluating", 5, 10)
    screen.show(Line("a line meanwhile"), verbose=False)
    screen.end(number)
    assert "evaluating" in terminal.text
    assert "a line meanwhile" in terminal.text
    assert "\x1b[?25l" not in terminal.text
    assert terminal.text.endswith("\x1b[2K\r")  # the line is empty again


def test_a_terminal_that_cannot_move_gets_no_stages(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    assert Screen(terminal).begin("evaluating", "images", 0, 10, 0.0) is None
    assert terminal.text == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("gone_after", [0, 1])
def test_a_terminal_that_is_gone_ends_nothing(monkeypatch, gone_after):
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    screen = Screen(terminal)

    def gone(_):
        raise OSError(5, "Input/output error")

    if not gone_after:
        monkeypatch.setattr(terminal, "write", gone)
    number = screen.begin("evaluating", "images", 0, 10, 0.0)
    monkeypatch.setattr(terminal, "write", gone)
    if number is not None:
        screen.move(number, "evaluating", 5, 10)
        screen.end(number)
