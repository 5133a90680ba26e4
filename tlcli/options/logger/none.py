"""Nothing beside the run folder's own files."""

from dataclasses import dataclass

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Writer
from tlcli.options.logger._common import nothing


@dataclass(frozen=True)
class Logger(logger.Logger):
    """No logger."""

    label = "none"

    def open(self, begun: Begun) -> Writer:
        """A writer of nothing."""
        return nothing(begun)

    @property
    def parts(self) -> tuple[logger.Logger, ...]:
        """None."""
        return ()
