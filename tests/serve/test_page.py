"""The page is whole in itself, and its policy lets nothing else run."""

import base64
import hashlib
import re

from tlcli.serve.page import TEMPLATES, content, response


def test_only_its_own_script_and_style_may_run():
    text, policy = content()
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert response().headers["content-security-policy"] == policy


def test_it_fetches_nothing_from_elsewhere_and_reads_no_text_as_html():
    text, _ = content()
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["']""", text.partition("<script>")[0])
    assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    script = (TEMPLATES / "page.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in script
    assert not re.search(r"\son\w+\s*=", text.partition("<script>")[0])
