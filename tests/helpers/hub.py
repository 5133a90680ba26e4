"""A hub on this machine: the few answers by which a data set of it is listed and read in ranges."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(folder, name="me/photos"):
    """Serves a folder as a data set; gives the address, and the list of what was asked.

    Each of them is a method, a path and a range.
    """
    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Path(folder), name, asked))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def _entry(folder, path):
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    data = path.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "oid": oid, "size": len(data)}


def _handler(folder, name, asked):  # noqa: C901 - a class that knows its folder
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def do_HEAD(self):
            self._resolve(body=False)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked.append(("POST", self.path, None))
            try:
                wanted = json.loads(body)["paths"]
            except ValueError:
                wanted = parse_qs(body)["paths"]
            places = [folder / one for one in ([wanted] if isinstance(wanted, str) else wanted)]
            self._json([_entry(folder, one) for one in places if one.exists()])

        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            api = f"/api/datasets/{name}"
            if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
                asked.append(("GET", path, None))
                return self._json({"id": name, "sha": COMMIT, "private": False, "siblings": []})
            if path.startswith(f"{api}/tree/"):
                asked.append(("GET", path, None))
                below = "/".join(path.removeprefix(f"{api}/tree/").split("/")[1:])
                query = parse_qs(urlsplit(self.path).query)
                deep = query.get("recursive", [""])[0].lower() == "true"
                place = folder / below
                if not place.is_dir():
                    return self._json({"error": "EntryNotFound"}, 404, "EntryNotFound")
                found = sorted(place.rglob("*") if deep else place.iterdir())
                return self._json([_entry(folder, one) for one in found])
            return self._resolve(body=True)

        def _resolve(self, body):
            path = unquote(urlsplit(self.path).path)
            span = self.headers.get("Range")
            asked.append((self.command, path, span))
            start = f"/datasets/{name}/resolve/"
            place = folder / "/".join(path.removeprefix(start).split("/")[1:])
            if not path.startswith(start) or not place.is_file():
                return self._json({"error": "EntryNotFound"}, 404, "EntryNotFound")
            data = place.read_bytes()
            headers = {"ETag": f'"{_entry(folder, place)["oid"]}"', "X-Repo-Commit": COMMIT,
                       "Accept-Ranges": "bytes"}  # fmt: skip
            status, part = 200, data
            if span:
                first, last = span.removeprefix("bytes=").split("-")
                part, status = data[int(first) : int(last) + 1 if last else None], 206
                headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            return self._send(status, part, headers, body)

        def _json(self, value, status=200, code=None):
            headers = {"Content-Type": "application/json"} | (
                {"X-Error-Code": code} if code else {}
            )
            self._send(status, json.dumps(value).encode(), headers)

        def _send(self, status, content, headers, body=True):
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    return Handler
