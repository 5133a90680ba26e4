"""The pictures of a body: a multipart form with files, or one picture as it is.

A file name is a text that the answer gives back, and never a place.
"""

from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from tlcli.serve.refused import Refused

FIELD = "images"
MOST_NAME = 255  # characters
# What one picture as it is may be called; other types are refused, for nobody means them.
RAW = ("image/", "application/octet-stream", "binary/octet-stream")

Picture = tuple[str, bytes]


def pictures(content_type: str, body: bytes, most: int) -> list[Picture]:
    """Names and contents, in the order in which they were sent.

    Args:
        content_type: The header.
        body: All of it.
        most: Pictures.

    Raises:
        Refused: It is neither a form with pictures nor a picture, or holds too many.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        return of_form(body, options.get(b"boundary", b""), most)
    if not any(kind.decode("latin-1").startswith(one) for one in RAW):
        told = "send multipart/form-data with the field images, or a picture as image/*"
        raise Refused(415, f"{told} or application/octet-stream.")
    if not body:
        raise Refused(400, "the body is empty: send a picture.")
    return [("image", body)]


def of_form(body: bytes, boundary: bytes, most: int) -> list[Picture]:
    """The pictures of a form."""
    if not boundary:
        raise Refused(400, "the form names no boundary.")
    form = _Form(most)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as problem:
        raise Refused(400, f"the form is broken: {problem}.") from None
    if not form.ended:
        raise Refused(400, "the form is broken: it ends early.")
    if not form.found:
        raise Refused(400, f"the form has no file in its field {FIELD}.")
    return form.found


class _Form:
    """Takes the parts of a form as the parser comes to them."""

    def __init__(self, most: int) -> None:
        self.found: list[Picture] = []
        self._most, self.ended = most, False
        self._field, self._value, self._disposition = bytearray(), bytearray(), b""
        self._data: list[bytes] = []

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin, "on_header_field": self._header_field,
            "on_header_value": self._header_value, "on_header_end": self._header_end,
            "on_part_data": self._part_data, "on_part_end": self._part_end,
            "on_end": self._end,
        }  # fmt: skip

    def _begin(self) -> None:
        self._disposition, self._data = b"", []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        self.ended = True

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD or b"filename" not in options:
            raise Refused(400, f"the form has more than files in its field {FIELD}.")
        if len(self.found) == self._most:
            raise Refused(413, f"more than the {self._most} pictures of a request.")
        file = options[b"filename"].decode("utf-8", "replace")[:MOST_NAME] or "image"
        self.found.append((file, b"".join(self._data)))
