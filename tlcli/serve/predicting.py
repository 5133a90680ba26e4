"""`POST /predict`: pictures in, the rows of `tl predict` out."""

import base64
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from tlcli.errors import TlError
from tlcli.serve.forms import Picture, pictures
from tlcli.serve.refused import Refused
from tlcli.serve.said import said
from tlcli.serve.service import EXPLAINED, Service
from tlcli.serve.shelf import Shelved
from tlcli.system.shown import shown

TRUTHS = {"true": True, "false": False}
KEYS = ("model", "top", "explain")


class Predicting:
    """The routes of pictures."""

    def __init__(self, service: Service) -> None:
        """Answer by a service."""
        self._service = service

    async def models(self, request: Request) -> Response:
        """Which models there are."""
        return said([one.as_json() for one in self._service.shelf.models()])

    async def predict(self, request: Request) -> Response:
        """Name what pictures show."""
        asked = query(request, self._service.gate.limits.top)
        with self._service.shelf.held(asked["model"]) as held:
            explain = asked["explain"]
            if explain and held.model.heat is None:
                told = f"{held.model.name} is an export, which has no gradients: serve its run"
                raise Refused(400, f"explain: {told}.")
            async with self._service.gate.body(request) as body:
                kind = request.headers.get("content-type", "")
                most = self._service.gate.limits.max_pictures
                sent = await self._service.apart(pictures, kind, body, most)
            with self._service.gate.entered(len(sent)):
                rows = await self._rows(held, sent, asked["top"], explain)
        return said(rows)

    async def _rows(
        self, held: Shelved, sent: list[Picture], top: int, explain: bool
    ) -> list[dict[str, Any]]:
        seen = await self._service.all_seen(held, [data for _, data in sent])
        if not explain:
            return [row(held, name, one, top) for (name, _), one in zip(sent, seen, strict=True)]
        if len(sent) > EXPLAINED:
            raise Refused(413, f"{EXPLAINED} pictures at most are explained at a time.")
        with self._service.explaining(len(sent)):
            return [await self._explained(held, name, one, top)
                    for (name, _), one in zip(sent, seen, strict=True)]  # fmt: skip

    async def _explained(self, held: Shelved, name: str, seen: Any, top: int) -> dict[str, Any]:
        """A row with heat of the class that is likeliest."""
        found = row(held, name, seen, top)
        if "error" not in found:
            label = int(np.argmax(held.model.shares(seen[1][None])[0]))
            picture = await self._service.heat(held.model, seen[0], label)
            found["explanation"] = {
                "label": held.model.class_names[label],
                "picture": "data:image/png;base64," + base64.b64encode(picture).decode(),
            }
        return found


def row(held: Shelved, name: str, seen: Any, top: int) -> dict[str, Any]:
    """What is said of one picture, as `tl predict format=json` says it."""
    if isinstance(seen, TlError):
        return {"path": name, "error": getattr(seen, "problem", str(seen))}
    _, logits, strange = seen
    return {"path": name, **held.model.row(logits, strange, top)}


def query(request: Request, top: int) -> dict[str, Any]:
    """What stands behind the question mark, checked.

    Raises:
        Refused: A key or a value that means nothing.
    """
    given = request.query_params
    for key in given:
        if key not in KEYS:
            raise Refused(400, f"{shown(key, 40)!r} is no key. Give model, top or explain.")
        if len(given.getlist(key)) > 1:
            raise Refused(400, f"{key} is given twice.")
    number = given.get("top", str(top))
    if not (number.isascii() and number.isdecimal() and 1 <= int(number[:8]) <= 1_000_000):
        raise Refused(400, "top: give a number from 1 to 1000000.")
    explain = given.get("explain", "false")
    if explain not in TRUTHS:
        raise Refused(400, "explain: give true or false.")
    return {"model": given.get("model"), "top": int(number[:8]), "explain": TRUTHS[explain]}
