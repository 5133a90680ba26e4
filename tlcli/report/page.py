"""Pages of templates: everything that came from outside is escaped, and nothing is fetched."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A page.

    Args:
        template: Name of a file in templates/.
        values: What it shows; texts are escaped, `drawn` marks what is not.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    script, style = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("script.js", "style.css")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = {"script": drawn(script), "style": drawn(style), "script_hash": f"sha256-{digest}"}
    return found.get_template(template).render({**own, **values})


def drawn(text: str) -> Any:
    """A text of our own making that is part of the page as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - SVG of our plots, our style and script
