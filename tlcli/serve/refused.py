"""A request that is not answered as it asks: a status, and why in one line."""

from collections.abc import Mapping

from starlette.responses import Response

from tlcli.serve.said import said
from tlcli.system.shown import shown

CLOSE = {"connection": "close"}


class Refused(Exception):  # noqa: N818 - named after what happens
    """What a client is told instead of an answer.

    Attributes:
        status: Of HTTP.
        problem: What is wrong and what to do, a sentence.
        headers: Of the answer.
    """

    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.problem, self.headers = status, problem, dict(headers or {})
        super().__init__(problem)

    def response(self) -> Response:
        """The answer; what a client wrote is harmless in it."""
        return said({"error": shown(self.problem, 300)}, self.status, self.headers)


def busy(what: str) -> Refused:
    """Too much is asked at once."""
    return Refused(429, f"{what}. Try again in a second.", {"retry-after": "1"})
