"""Requests of the v2 protocol, written by Triton's own client, and what is none."""

import contextlib
import json

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http._utils import _get_inference_request

from tlcli.serve.refused import Refused
from tlcli.serve.tensors import answer, asked

PICTURES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
GOOD = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}


def written(array, kind, name, binary=True, outputs=None):
    """A request as Triton's client writes it; its body and the length of its JSON."""
    one = triton.InferInput(name, list(array.shape), kind)
    one.set_data_from_numpy(array, binary_data=binary)
    body, length = _get_inference_request(
        inputs=[one], request_id="7", outputs=outputs, sequence_id=0, sequence_start=False,
        sequence_end=False, priority=0, timeout=None, custom_parameters=None,
    )  # fmt: skip
    return body, None if length is None else str(length)


@pytest.mark.parametrize("binary", [True, False])
def test_images_come_as_they_were_sent(binary):
    found = asked(*written(PICTURES, "UINT8", "images", binary), 4)
    np.testing.assert_array_equal(found.images, PICTURES)
    assert (found.id, found.count, found.outputs) == (
        "7", 2, {"logits": True, "probabilities": True},
    )  # fmt: skip


def test_pictures_come_as_they_were_sent():
    sent = [b"\xff\xd8 one", b"", b"three\0"]
    array = np.array(sent, dtype=np.object_)
    found = asked(*written(array, "BYTES", "encoded"), 4)
    assert list(found.encoded) == sent


def test_wanted_outputs_are_heard():
    outputs = [triton.InferRequestedOutput("labels", binary_data=False),
               triton.InferRequestedOutput("logits")]  # fmt: skip
    found = asked(*written(PICTURES, "UINT8", "images", outputs=outputs), 4)
    assert dict(found.outputs) == {"labels": False, "logits": True}


def test_an_answer_is_read_by_the_client():
    logits = np.array([[1.5, -2], [0, 3]], np.float32)
    labels = np.array(["<b>", "ü"], dtype=object)
    body, length = answer(
        {"model_name": "m", "model_version": "1"}, {"logits": logits, "labels": labels},
        {"logits": True, "labels": True},
    )  # fmt: skip
    found = triton.InferResult.from_response_body(body, header_length=length)
    np.testing.assert_array_equal(found.as_numpy("logits"), logits)
    assert found.as_numpy("labels").tolist() == [b"<b>", "ü".encode()]
    body, length = answer({}, {"logits": logits}, {"logits": False})
    assert length is None
    assert json.loads(body)["outputs"][0]["data"] == [1.5, -2, 0, 3]


def test_what_is_no_number_is_null():
    body, _ = answer({}, {"logits": np.array([[np.nan, np.inf]])}, {"logits": False})
    assert json.loads(body)["outputs"][0]["data"] == [None, None]


BAD = [
    {**GOOD, "data": [1, 2]},
    {**GOOD, "data": [1, 2, 256]},
    {**GOOD, "data": [1, 2, -1]},
    {**GOOD, "data": [1, 2, 3.5]},
    {**GOOD, "data": ["1", "2", "3"]},
    {**GOOD, "data": [[1, 2], [3]]},
    {**GOOD, "data": [1, 2, 10**400]},
    {**GOOD, "data": {}},
    {**GOOD, "data": None},
    {**GOOD, "shape": [1, 1, 3]},
    {**GOOD, "shape": [0, 1, 1, 3]},
    {**GOOD, "shape": [True, 1, 1, 3]},
    {**GOOD, "shape": [1 << 40, 1, 1, 3]},
    {**GOOD, "shape": "1"},
    {**GOOD, "datatype": "FP32"},
    {**GOOD, "datatype": 3},
    {**GOOD, "name": "others"},
    {**GOOD, "parameters": {"binary_data_size": 3}},
    {**GOOD, "parameters": []},
    {k: v for k, v in GOOD.items() if k != "data"},
    {"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["abc"]},
    {"name": "encoded", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 0}},
]


@pytest.mark.parametrize("tensor", BAD, ids=lambda t: json.dumps(t)[:60])
def test_an_input_that_cannot_be_is_refused(tensor):
    with pytest.raises(Refused) as problem:
        asked(json.dumps({"inputs": [tensor]}).encode(), None, 1)
    assert problem.value.status == 400


@pytest.mark.parametrize(
    "content",
    [
        [], {}, {"inputs": GOOD}, {"inputs": []}, {"inputs": [GOOD, GOOD]}, {"inputs": [3]},
        {"inputs": [GOOD], "id": 3}, {"inputs": [GOOD], "outputs": []},
        {"inputs": [GOOD], "outputs": [{"name": "all"}]},
        {"inputs": [GOOD], "outputs": [{"name": "logits"}] * 2},
        {"inputs": [GOOD], "outputs": [{"name": "logits", "parameters": {"binary_data": 3}}]},
        {"inputs": [GOOD], "parameters": 3},
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused(content):
    with pytest.raises(Refused):
        asked(json.dumps(content).encode(), None, 1)


@pytest.mark.parametrize("header", ["-1", "99999", "x", "", "9" * 50, "²"])
def test_a_length_that_cannot_be_is_refused(header):
    with pytest.raises(Refused, match="content-length"):
        asked(b"{}", header, 1)


def test_deep_json_is_refused():
    with pytest.raises(Refused, match="no JSON"):
        asked(b"[" * 200_000, None, 1)


@given(st.binary(max_size=200), st.integers(0, 250))
def test_whatever_comes_is_refused_or_read(rest, length):
    head = json.dumps({"inputs": [{
        "name": "encoded", "datatype": "BYTES", "shape": [2],
        "parameters": {"binary_data_size": len(rest)},
    }]}).encode()  # fmt: skip
    for body, header in ((rest, None), (rest, str(length)), (head + rest, str(len(head)))):
        with contextlib.suppress(Refused):
            assert asked(body, header, 1).count == 2
