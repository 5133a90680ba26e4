"""The page for people: one file that holds nothing of the models and asks this server alone."""

import base64
import functools
import hashlib
from pathlib import Path

from starlette.responses import Response

TEMPLATES = Path(__file__).with_name("templates")


@functools.cache
def content() -> tuple[str, str]:
    """The page and its policy: its own script and style run, and no others."""
    frame, script, style = (
        (TEMPLATES / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.js", "page.css")
    )
    text = frame.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, policy


def digest(text: str) -> str:
    """How a policy names a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def response() -> Response:
    """The page."""
    text, policy = content()
    headers = {"content-security-policy": policy, "permissions-policy": "camera=(self)"}
    return Response(text, headers=headers, media_type="text/html")
