"""The document tells every place of the application, and is one of OpenAPI 3.1."""

import json

import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette

from tests.helpers.serving import LIMITS, ask
from tlcli.serve.openapi import document


@pytest.fixture(scope="module", params=[True, False], ids=["token", "open"])
def told(request):
    return document(("a", "b"), LIMITS, request.param)


def references(content):
    if isinstance(content, dict):
        if "$ref" in content:
            yield content["$ref"]
        for value in content.values():
            yield from references(value)
    elif isinstance(content, list):
        for value in content:
            yield from references(value)


def test_every_reference_leads_to_a_schema_that_is_one(told):
    schemas = told["components"]["schemas"]
    used = {one.removeprefix("#/components/schemas/") for one in references(told)}
    assert used == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_told_with_its_ways_to_ask():
    async def work(client, _):
        app = client._transport.app._app
        assert isinstance(app, Starlette)
        return {(one.path, way.lower()) for one in app.routes for way in one.methods - {"HEAD"}}

    told = document(("a",), LIMITS, False)
    assert ask(work) == {(path, way) for path, ways in told["paths"].items() for way in ways}


def test_errors_are_told_where_a_token_is_asked_for(told):
    secured = "securitySchemes" in told["components"]
    for path, ways in told["paths"].items():
        for way in ways.values():
            is_open = path == "/" or path.startswith("/v2/health")
            assert ("401" in way["responses"]) == (secured and not is_open), path
    names = [way["operationId"] for ways in told["paths"].values() for way in ways.values()]
    assert len(names) == len(set(names))
    assert json.loads(json.dumps(told)) == told
