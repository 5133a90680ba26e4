"""What is taken in is bounded, and given back."""

import asyncio

import pytest
from starlette.requests import Request

from tests.helpers.serving import LIMITS
from tlcli.serve.gate import BODIES, Gate
from tlcli.serve.meter import Meter
from tlcli.serve.refused import Refused


@pytest.fixture
def gate():
    return Gate(LIMITS, Meter())


def request(*parts, **headers):
    """A request whose body comes in parts; the last is waited for in vain where it is None."""
    waiting = list(parts)

    async def receive():
        part = waiting.pop(0)
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    raw = [(name.replace("_", "-").encode(), str(v).encode()) for name, v in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def body(gate, one):
    async def whole():
        async with gate.body(one) as found:
            assert gate.bytes == len(found)
            return found

    return asyncio.run(whole())


def refused(gate, one):
    with pytest.raises(Refused) as problem:
        body(gate, one)
    assert gate.bytes == 0
    return problem.value


def test_a_body_is_read_and_forgotten(gate):
    assert body(gate, request(b"ab", b"", b"c")) == b"abc"
    assert gate.bytes == 0


def test_a_large_body_is_refused_before_it_comes_or_as_soon_as_it_is_large(gate):
    assert refused(gate, request(None, content_length=10_001)).status == 413
    many = refused(gate, request(*[b"x" * 4000] * 100))
    assert (many.status, many.headers["connection"]) == (413, "close")
    assert body(gate, request(b"x" * 10_000)) == b"x" * 10_000


def test_a_slow_or_compressed_body_is_refused(gate):
    assert refused(gate, request(b"x", None)).status == 408
    assert refused(gate, request(b"x", content_encoding="gzip")).status == 415


def test_bodies_of_all_requests_share_a_room(gate):
    gate.bytes = BODIES * LIMITS.max_body - 5

    async def whole():
        async with gate.body(request(b"123456")):
            pass

    with pytest.raises(Refused) as problem:
        asyncio.run(whole())
    assert problem.value.status == 429
    assert problem.value.headers["retry-after"]
    assert gate.bytes == BODIES * LIMITS.max_body - 5


def test_pictures_beyond_the_queue_are_refused_until_there_is_room(gate):
    with gate.entered(3):
        with pytest.raises(Refused) as problem, gate.entered(2):
            pass
        assert (problem.value.status, problem.value.headers) == (429, {"retry-after": "1"})
        with gate.entered(1):
            assert gate.pictures == 4
            # Where there is no room at all not even the body is read.
            with pytest.raises(Refused, match="4 pictures are waiting"):
                body(gate, request(None))
    assert gate.pictures == 0
    with pytest.raises(Refused) as problem, gate.entered(4):
        pass
    assert problem.value.status == 413
