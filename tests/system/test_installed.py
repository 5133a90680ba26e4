"""What is installed, told from metadata like that of any package."""

import importlib

import pytest

from tlcli.system import installed

METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package that is nothing but its metadata."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, version, *lines):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        text = METADATA.format(name=name, version=version) + "".join(f"{x}\n" for x in lines)
        (folder / "METADATA").write_text(text)
        importlib.invalidate_caches()

    return install


def test_what_an_extra_lacks_is_told_with_the_version_that_is_there(package):
    package("older", "1.0")
    package("deep", "1.0", "Provides-Extra: more", 'Requires-Dist: deepest; extra == "more"')
    package(
        "asked", "2.0",
        "Requires-Dist: older>=2", "Requires-Dist: nowhere<3", "Requires-Dist: deep",
        "Provides-Extra: fine", 'Requires-Dist: deep>=1; extra == "fine"',
        "Provides-Extra: poor", 'Requires-Dist: deep[more]; extra == "poor"',
        'Requires-Dist: windows; extra == "poor" and sys_platform == "nowhere"',
    )  # fmt: skip
    assert installed.version_of("asked") == "2.0"
    assert installed.version_of("nowhere") is None
    assert installed.lacking("asked") == ["older>=2 (it is 1.0)", "nowhere<3"]
    assert installed.lacking("asked", "fine") == []
    assert installed.lacking("asked", "poor") == ["deepest"]
    assert installed.lacking("nowhere") == []


def test_the_extras_are_those_of_this_program():
    found = installed.extras()
    if found:  # not where it is imported from a folder that is not installed
        assert {"gpu", "hub", "onnx", "sweep"} <= set(found)
        assert "dev" not in found
    assert installed.lacking(installed.NAME) == []
