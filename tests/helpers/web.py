"""A server of files on this machine that can be told to misbehave."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Site:
    """What the server has, and what it was asked.

    Attributes:
        content: Bytes by path.
        ranges: Whether it knows ranges.
        breaks: After how many bytes connections break, one entry a connection.
        asked: Method, path and Range header of each request.
        url: Where it is.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


def _handler(site):  # noqa: C901 - a class that knows its site
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            wanted = self.headers.get("Range", "")
            site.asked.append((self.command, self.path, wanted))
            content = site.content.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send(content, int(wanted[6:-1]) if wanted and site.ranges else 0, body)

        def send(self, content, start, body):
            size = len(content)
            if start >= size:
                self.begin(416, f"bytes */{size}", 0)
                return
            span = f"bytes {start}-{size - 1}/{size}" if start else ""
            self.begin(206 if start else 200, span, size - start)
            if body:
                part = content[start:]
                self.wfile.write(part[: site.breaks.pop(0)] if site.breaks else part)

        def begin(self, status, span, length):
            self.send_response(status)
            if span:
                self.send_header("Content-Range", span)
            self.send_header("Content-Length", str(length))
            self.end_headers()

    return Handler


@contextlib.contextmanager
def site(**content) -> Iterator[Site]:
    """A running server; `content` by name."""
    found = Site({f"/{name}": data for name, data in content.items()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.url = f"http://127.0.0.1:{server.server_port}"
    running = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    running.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        running.join()
