"""Local paths that stand for addresses: told by the address wherever a person reads of them."""

import re
from pathlib import Path

# Address of what each path stands for, the path as it is written in texts.
_known: dict[str, str] = {}


def stands(path: Path, address: str) -> None:
    """Let a path be told by an address from now on, and with it all that lies below."""
    _known[str(path)] = address


def addressed(text: str) -> str:
    """A text with addresses instead of the paths that stand for them."""
    for path, address in _known.items():
        if path in text:
            text = re.sub(rf"{re.escape(path)}(?![\w-]|\.\w)", lambda _, a=address: a, text)  # type: ignore[misc]
    return text
