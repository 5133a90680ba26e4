"""Tensors of the Open Inference Protocol v2, as JSON and by its binary extension.

https://github.com/kserve/open-inference-protocol; the extension, which clients of Triton take, puts
tensors as they lie in memory behind the JSON, whose length a header tells.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.serve.refused import Refused
from tlcli.system.files import finite
from tlcli.system.shown import shown

HEADER = "inference-header-content-length"
# Of a body's JSON, bytes: Python's lists take ten times as much.
MOST_JSON = 16 << 20
PIXELS, ENCODED = "images", "encoded"
TYPES = {"logits": "FP32", "probabilities": "FP32", "labels": "BYTES"}


@dataclass(frozen=True)
class Asked:
    """An inference request.

    Attributes:
        id: As the client calls it, or None.
        images: uint8 (batch, side, side, 3), or None.
        encoded: Encoded pictures, where there are no images.
        outputs: Names of wanted outputs, and whether each is wanted as bytes.
    """

    id: str | None
    images: Any
    encoded: Sequence[bytes]
    outputs: Mapping[str, bool]

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.encoded if self.images is None else self.images)


def asked(body: bytes, header: str | None, side: int) -> Asked:
    """A request, read and checked.

    Args:
        body: All of it.
        header: How many of its bytes are JSON; None for all.
        side: Pixels of a side of images.

    Raises:
        Refused: It is none.
    """
    length = len(body)
    if header is not None:
        fits = header.isascii() and header.isdecimal() and int(header[:12]) <= len(body)
        require(fits, f"{HEADER}: it is no number of bytes of the body")
        length = int(header[:12])
    require(length <= MOST_JSON, f"the JSON has more than {MOST_JSON:,} bytes: send it binary")
    content = _json(body[:length])
    binary = _parameters(content).get("binary_data_output") is True
    tensor, rest = _input(content), body[length:]
    name, images, encoded = tensor["name"], None, []
    if name == PIXELS:
        images = _pixels(tensor, rest, side)
    elif name == ENCODED:
        encoded = _pictures(tensor, rest)
    else:
        raise Refused(400, f"there is no input {shown(name, 40)!r}: give {PIXELS} or {ENCODED}.")
    given = content.get("id")
    require(given is None or isinstance(given, str), "id: it is no text")
    return Asked(given, images, encoded, _outputs(content, binary))


def require(condition: object, problem: str) -> None:
    """Refuse a request unless a condition holds."""
    if not condition:
        raise Refused(400, f"{problem}.")


def _json(text: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON.") from None
    require(isinstance(found, dict), "the body is no JSON object")
    return found


def _parameters(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content.get("parameters", {})
    require(isinstance(found, dict), "parameters: they are no object")
    return found


def _input(content: Mapping[str, Any]) -> dict[str, Any]:
    """The one input, its name, datatype and shape checked."""
    given = content.get("inputs")
    fits = isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict)
    require(fits, f"inputs: give a list of one, {PIXELS} or {ENCODED}")
    assert isinstance(given, list)
    tensor: dict[str, Any] = given[0]
    for key in ("name", "datatype"):
        require(isinstance(tensor.get(key), str), f"inputs: its {key} is no text")
    shape = tensor.get("shape")
    require(
        isinstance(shape, list) and all(type(n) is int and 0 <= n < 1 << 31 for n in shape),
        "inputs: its shape is no list of numbers",
    )
    return tensor


def _raw(tensor: Mapping[str, Any], rest: bytes) -> bytes | None:
    """The bytes of a tensor behind the JSON; None where its data are JSON."""
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        require("data" in tensor, "inputs: it has no data")
        require(not rest, "there are more bytes than the JSON")
        return None
    require("data" not in tensor, "inputs: it has data twice")
    fits = type(size) is int and size == len(rest)
    require(fits, f"inputs: binary_data_size is not the {len(rest)} bytes behind the JSON")
    return rest


def _pixels(tensor: Mapping[str, Any], rest: bytes, side: int) -> Any:
    shape, wanted = tensor["shape"], [side, side, 3]
    require(tensor["datatype"] == "UINT8", f"{PIXELS}: its datatype is not UINT8")
    fits = len(shape) == 4 and shape[1:] == wanted and shape[0] >= 1
    require(fits, f"{PIXELS}: its shape is not [N, {side}, {side}, 3]")
    raw = _raw(tensor, rest)
    count = int(np.prod(shape, dtype=object))
    if raw is not None:
        require(len(raw) == count, f"{PIXELS}: its shape has {count} bytes, {len(raw)} came")
        return np.frombuffer(raw, np.uint8).reshape(shape)
    try:
        found = np.asarray(tensor["data"])
    except (ValueError, OverflowError):
        raise Refused(400, f"{PIXELS}: its data are ragged or no numbers.") from None
    fits = found.dtype.kind in "iu" and found.size == count
    require(fits, f"{PIXELS}: its data are not {count} whole numbers")
    require(found.min() >= 0 and found.max() <= 255, f"{PIXELS}: its data are not in 0 to 255")
    return found.astype(np.uint8).reshape(shape)


def _pictures(tensor: Mapping[str, Any], rest: bytes) -> list[bytes]:
    shape = tensor["shape"]
    require(tensor["datatype"] == "BYTES", f"{ENCODED}: its datatype is not BYTES")
    fits = len(shape) in (1, 2) and shape[1:] in ([], [1]) and shape[0] >= 1
    require(fits, f"{ENCODED}: its shape is not [N]")
    raw = _raw(tensor, rest)
    require(raw is not None, f"{ENCODED}: send its bytes behind the JSON, as binary data")
    assert raw is not None
    found: list[bytes] = []
    at = 0
    while at < len(raw) and len(found) < shape[0]:
        (size,) = struct.unpack_from("<I", raw, at) if at + 4 <= len(raw) else (len(raw),)
        require(at + 4 + size <= len(raw), f"{ENCODED}: its bytes end early")
        found.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    fits = len(found) == shape[0] and at == len(raw)
    require(fits, f"{ENCODED}: its bytes are not {shape[0]} pictures")
    return found


def _outputs(content: Mapping[str, Any], binary: bool) -> dict[str, bool]:
    given = content.get("outputs")
    if given is None:
        return dict.fromkeys(("logits", "probabilities"), binary)
    fits = isinstance(given, list) and given and all(isinstance(one, dict) for one in given)
    require(fits, "outputs: they are no list of objects")
    assert isinstance(given, list)
    found: dict[str, bool] = {}
    for one in given:
        name = one.get("name")
        known = isinstance(name, str) and name in TYPES and name not in found
        require(known, f"outputs: give each of {', '.join(TYPES)} once at most")
        wanted = _parameters(one).get("binary_data", binary)
        require(isinstance(wanted, bool), "outputs: binary_data is neither true nor false")
        found[name] = wanted
    return found


def answer(
    head: Mapping[str, Any], arrays: Mapping[str, Any], outputs: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """The body of an answer and how many of its bytes are JSON, or None where all are.

    Args:
        head: What stands before the outputs.
        arrays: float32 or text arrays by output.
        outputs: As they were asked for.
    """
    told: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name, binary in outputs.items():
        array = arrays[name]
        one: dict[str, Any] = {"name": name, "datatype": TYPES[name], "shape": list(array.shape)}
        if binary:
            behind.append(_bytes_of(array))
            one["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            one["data"] = finite(array.ravel().tolist())
        told.append(one)
    text = json.dumps({**head, "outputs": told}).encode()
    return text + b"".join(behind), len(text) if behind else None


def _bytes_of(array: Any) -> bytes:
    if array.dtype.kind == "f":
        return bytes(array.astype("<f4").tobytes())
    texts = [str(one).encode(errors="backslashreplace") for one in array.ravel()]
    return b"".join(struct.pack("<I", len(one)) + one for one in texts)
