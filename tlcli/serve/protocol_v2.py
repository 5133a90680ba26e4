"""The Open Inference Protocol v2, by which clients of KServe and Triton ask."""

import asyncio
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tlcli import __version__
from tlcli.errors import TlError
from tlcli.serve.model import Model
from tlcli.serve.refused import Refused
from tlcli.serve.said import said
from tlcli.serve.service import Service
from tlcli.serve.shelf import Shelved
from tlcli.serve.tensors import ENCODED, HEADER, PIXELS, TYPES, Asked, answer, asked


class ProtocolV2:
    """The routes below /v2."""

    def __init__(self, service: Service) -> None:
        """Answer by a service."""
        self._service = service

    async def server(self, request: Request) -> Response:
        """What answers."""
        told = {"name": "tl", "version": __version__, "extensions": ["binary_tensor_data"]}
        return said(told)

    async def live(self, request: Request) -> Response:
        """Whether the server is there."""
        return said({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether requests should be sent here: not while it stops."""
        if self._service.stopping:
            return said({"ready": False, "error": "the server stops."}, 503)
        return said({"ready": True})

    async def model_ready(self, request: Request) -> Response:
        """Whether a model answers."""
        with self._held(request) as held:
            return said({"name": held.model.name, "ready": True})

    async def model(self, request: Request) -> Response:
        """What a model takes and gives."""
        with self._held(request) as held:
            return said(metadata(held.model))

    async def infer(self, request: Request) -> Response:
        """Look at images, or at encoded pictures."""
        service = self._service
        with self._held(request) as held:
            async with service.gate.body(request) as body:
                header = request.headers.get(HEADER)
                given = await service.apart(asked, body, header, held.model.side)
            with service.gate.entered(given.count):
                logits = await self._logits(held, given)
        head = {"model_name": held.model.name, "model_version": held.model.version}
        head |= {} if given.id is None else {"id": given.id}
        content, length = answer(head, arrays(held.model, logits), given.outputs)
        if length is None:
            return Response(content, media_type="application/json")
        return Response(
            content, media_type="application/octet-stream", headers={HEADER: str(length)}
        )

    def _held(self, request: Request) -> Any:
        path = request.path_params
        return self._service.shelf.held(path["name"], path.get("version"))

    async def _logits(self, held: Shelved, given: Asked) -> Any:
        """Logits of what was sent, float (batch, classes)."""
        if given.images is not None:
            found = await asyncio.gather(*map(held.batcher.submit, given.images))
            return np.stack([logits for logits, _ in found])
        seen = await self._service.all_seen(held, given.encoded)
        for number, one in enumerate(seen):
            if isinstance(one, TlError):
                told = getattr(one, "problem", str(one))
                raise Refused(400, f"{ENCODED}: picture {number} {told}.")
        return np.stack([logits for _, logits, _ in seen])


def metadata(model: Model) -> dict[str, Any]:
    """What a model takes, one of its inputs at a time, and what it gives."""
    classes, side = len(model.class_names), model.side
    return {
        "name": model.name, "versions": [model.version], "platform": model.format,
        "inputs": [
            {"name": PIXELS, "datatype": "UINT8", "shape": [-1, side, side, 3]},
            {"name": ENCODED, "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": name, "datatype": kind, "shape": [-1] if name == "labels" else [-1, classes]}
            for name, kind in TYPES.items()
        ],
    }  # fmt: skip


def arrays(model: Model, logits: Any) -> dict[str, Any]:
    """All outputs of some logits."""
    shares = np.asarray(model.shares(logits), np.float32)
    names = np.array(list(model.class_names), dtype=object)
    return {
        "logits": np.asarray(logits, np.float32), "probabilities": shares,
        "labels": names[shares.argmax(1)],
    }  # fmt: skip
