"""What it costs that shards lie on a server: listed, and two epochs, beside the same on the disk.

    python scripts/bench/remote.py --images 20000 --rounds 3

TFRecord shards of JPEGs, read from the disk, from a web server on this machine with an empty cache
(cold), and from it once more (warm). Each is a process of its own, in turn; the medians of all
rounds are printed: seconds and, behind the stroke, seconds of the processor. Listing reads all
shards once, so a cold cache is filled then; a disk that was never read is not part of this.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

SHARDS, CLASSES, BATCH, SIDE = 8, 10, 64, 160
ARMS = ("local", "cold", "warm")


def make(root: Path, count: int) -> None:
    """Shards of tf.train.Example: smooth pictures with some noise."""
    import tensorflow as tf

    feature, integers = tf.train.Feature, tf.train.Int64List
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(root / f"train-{shard:05d}.tfrecord")) as writer:
            for number in range(shard, count, SHARDS):
                random = np.random.default_rng(number)
                coarse = tf.image.resize(random.uniform(0, 255, (6, 6, 3)), (SIDE, SIDE), "bicubic")
                pixels = np.clip(coarse + random.normal(0, 6, (SIDE, SIDE, 3)), 0, 255)
                data = tf.io.encode_jpeg(pixels.astype(np.uint8)).numpy()
                values = {
                    "image/encoded": feature(bytes_list=tf.train.BytesList(value=[data])),
                    "image/class/label": feature(int64_list=integers(value=[number % CLASSES])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=values))
                writer.write(example.SerializeToString())


class Handler(BaseHTTPRequestHandler):
    """Files of a folder in ranges, and the folder as a page of links."""

    protocol_version = "HTTP/1.1"
    root: Path

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Tell the size."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Send a range, or the page."""
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.root / self.path.strip("/")
        if path.is_dir():
            links = "".join(f'<a href="{one.name}">{one.name}</a>\n' for one in path.iterdir())
            self._send(200, links.encode(), {"Content-Type": "text/html"}, body)
            return
        if not path.is_file():
            self._send(404, b"", {}, body)
            return
        size = path.stat().st_size
        headers = {"ETag": f'"{size}-{path.stat().st_mtime_ns}"', "Accept-Ranges": "bytes",
                   "Content-Type": "application/octet-stream"}  # fmt: skip
        span = self.headers.get("Range")
        first, _, last = (span or f"bytes=0-{size - 1}").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or size - 1) + 1, size)
        if span:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.send_response(206 if span else 200)
        for name, value in {**headers, "Content-Length": str(stop - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            with path.open("rb") as file:
                self.wfile.flush()
                while start < stop:
                    start += os.sendfile(self.connection.fileno(), file.fileno(), start,
                                         stop - start)  # fmt: skip

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def serve(root: str) -> None:
    """Serve a folder until standard input ends; print the address."""
    Handler.root = Path(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


def clocks() -> tuple[float, float]:
    """Seconds, and seconds of the processor in this process."""
    return time.perf_counter(), time.process_time()


def measure(path: str, cache_dir: str) -> None:
    """List, then decode two epochs in random orders; print what each took as JSON."""
    import tensorflow as tf

    from tlcli.config import registry
    from tlcli.system import remote_cache

    tf.constant(0)
    remote_cache.use(Path(cache_dir), "50GB")
    values, marks = {**registry.defaults("data", "tfrecord"), "path": path}, [clocks()]
    manifest = registry.build("data", values).manifest(0, Path(cache_dir))
    marks.append(clocks())
    for seed in range(2):
        rows = np.random.default_rng(seed).permutation(len(manifest.ids))
        source = tf.data.Dataset.from_tensor_slices(rows)
        source = source.map(manifest.images.image, os.cpu_count(), deterministic=True)
        for _ in source.batch(BATCH).prefetch(2):
            pass
        marks.append(clocks())
    took = [
        [later - before for before, later in zip(*pair, strict=True)]
        for pair in itertools.pairwise(marks)
    ]
    print(json.dumps(took))


def rounds(root: Path, address: str, count: int) -> dict[str, list[list[list[float]]]]:
    """What each arm took in each round."""
    found: dict[str, list[list[list[float]]]] = {arm: [] for arm in ARMS}
    for _ in range(count):
        for arm in ARMS:
            cache = root / ("local-cache" if arm == "local" else "web-cache")
            if arm != "warm":
                shutil.rmtree(cache, ignore_errors=True)
            place = str(root / "data") if arm == "local" else f"{address}/data"
            words = [sys.executable, __file__, "--measure", place, str(cache)]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            found[arm].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main() -> None:
    """Make the data, measure in turn and print a table."""
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
        return
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").mkdir()
        make(root / "data", given.images)
        size = sum(one.stat().st_size for one in (root / "data").iterdir())
        line = [sys.executable, __file__, "--serve", folder]
        server = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            found = rounds(root, server.stdout.readline().strip(), given.rounds)
        finally:
            server.terminate()
            server.wait()
    print(f"{given.images:,} pictures, {size / 1e6:.0f} MB, median of {given.rounds}")
    print(f"{'':<8}{'listed':>16}{'first epoch':>16}{'second epoch':>16}")
    for arm in ARMS:
        cells = [
            [statistics.median(one[part][clock] for one in found[arm]) for clock in range(2)]
            for part in range(3)
        ]
        print(f"{arm:<8}" + "".join(f"{f'{wall:.2f} s | {cpu:.2f}':>16}" for wall, cpu in cells))


if __name__ == "__main__":
    main()
