"""What `tl` raises when the caller can mend it: one line, no traceback."""

import difflib
from collections.abc import Iterable


class TlError(Exception):
    """A mistake of the caller, or a fault of the machine, told in one line.

    Attributes:
        exit_code: What the process ends with.
    """

    exit_code = 1


class ConfigError(TlError):
    """A value that cannot be used: where it stands, what it is, what to write instead.

    Attributes:
        where: Dotted place in the configuration, or a file.
        problem: What was given and why it does not work.
        remedy: A sentence that says what to do.
    """

    exit_code = 2

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # A job of a sweep sends its error to the process that began it.
        return type(self), (self.where, self.problem, self.remedy)


class DataError(ConfigError):
    """A file or a data set that cannot be used as it is."""

    exit_code = 1


class PeerLost(TlError):  # noqa: N818 - named for what happened
    """Another process of the training died, hangs or never started."""

    exit_code = 75


def require(condition: object, where: str, given: object, remedy: str) -> None:
    """Raise a ConfigError "got <given>" at the dotted place unless the condition holds."""
    if not condition:
        raise ConfigError(where, f"got {given!r}", remedy)


def nearest(word: str, choices: Iterable[str]) -> str:
    """'Did you mean …?' when a choice is close, else the list of choices."""
    choices = sorted(choices)
    letters = {_letters(choice): choice for choice in reversed(choices)}
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    alike = letters.get(_letters(word)) or (close[0] if close else "")
    if alike:
        return f"Did you mean {alike}?"
    shown = ", ".join(choices[:24]) + (", …" if len(choices) > 24 else "")
    return f"Choose one of {shown}." if choices else "There is nothing to choose from."


def _letters(word: str) -> str:
    """A word by which spellings like AdamW and adam-w are the same."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
