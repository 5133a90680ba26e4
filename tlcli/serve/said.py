"""JSON answers: valid whatever names and numbers are in them."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tlcli.system.files import finite
from tlcli.system.shown import json_line


def said(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of JSON: what is no number is null, what is no text an escape."""
    text = json_line(json.dumps(finite(content), ensure_ascii=False))
    return Response(text, status, headers, media_type="application/json")
