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


def test_its_tree_and_values_are_those_of_the_package(script):
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


def test_a_value_is_told_with_its_fields(script, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scan.py").write_text(
        'class Found:\n    """A find."""\n    at: int\n    of: str'
    )
    assert (
        script["values"](tmp_path, ("Found",)) == "- **Found** (`data.scan`). A find. `at`, `of`."
    )


def test_links_lead_to_files():
    for path in (ROOT / "docs").glob("*.md"):
        for link in path.read_text(encoding="utf-8").split("](")[1:]:
            target = link.partition(")")[0].partition("#")[0]
            assert "://" in target or (path.parent / target).exists(), (path.name, target)
