"""YAML as data and nothing else: plain values, spelt as they are meant.

Read are mappings, lists, texts, numbers, true, false and null, by the rules of YAML 1.2: 010 is
ten, yes is a text, 1e-4 is a number. Refused are anchors, aliases, tags, several documents, a key
that comes twice, and more levels or bytes than a recipe has use for.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.errors import ConfigError
from tlcli.system.opened import read_text

MAX_DEPTH = 20
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

_NUMBERS = {
    "int": re.compile(r"[-+]?[0-9]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
}
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read(path: Path) -> dict[str, Any]:
    """The mapping that a small YAML file holds; an empty file is an empty mapping.

    Raises:
        ConfigError: It is no such file, or holds what is refused; with the line.
    """
    return parsed(read_text(path, "recipe"), str(path))


def parsed(text: str, place: str) -> dict[str, Any]:
    """The mapping that a text holds.

    Args:
        text: YAML.
        place: What messages call it.

    Raises:
        ConfigError: See `read`.
    """
    import yaml

    try:
        _scan(text, place)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{place}:{mark.line + 1}" if mark else place
        problem = f"is no YAML: {getattr(error, 'problem', None) or 'unreadable'}"
        raise ConfigError(where, problem, "Mend the file.") from None
    found = {} if node is None else _value(node, place)
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise ConfigError(place, "is no mapping of keys to values", "Write `key: value` lines.")
    return found


def option_values(path: Path) -> dict[str, Any]:
    """Values of an option's YAML that did not come with tl.

    Raises:
        ConfigError: It is more than the keys of an option: a package header, a list of defaults,
            keys of Hydra's, or trust in itself.
    """
    text = read_text(path, "recipe")
    if re.search(r"^#\s*@package\b", text, re.MULTILINE):
        raise ConfigError(str(path), "has a package header", "Leave it out: an option has none.")
    found = parsed(text, str(path))
    for key in found:
        if not KEY.fullmatch(key) or key in ("defaults", "hydra"):
            raise ConfigError(f"{path}: {key}", "is no key of an option", "Leave it out.")
    refuse_trust(found, str(path))
    _refuse_interpolation(found, str(path))
    return found


def _refuse_interpolation(value: Any, place: str) -> None:
    """Refuse what Hydra would put something else into, as a variable of the environment."""
    if isinstance(value, str) and "${" in value:
        raise ConfigError(place, f"has an interpolation {value!r}", "Write the value.")
    inner = value.items() if isinstance(value, Mapping) else ()
    for key, one in inner or enumerate(value if isinstance(value, (list, tuple)) else ()):
        _refuse_interpolation(one, f"{place}: {key}" if inner else place)


def refuse_trust(values: Any, place: str) -> None:
    """Refuse a file that says of itself that it may be trusted.

    Raises:
        ConfigError: It has a key `trust`.
    """
    if isinstance(values, Mapping):
        for key, value in values.items():
            if str(key).rpartition(".")[2] == "trust" and value is not False:
                raise ConfigError(
                    f"{place}: {key}", "trust counts only where a person types it",
                    "Leave it out, and type teacher.trust=true if you know who made the file.",
                )  # fmt: skip
            refuse_trust(value, place)
    elif isinstance(values, (list, tuple)):
        for value in values:
            refuse_trust(value, place)


def _scan(text: str, place: str) -> None:
    """Refuse what there is no use for before anything is built from it."""
    import yaml

    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        where, kind = f"{place}:{token.start_mark.line + 1}", type(token).__name__
        nests = "Document" not in kind and "Stream" not in kind
        depth += kind.endswith("StartToken") and nests
        depth -= kind.endswith("EndToken") and nests
        if depth > MAX_DEPTH:
            raise ConfigError(where, "is nested too deep", f"Use {MAX_DEPTH} levels at most.")
        if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
            word = kind.removesuffix("Token").lower()
            raise ConfigError(where, f"uses a YAML {word}", "Write plain values only.")


def _value(node: Any, place: str) -> Any:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else scalar(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(inner, place) for inner in node.value]
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, inner in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{place}:{line}", "has a key that is no word", "Write `key: value`.")
        if key.value in found:
            raise ConfigError(
                f"{place}:{line}", f"has {key.value} again, which is in line {lines[key.value]}",
                "Keep one of them.",
            )  # fmt: skip
        found[key.value], lines[key.value] = _value(inner, place), line
    return found


def scalar(text: str) -> Any:
    """A word without quotes as the number, truth value, null or text that it is."""
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _WORDS[text.lower()]
    if _NUMBERS["int"].fullmatch(text):
        return int(text) if len(text) <= 20 else float(text)
    return float(text) if _NUMBERS["float"].fullmatch(text) else text
