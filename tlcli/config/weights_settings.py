"""Keys of `tl weights`."""

from dataclasses import dataclass

from tlcli.errors import ConfigError, require

# Verbs, and how many words may follow.
VERBS = {"list": (0, 1), "fetch": (1, 1), "verify": (0, 0), "add": (1, 1)}


@dataclass(frozen=True)
class Weights:
    """Keys of `tl weights`."""

    words: tuple[str, ...]
    alpha: float | None
    pixels: int
    top: bool
    mirror: str | None
    overwrite: bool

    def __post_init__(self) -> None:
        usage = "Write tl weights list [NAME], fetch NAME, verify or add FILE."
        verb, rest = self.verb, self.words[1:]
        if verb not in VERBS:
            raise ConfigError("weights", f"got {verb!r}" if verb else "no word", usage)
        least, most = VERBS[verb]
        require(least <= len(rest) <= most, "weights", " ".join(self.words), usage)
        web = self.mirror is None or self.mirror.startswith(("http://", "https://"))
        require(web, "mirror", self.mirror, "Give the http address of a folder, or null.")

    @property
    def verb(self) -> str:
        """What to do."""
        return self.words[0] if self.words else ""

    @property
    def given(self) -> str:
        """What to do it with, or nothing."""
        return self.words[1] if len(self.words) > 1 else ""
