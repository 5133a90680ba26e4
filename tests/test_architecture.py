"""docs/architecture.md shows the packages and modules as they are."""

import difflib
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "make" / "architecture.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_its_tree_is_that_of_the_folders(script):
    old = script["DOCUMENT"].read_text(encoding="utf-8")
    new = script["written"](old, ROOT / "tlcli")
    changes = "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))
    assert old == new, f"run `python scripts/make/architecture.py`, which changes\n{changes}"


def test_every_package_and_module_is_in_the_tree(script, tmp_path):
    for name in ("errors", "attic/__init__", "data/__init__", "data/scan", "data/jpeg/__init__",
                 "data/jpeg/_bytes", "data/jpeg/__main__", "notes/readme"):  # fmt: skip
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name.split("/")[0].capitalize()} it is.\n\nMore."""\n')
    lines = script["tree"](tmp_path, ["errors", "data"]).splitlines()
    assert lines[2:-1] == [
        "  errors",
        "  data/                   Data it is.",
        "    scan",
        "    jpeg/                 Data it is.",
        "      _bytes __main__",
        "  attic/                  Attic it is.",
    ]


def test_links_lead_to_files():
    for path in (ROOT / "docs").glob("*.md"):
        for link in path.read_text(encoding="utf-8").split("](")[1:]:
            target = link.partition(")")[0].partition("#")[0]
            assert "://" in target or (path.parent / target).exists(), (path.name, target)
