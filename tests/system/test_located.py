"""What was typed as a path or an address."""

from pathlib import Path

import pytest

from tlcli.errors import ConfigError
from tlcli.system.located import located, parent


def test_paths_stay_what_they_are(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert located("photos/x", "data.path") == Path("photos/x")
    assert located("~/photos", "data.path") == Path("/home/somebody/photos")
    with pytest.raises(ConfigError, match=r"^data\.path: the address s3://… holds a user"):
        located("s3://a:b@c/d", "data.path")


def test_what_lies_above():
    assert parent("s3://bucket/set/labels.csv") == "s3://bucket/set"
    assert parent("set/labels.csv") == "set"
