"""Put `tl serve` under load on this machine: throughput beside the model alone, latency, memory.

    python scripts/bench/serve.py EXPORT PICTURE… [--seconds 60] [--clients 4] [--only NAME]

Clients are threads of one other process, each with one connection that it keeps, over loopback
alone. Ways to ask:

- `one`: a picture a request; `form`: a form of --pictures pictures;
- `tensor`: v2, --pictures images as bytes, already decoded.

Beside them, in turn on the same cores and with no server: decoding, the model on batches, and both
one after the other. Then more is asked than there is room for, which must be refused by 429 and be
over when the clients are. Clients take processor time from the server, as they share its cores.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BOUNDARY = "x5d1c0f"
BATCH = 32
WAYS = ("one", "form", "tensor")


@dataclass
class Load:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, seconds: float) -> None:
        """Count an answer."""
        self.codes[code] += 1
        self.seconds.append(seconds)

    def figures(self, wall: float, pictures: int) -> dict[str, object]:
        """Throughput and latency."""
        done = self.codes["200"]
        cuts = statistics.quantiles(self.seconds, n=100) if len(self.seconds) > 1 else [0.0] * 99
        return {
            "requests": sum(self.codes.values()), "codes": dict(self.codes),
            "pictures_per_second": round(done * pictures / wall, 1),
            "p50_ms": round(1e3 * cuts[49], 2), "p99_ms": round(1e3 * cuts[98], 2),
        }  # fmt: skip


@contextlib.contextmanager
def server(folder: str, *words: str) -> Iterator[tuple[int, int]]:
    """A server of an export; gives its port and its process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tlcli.cli", "serve", f"m={folder}/", "port=0", *words],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rsplit(":", 1)[1]), process.pid
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        if code:
            raise SystemExit(f"the server ended with {code}")
    finally:
        process.kill()


def resident(pid: int) -> float:
    """Memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def request(way: str, files: list[bytes], images: np.ndarray) -> tuple[str, bytes, dict[str, str]]:
    """Place, body and headers of one request."""
    if way == "one":
        return "/predict", files[0], {"Content-Type": "application/octet-stream"}
    if way == "form":
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="a.png"'
        parts = b"".join(head.encode() + b"\r\n\r\n" + data + b"\r\n" for data in files)
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return "/predict", parts + f"--{BOUNDARY}--\r\n".encode(), kind
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(images.shape),
              "parameters": {"binary_data_size": images.nbytes}}  # fmt: skip
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return "/v2/models/m/infer", text + images.tobytes(), headers


def client(port: int, asked: tuple[str, bytes, dict[str, str]], end: float, load: Load) -> None:
    """Ask until a time, over one connection."""
    place, body, headers = asked
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.perf_counter() < end:
        begun = time.perf_counter()
        try:
            line.request("POST", place, body, headers)
            answer = line.getresponse()
            answer.read()
            code = str(answer.status)
        except (OSError, http.client.HTTPException) as problem:
            code = type(problem).__name__
            line.close()
        load.add(code, time.perf_counter() - begun)


def under_load(
    port: int, asked: tuple[str, bytes, dict[str, str]], clients: int, seconds: float
) -> Load:
    """What clients saw in some seconds."""
    load, end = Load(), time.perf_counter() + seconds
    threads = [threading.Thread(target=client, args=(port, asked, end, load))
               for _ in range(clients)]  # fmt: skip
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return load


def rate(work: Callable[[], int], seconds: float) -> float:
    """Pictures a second of some work, after a first time."""
    work()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        count += work()
    return round(count / (time.perf_counter() - begun), 1)


def alone(folder: str, files: list[bytes], seconds: float) -> dict[str, float]:
    """Decoding, the model, and both, without a server."""
    from threadpoolctl import threadpool_limits

    from tlcli.commands import export_namer

    threadpool_limits(1, "blas")  # as the server does
    found, known, look = export_namer.opened(Path(folder), "none")
    read = export_namer.namer(found, known, look).read
    batch = (files * BATCH)[:BATCH]
    images = np.stack([read(one) for one in batch])
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def decode() -> int:
            return len(list(pool.map(read, batch)))

        def both() -> int:
            look(np.stack(list(pool.map(read, batch))))
            return BATCH

        def model() -> int:
            look(images)
            return BATCH

        works = {"decode": decode, "model": model, "decode_and_model": both}
        return {name: rate(work, seconds) for name, work in works.items()}


def shown_images(folder: str, files: list[bytes]) -> np.ndarray:
    """The pictures as the model is shown them."""
    from tlcli.commands import export_namer

    found, known, look = export_namer.opened(Path(folder), "none")
    read = export_namer.namer(found, known, look).read
    return np.stack([read(one) for one in files])


def overload(folder: str, files: list[bytes], images: np.ndarray) -> dict[str, object]:
    """More than there is room for, then as much as there is."""
    asked = request("form", files, images)
    with server(folder, f"queue={2 * len(files)}", f"max_pictures={len(files)}") as (port, _):
        much = under_load(port, asked, 16, 5)
        after = under_load(port, asked, 1, 2)
    return {"sixteen_clients": dict(much.codes), "then_one": dict(after.codes)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("export")
    parser.add_argument("picture", nargs="+")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--alone", type=float, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--only", choices=WAYS)
    given = parser.parse_args()
    files = [Path(one).read_bytes() for one in given.picture]
    files = (files * given.pictures)[: given.pictures]
    images = shown_images(given.export, files)
    told: dict[str, object] = {"alone": alone(given.export, files, given.alone)}
    for way in (given.only,) if given.only else WAYS:
        asked = request(way, files, images)
        with server(given.export) as (port, pid):
            under_load(port, asked, given.clients, min(2.0, given.seconds))
            before = resident(pid)
            load = under_load(port, asked, given.clients, given.seconds)
            after = resident(pid)
        count = 1 if way == "one" else len(files)
        figures = load.figures(given.seconds, count)
        told[way] = {**figures, "memory_mb": [before, after]}
    told["alone_again"] = alone(given.export, files, given.alone)
    told["overload"] = overload(given.export, files, images)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
