"""Paths that stand for addresses are told by these, whatever stands around them."""

from pathlib import Path

import pytest

from tlcli.system import standing
from tlcli.system.shown import shown, shown_lines, typed
from tlcli.system.standing import addressed, stands


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(standing, "_known", {})
    stands(Path("/cache/sending/0/run"), "s3://bucket/run")
    stands(Path("/cache/remote/https"), "https:/")


@pytest.mark.parametrize(("text", "told"), [
    ("run /cache/sending/0/run, seed 0", "run s3://bucket/run, seed 0"),
    ("resume=/cache/sending/0/run.", "resume=s3://bucket/run."),
    ("/cache/sending/0/run/state/1.npz is torn", "s3://bucket/run/state/1.npz is torn"),
    ("/cache/remote/https/host/a.jpg", "https://host/a.jpg"),
    ("/cache/sending/0/run-2 and /cache/sending/0/run.zip",) * 2,
    ("/cache/sending/0 holds it",) * 2])  # fmt: skip
def test_texts(text, told):
    assert addressed(text) == shown(text) == shown_lines(text) == told


def test_words():
    assert typed(Path("/cache/sending/0/run")) == "s3://bucket/run"
