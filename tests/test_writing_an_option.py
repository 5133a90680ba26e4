"""docs/writing-an-option.md, followed word by word in a copy of the project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "writing-an-option.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SCRIPT = "bash scripts/run/test.sh "


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The package, its YAML and the settings of its tools, with the files of the document."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("tlcli", "configs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, text in FILES.items():
        assert not (ROOT / name).exists(), f"{name} is taken: let the document show another"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def said(project, *words):
    """What a module of Python prints when it runs in the project."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=project, text=True, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(project)}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def typed(start):
    """Words of the document's command that starts so, without the start."""
    (line,) = (x for x in "\n".join(COMMANDS).splitlines() if x.startswith(start))
    return shlex.split(line.removeprefix(start))


def test_the_document_has_a_module_a_yaml_and_a_test():
    assert [Path(name).parts[0] for name in FILES] == ["tlcli", "configs", "tests"]


def test_its_files_are_clean(project):
    for words in (["check"], ["format", "--check"]):
        said(project, "ruff", *words, "--no-cache", *(n for n in FILES if n.endswith(".py")))


def test_its_test_passes(project):
    assert "4 passed" in said(project, "pytest", "-q", "-p", "no:cacheprovider", *typed(SCRIPT))


def test_the_option_is_listed(project):
    assert "sqrt_decay" in said(project, "tlcli.cli", "list", *typed("tl list "))


@pytest.mark.slow
def test_it_trains(project, tmp_path):
    said(project, "tlcli.cli", "train", *typed("tl train "), f"run_dir={tmp_path / 'run'}")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["schedule"]["name"] == "sqrt_decay"
    assert config["schedule"]["minimum"] == 0.1
