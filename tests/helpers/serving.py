"""Servers: a model that computes by hand behind all routes, and `tl serve` as a process."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.helpers.runs import environment
from tlcli.serve.app import application
from tlcli.serve.gate import Gate, Limits
from tlcli.serve.meter import Meter
from tlcli.serve.model import Model
from tlcli.serve.service import Service
from tlcli.serve.shelf import Shelf, Source, Steps

HOSTILE = "<img src=x onerror=alert(1)>\r\nX-Evil: 1\u202e\udc80"
SIDE = 4


def picture(grey):
    """A PNG of one grey."""
    content = io.BytesIO()
    Image.new("L", (SIDE, SIDE), grey).save(content, "PNG")
    return content.getvalue()


def read(data):
    """A picture as it is."""
    with Image.open(io.BytesIO(data)) as found:
        return np.asarray(found.convert("RGB"))


def look(images):
    """Logits that are the grey, and strangers above 200."""
    grey = images.astype(np.float32).mean((1, 2, 3))
    return np.stack([grey, 255 - grey], 1), grey


def row(logits, strange, top):
    label = int(logits.argmax())
    names = ["light", HOSTILE]
    return {"label": names[label], "probability": 1.0,
            "top": [{"label": names[label], "probability": 1.0}][:top],
            "stranger": bool(strange > 200)}  # fmt: skip


def toy(name="toy", version="0123456789ab", **changed):
    """A model of two classes, one of which has a hostile name."""
    given = {
        "format": "toy", "class_names": ("light", HOSTILE), "side": SIDE, "max_pixels": 10_000,
        "multi_label": False, "told": ("stranger",), "most": 64, "read": read, "look": look,
        "shares": lambda z: z / z.sum(1, keepdims=True), "row": row,
        "heat": lambda image, label: b"PNG of " + bytes([int(image[0, 0, 0]), label]), **changed,
    }  # fmt: skip
    return Model(name=name, version=version, **given)


LIMITS = Limits(max_body=10_000, max_pictures=3, queue=4, timeout=0.5, top=2)


@contextlib.asynccontextmanager
async def client(*models, limits=LIMITS, token=None, every=0, source=None):
    """A client of an application of models, in this process; and its service."""
    meter = Meter()
    source = source or Source(Path("nowhere"), lambda _: 0, lambda name, _: toy(name))
    given = {one.name: (source, one, 0) for one in models or (toy(),)}
    shelf = Shelf(given, Steps(8, 0.001), meter)
    service = Service(shelf, Gate(limits, meter), meter, 2)
    inside = httpx.ASGITransport(application(service, token), raise_app_exceptions=False)
    async with (
        shelf.answering(every),
        httpx.AsyncClient(transport=inside, base_url="http://toy") as asking,
    ):
        yield asking, service
    service.close()


def ask(work, *models, **options):
    """Run an async function of a client and its service; gives what it gives."""

    async def whole():
        async with client(*models, **options) as (asking, service):
            return await work(asking, service)

    return asyncio.run(whole())


@dataclass
class Served:
    """A server that runs."""

    url: str
    process: subprocess.Popen

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def libraries(self):
        """What it has mapped into memory."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def resident(self):
        """Its memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number=signal.SIGTERM):
        """End it; gives its exit code and what it said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def served(*words, cwd, **variables):
    """`tl serve` as a process on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tlcli.cli", "serve", *map(str, words), "port=0"],
        cwd=cwd, env={**environment(), **variables}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise AssertionError(process.communicate()[1])
        yield Served(url, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
