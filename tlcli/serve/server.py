"""The server itself: uvicorn on one port, patient with nobody for ever, ending when all is said."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tlcli.errors import ConfigError
from tlcli.serve.app import application
from tlcli.serve.service import Service

# Seconds that a client may take for the head of a request, or leave an answer unread.
PATIENCE = 10.0
# Connections; beyond them the one that has been silent longest is closed.
CONNECTIONS = 500
# Seconds between the wish to end and the end of listening: clients that are at work are told with
# their answers to connect elsewhere, so that none of their requests is under way.
LEAVING = 0.5


@dataclass(frozen=True)
class Ending:
    """How the server ends.

    Attributes:
        grace: Seconds that requests which were taken have.
        reload: Seconds between two looks for new versions; 0 never looks.
    """

    grace: float
    reload: float


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens, of which this process is the only owner.

    Raises:
        ConfigError: There is no such address, or it is taken.
    """
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM,
                                               flags=socket.AI_PASSIVE)[0]  # fmt: skip
        return socket.create_server(address[:2], family=socket.AddressFamily(kind), backlog=512)
    except socket.gaierror as error:
        raise ConfigError("host", f"{host}: {error.strerror}", "Give another, as 127.0.0.1.") from (
            None
        )
    except OSError as error:
        told = f"{host}:{port} cannot be listened at ({(error.strerror or '').lower()})"
        raise ConfigError("port", told, f"Give another: port={port % 65535 + 1}.") from None


def url_of(listener: socket.socket) -> str:
    """Where clients find a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(service: Service, listener: socket.socket, token: str | None, ending: Ending) -> int:
    """Answer until SIGTERM or SIGINT, then what was taken; gives what was left unanswered."""
    app = application(service, token)
    config = uvicorn.Config(
        app, http=Patient, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=15,
        timeout_graceful_shutdown=max(1, round(ending.grace)),
    )  # fmt: skip
    # What it says of requests is for those who write servers.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    return asyncio.run(_answering(_Server(config), service, listener, ending))


async def _answering(
    server: "_Server", service: Service, listener: socket.socket, ending: Ending
) -> int:
    loop = asyncio.get_running_loop()

    def end() -> None:
        if service.stopping:  # asked twice
            server.should_exit = server.force_exit = True
        service.stopping = True
        loop.call_later(LEAVING, setattr, server, "should_exit", True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        async with service.shelf.answering(ending.reload):
            await server.serve(sockets=[listener])
            return service.gate.pictures
    finally:
        service.close()


class _Server(uvicorn.Server):
    """Uvicorn without signals of its own, which takes who has come before it stops listening."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; connections that the system has taken for us would be reset otherwise."""
        loop, come = asyncio.get_running_loop(), []
        for listener in sockets or ():
            loop.remove_reader(listener.fileno())
            with contextlib.suppress(OSError):  # no more, above all
                while True:
                    come.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for line in come:
            line.setblocking(False)
            await loop.connect_accepted_socket(self._connection, line)
        await super().shutdown(sockets)

    def _connection(self) -> "Patient":
        return Patient(self.config, self.server_state, self.lifespan.state)


class Patient(H11Protocol):
    """A connection that is closed when nothing comes of it in time."""

    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request; make room where there are too many connections."""
        super().connection_made(transport)
        # Else the body of an answer waits 40 ms for the client to acknowledge its head.
        line = transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()
        if len(self.connections) > CONNECTIONS:
            silent = [one for one in self.connections if isinstance(one, Patient) and one.is_silent]
            min(silent, key=lambda one: one._since, default=self).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what comes; a head has its time from its first byte."""
        super().data_received(data)
        if not self.is_silent:
            self._unwait()
        elif self._deadline is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request; see that the answer is read."""
        self._since = self.loop.time()
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(PATIENCE, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody uses."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(PATIENCE, self.transport.abort)

    def shutdown(self) -> None:
        """End after this request, or soon where there is none: one may be under way."""
        if self.is_silent:
            self.loop.call_later(LEAVING, self._late)
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unwait()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._since = self.loop.time()
        self._deadline = self.loop.call_later(PATIENCE, self._late)

    def _unwait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.is_silent:
            self.transport.abort()
