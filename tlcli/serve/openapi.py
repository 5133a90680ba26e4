"""The OpenAPI document: every place, what it takes, and every answer that it can give."""

from collections.abc import Mapping, Sequence
from typing import Any

from tlcli import __version__
from tlcli.serve.gate import Limits
from tlcli.serve.openapi_schemas import SCHEMAS
from tlcli.serve.tensors import HEADER

Json = dict[str, Any]
PICTURE = {"type": "string", "contentMediaType": "application/octet-stream"}
TOLD = {
    400: "What was sent means nothing; the error tells why.",
    401: "The token is missing or another.",
    404: "There is no such model, or not this version.",
    405: "The place is asked otherwise.",
    408: "The body did not come in time.",
    413: "The body is too large, or holds too many pictures.",
    415: "The body has another type, or is compressed.",
    429: "Too much is asked at once; Retry-After tells when to ask again.",
    500: "A bug, which the log of the server tells of.",
    503: "The server stops.",
}
SENDING = (400, 404, 408, 413, 415, 429)


def document(names: Sequence[str], limits: Limits, secured: bool) -> Json:
    """The whole document.

    Args:
        names: Of the models.
        limits: What a client may ask for.
        secured: Whether a token is asked for.
    """
    about = {"title": "tl serve", "version": __version__,
             "description": "Names what pictures show."}  # fmt: skip
    parts: Json = {"schemas": SCHEMAS}
    if secured:
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0", "info": about, "components": parts,
        "paths": {**_plain(secured), "/predict": _predict(names, limits, secured),
                  **_health(), **_models(names, secured)},
    }  # fmt: skip


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_of(schema: Json, told: str = "The answer.") -> Json:
    """An answer of JSON."""
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def operation(
    name: str, told: str, answer: Json, secured: bool, codes: Sequence[int] = (), **more: Any
) -> Json:
    """One way to ask a place.

    Args:
        name: Of the operation.
        told: What it does.
        answer: Where all is well.
        secured: Whether it wants the token.
        codes: Of further answers.
        more: Parameters, body.
    """
    wanted = sorted({*codes, 500, *([401] if secured else [])})
    answers = {str(code): json_of(ref("Error"), TOLD[code]) for code in wanted}
    if "429" in answers:
        answers["429"]["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    if "401" in answers:
        answers["401"]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    security: Json = {"security": [{"token": []}]} if secured else {}
    return {"operationId": name, "summary": told, **security, **more,
            "responses": {"200": answer, **answers}}  # fmt: skip


def _plain(secured: bool) -> Json:
    text = {"schema": {"type": "string"}}
    page = {"description": "HTML.", "content": {"text/html": text}}
    figures = {"description": "Figures.", "content": {"text/plain": text}}
    models = json_of({"type": "array", "items": ref("Model")})
    anything = json_of({"type": "object"})
    told = json_of(ref("Server"))
    return {
        "/": {"get": operation("page", "The page for people.", page, False)},
        "/metrics": {"get": operation("metrics", "Figures for Prometheus.", figures, secured)},
        "/openapi.json": {"get": operation("document", "This document.", anything, secured)},
        "/models": {"get": operation("models", "Which models there are.", models, secured)},
        "/v2": {"get": operation("server", "What answers.", told, secured)},
    }


def _health() -> Json:
    live, ready = json_of(ref("Live")), json_of(ref("Ready"))
    return {
        "/v2/health/live": {"get": operation("live", "Whether it is there.", live, False)},
        "/v2/health/ready": {
            "get": operation("ready", "Whether to send requests here.", ready, False, (503,))
        },
    }


def _predict(names: Sequence[str], limits: Limits, secured: bool) -> Json:
    def key(name: str, told: str, schema: Json) -> Json:
        return {"name": name, "in": "query", "description": told, "schema": schema}

    form = {
        "type": "object", "required": ["images"], "additionalProperties": False,
        "properties": {"images": {"type": "array", "items": PICTURE, "minItems": 1,
                                  "maxItems": limits.max_pictures}},
    }  # fmt: skip
    body = {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "application/octet-stream": {"schema": {"type": "string", "minLength": 1}},
            "image/*": {"schema": {"type": "string", "minLength": 1}},
        },
    }
    keys = [
        key("model", "Which model; the first one unless given.", {"enum": list(names)}),
        key("top", "Classes that are listed.",
            {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": limits.top}),
        key("explain", "Whether heat over each picture is asked for; runs have it.",
            {"type": "boolean", "default": False}),
    ]  # fmt: skip
    rows = json_of({"type": "array", "items": ref("Row")})
    told = "Name what pictures show: a row a picture, as `tl predict format=json`."
    return {
        "post": operation("predict", told, rows, secured, SENDING, parameters=keys,
                          requestBody=body)
    }  # fmt: skip


def _models(names: Sequence[str], secured: bool) -> Json:
    def part(name: str, schema: Json) -> Json:
        return {"name": name, "in": "path", "required": True, "schema": schema}

    named = part("name", {"type": "string", "enum": list(names)})
    version = part("version", {"type": "string", "pattern": "^[0-9a-f]{12}$"})
    found: Json = {}
    for place, parts, ending in (
        ("/v2/models/{name}", [named], ""),
        ("/v2/models/{name}/versions/{version}", [named, version], "_version"),
    ):
        found |= {
            place: {"get": operation(
                f"model{ending}", "What it takes and gives.", json_of(ref("Metadata")), secured,
                (404,), parameters=parts)},
            f"{place}/ready": {"get": operation(
                f"model_ready{ending}", "Whether it answers.", json_of(ref("ModelReady")), secured,
                (404,), parameters=parts)},
            f"{place}/infer": {"post": operation(
                f"infer{ending}", "Look at images, or at encoded pictures.", _inferred(), secured,
                SENDING, parameters=[*parts, _length()], requestBody=_asked())},
        }  # fmt: skip
    return found


def _length() -> Json:
    told = "Bytes of JSON, where tensors follow as bytes."
    return {"name": HEADER, "in": "header", "description": told, "schema": {"type": "integer",
            "minimum": 0}}  # fmt: skip


def _asked() -> Json:
    content: Mapping[str, Any] = {
        "application/json": {"schema": ref("Inference")},
        "application/octet-stream": {"schema": {"type": "string"}},
    }
    return {"required": True, "content": content}


def _inferred() -> Json:
    found = json_of(ref("Inferred"))
    found["content"]["application/octet-stream"] = {"schema": {"type": "string"}}
    found["headers"] = {HEADER: {"schema": {"type": "string"}}}
    return found
