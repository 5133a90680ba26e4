"""Pictures of forms as clients write them, and forms that are none."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlcli.serve.forms import MOST_NAME, pictures
from tlcli.serve.refused import Refused

HEAD = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'


def encoded(*files):
    """A form as a client of HTTP writes it."""
    request = httpx.Request("POST", "http://x", files=[("images", one) for one in files])
    return request.headers["content-type"], request.read()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_contents_come_back_to_the_byte(contents):
    files = [(f"{n}.png", data, "image/png") for n, data in enumerate(contents)]
    found = pictures(*encoded(*files), 5)
    assert found == [(f"{n}.png", data) for n, data in enumerate(contents)]


@pytest.mark.parametrize("name", ["über ä.png", "../../etc/passwd", "<b>&amp;", "日本.jpg"])
def test_a_name_is_a_text(name):
    assert pictures(*encoded((name, b"1", "image/png")), 1) == [(name, b"1")]


def test_a_long_name_is_cut():
    ((name, _),) = pictures(*encoded(("n" * 1000, b"1", "image/png")), 1)
    assert name == "n" * MOST_NAME


def test_a_picture_as_it_is():
    for kind in ("image/jpeg", "application/octet-stream", "image/png; a=b"):
        assert pictures(kind, b"123", 1) == [("image", b"123")]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/html", b"x", 415),
        ("", b"x", 415),
        ("image/png", b"", 400),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", HEAD + b"1", 400),
        ("multipart/form-data; boundary=x", HEAD + b"1\r\n--x\r\n", 400),
        ("multipart/form-data; boundary=x", HEAD.replace(b"images", b"other") + b"\r\n--x--", 400),
        ("multipart/form-data; boundary=x", HEAD.replace(b'; filename="a"', b"") + b"\r\n--x--",
         400),
        ("multipart/form-data; boundary=x", HEAD.replace(b"a", b"a" * 9000) + b"\r\n--x--", 400),
        ("multipart/form-data; boundary=x", (HEAD + b"1\r\n") * 3 + b"--x--", 413),
        ("multipart/form-data; boundary=" + "y" * 500, b"x", 400),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(kind, body, status):
    with pytest.raises(Refused) as problem:
        pictures(kind, body, 2)
    assert problem.value.status == status


@given(st.binary(max_size=400))
def test_whatever_comes_is_refused_or_pictures(rest):
    for body in (rest, HEAD + rest, HEAD + rest + b"\r\n--x--"):
        with contextlib.suppress(Refused):
            found = pictures("multipart/form-data; boundary=x", body, 2)
            assert all(isinstance(data, bytes) for _, data in found)
