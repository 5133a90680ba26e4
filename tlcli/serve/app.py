"""Which route is answered by what."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tlcli.serve import meter, openapi, page
from tlcli.serve.border import Border
from tlcli.serve.predicting import Predicting
from tlcli.serve.protocol_v2 import ProtocolV2
from tlcli.serve.refused import Refused
from tlcli.serve.said import said
from tlcli.serve.service import Service


def application(service: Service, token: str | None) -> ASGIApp:
    """The whole application.

    Args:
        service: What answers.
        token: That clients must give, or None.
    """
    pictures, v2 = Predicting(service), ProtocolV2(service)

    async def start(request: Request) -> Response:
        return page.response()

    async def metrics(request: Request) -> Response:
        return Response(service.meter.text(), headers={"content-type": meter.CONTENT_TYPE})

    async def document(request: Request) -> Response:
        return said(openapi.document(service.shelf.names, service.gate.limits, token is not None))

    one = "/v2/models/{name}"
    versioned = one + "/versions/{version}"
    routes = [
        Route("/", start), Route("/metrics", metrics), Route("/openapi.json", document),
        Route("/models", pictures.models), Route("/predict", pictures.predict, methods=["POST"]),
        Route("/v2", v2.server), Route("/v2/health/live", v2.live),
        Route("/v2/health/ready", v2.ready),
    ]  # fmt: skip
    for place in (one, versioned):
        routes += [
            Route(place, v2.model), Route(f"{place}/ready", v2.model_ready),
            Route(f"{place}/infer", v2.infer, methods=["POST"]),
        ]  # fmt: skip
    app = Starlette(routes=routes, exception_handlers={HTTPException: _other, Refused: _refused})
    # A path with a stroke too many is none of ours, and leads nowhere.
    app.router.redirect_slashes = False
    return Border(app, service, token)


async def _other(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    told = {404: "there is no such place. GET /openapi.json lists them.",
            405: "this place is asked otherwise. GET /openapi.json tells how."}  # fmt: skip
    text = told.get(problem.status_code, "this cannot be answered.")
    return Refused(problem.status_code, text, problem.headers).response()


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Refused)
    return problem.response()
