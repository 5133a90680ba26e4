"""Stores on this machine: a web server that knows ranges and can fail on purpose, and an S3."""

import hashlib
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote
from urllib.request import Request, urlopen

# What no file may hold after a run.
KEY, SECRET = "AKIATESTINGTESTING00", "a-secret-that-nobody-may-write-down"


class Web:
    """Serves a folder, its folders as pages of links.

    Attributes:
        address: Of the folder.
        asked: Method, path and range of each request.
        fault: Called with the number of a request and its path before a GET is answered: a status,
            "cut", "short" or seconds to wait; None for no fault.
    """

    def __init__(self, folder):
        self.folder, self.asked, self.fault = Path(folder), [], lambda number, path: None
        self._lock, self._count = threading.Lock(), 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def number(self):
        with self._lock:
            self._count += 1
            return self._count

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def _handler(web):  # noqa: C901 - a class that knows its folder
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, body):
            path = unquote(self.path)
            web.asked.append((self.command, path, self.headers.get("Range")))
            place = web.folder / path.lstrip("/")
            fault = web.fault(web.number(), path) if body and place.is_file() else None
            if isinstance(fault, float):
                time.sleep(fault)
            elif isinstance(fault, int):
                return self._send(fault, b"", body)
            if place.is_dir():
                names = [f"{one.name}/" if one.is_dir() else one.name for one in place.iterdir()]
                links = "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(names))
                return self._send(200, links.encode(), body, {"Content-Type": "text/html"})
            if not place.is_file():
                return self._send(404, b"", body)
            data = place.read_bytes()
            version = hashlib.md5(data, usedforsecurity=False).hexdigest()
            headers = {"ETag": f'"{version}"', "Accept-Ranges": "bytes",
                       "Content-Type": "application/octet-stream"}  # fmt: skip
            status, part = 200, data
            if asked := self.headers.get("Range"):
                first, last = asked.removeprefix("bytes=").split("-")
                part = data[int(first) : int(last) + 1 if last else None]
                status = 206
                headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            if fault == "short":
                part = part[: len(part) // 2]
            return self._send(status, part, body, headers, cut=fault == "cut")

        def _send(self, status, part, body, headers=None, cut=False):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if body:
                self.wfile.write(part[: len(part) // 2] if cut else part)
            if cut:
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True

    return Handler


@contextmanager
def bucket(patch, name="bucket"):
    """An empty bucket of an S3 on this machine; gives a client of it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # What an earlier one of this process held is still there.
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    for key, value in {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():  # fmt: skip
        patch.setenv(key, value)
    import boto3
    import fsspec

    fsspec.filesystem("s3", skip_instance_cache=True).clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    try:
        yield client
    finally:
        server.stop()


def upload(client, folder, prefix, name="bucket"):
    """Put all files of a folder into a bucket."""
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder)}"
            client.put_object(Bucket=name, Key=key, Body=path.read_bytes())


def objects(client, name="bucket"):
    """Keys of all objects of a bucket."""
    return {one["Key"] for one in client.list_objects_v2(Bucket=name).get("Contents", ())}


@contextmanager
def refusing(patch, status, ending=""):
    """Let the S3 answer what writes an object whose key has an ending by an error; counts them."""
    from moto.s3.responses import S3Response

    answered, put = [], S3Response.put_object

    def refused(self):
        if not unquote(self.path).endswith(ending):
            return put(self)
        answered.append(self.path)
        code = {403: "AccessDenied"}.get(status, "SlowDown")
        return status, {}, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"

    with patch.context() as own:
        own.setattr(S3Response, "put_object", refused)
        yield lambda: len(answered)


@contextmanager
def google(name="bucket"):
    """A bucket of a Google store on this machine; gives what a process must be told to find it."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=name)
    server.start()
    port = server._api._httpd.server_address[1]
    try:
        # The library's attempt at another protocol would wait a minute for each bucket.
        yield {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
               "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}  # fmt: skip
    finally:
        server.stop()
