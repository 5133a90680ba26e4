"""Around all routes: who may ask, what is counted, and one line for whatever goes wrong."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tlcli.serve.refused import Refused
from tlcli.serve.service import Service
from tlcli.system.opened import reason

log = logging.getLogger("tlcli")

# What anybody may ask for: the page, which knows nothing, and whether the server is well.
OPEN = ("/", "/v2/health/live", "/v2/health/ready")
HEADERS = (
    (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"), (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip


def checker(token: str | None) -> Callable[[bytes], bool]:
    """Whether an Authorization header holds the token, in a time that tells nothing of it."""
    if token is None:
        return lambda _: True
    wanted = hashlib.sha256(token.encode()).digest()

    def fits(header: bytes) -> bool:
        kind, _, given = header.partition(b" ")
        same = hmac.compare_digest(hashlib.sha256(given.strip()).digest(), wanted)
        return same and kind.lower() == b"bearer"

    return fits


class Border:
    """Lets a request in, and its answer out."""

    def __init__(self, app: ASGIApp, service: Service, token: str | None) -> None:
        """Stand around an application."""
        self._app, self._service, self._fits = app, service, checker(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        begun, status = time.perf_counter(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS, *self._ending()]
            await send(message)

        try:
            await self._inside(scope, receive, sent)
        except Refused as problem:
            await problem.response()(scope, receive, sent)
        except ClientDisconnect:
            status = 499
        except Exception as problem:  # a server goes on
            log.error("error      %s: %s", type(problem).__name__, reason(problem))
            if not status:
                fault = Refused(500, "this is a bug in tl, which its log tells of.")
                await fault.response()(scope, receive, sent)
        route = getattr(scope.get("endpoint"), "__name__", "none")
        self._service.meter.answered(route, status, time.perf_counter() - begun)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN:
            headers: dict[bytes, Any] = dict(scope["headers"])
            if not self._fits(headers.get(b"authorization", b"")):
                raise Refused(401, "give the token: Authorization: Bearer TOKEN.",
                              {"www-authenticate": "Bearer"})  # fmt: skip
        await self._app(scope, receive, send)

    def _ending(self) -> list[tuple[bytes, bytes]]:
        """Connections end one by one before the server does."""
        return [(b"connection", b"close")] if self._service.stopping else []
