"""How often something is done, as it is written in a configuration."""

import re
from dataclasses import dataclass

from tlcli.errors import require

REMEDY = "Write 100steps, 1epochs, 10min or off."


@dataclass(frozen=True)
class Every:
    """How often something is done; `off` when all are None.

    Attributes:
        steps, epochs, seconds: The distance; exactly one is set, or none.
    """

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str, where: str, remedy: str = REMEDY) -> "Every":
        """From `100steps`, `1epochs`, `10min`, `30s`, `2h` or `off`.

        Args:
            text: As it was typed.
            where: Its key.
            remedy: What to write instead of another text.

        Raises:
            ConfigError: Another text.
        """
        if text == "off":
            return cls()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(steps?|epochs?|s|min|h)", text)
        require(match and float(match[1]) > 0, where, text, remedy)
        assert match is not None
        number, unit = float(match[1]), match[2]
        if unit.startswith("step"):
            return cls(steps=max(1, int(number)))
        if unit.startswith("epoch"):
            return cls(epochs=number)
        return cls(seconds=number * {"s": 1, "min": 60, "h": 3600}[unit])
