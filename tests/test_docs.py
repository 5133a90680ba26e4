"""The pages: made from the code where they can be, linked right, and every command in them runs."""

import ast
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.marks import cases
from tests.helpers.pictures import make_classes, smooth
from tests.helpers.published import MOBILENET, random_mobilenet
from tests.helpers.runs import process
from tlcli.options.data.digits import FILE

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page):
    """What a page shows to be typed, a list of words each."""
    lines = "".join(CONSOLE.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    typed = [line.removeprefix("$ ") for line in lines.splitlines() if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in typed]


QUICK, TAUGHT = [ROOT / "README.md"], [ROOT / "docs" / "index.md"]
WITH_COMMANDS = [page for page in PAGES if any(w[0] == "tl" for w in commands(page))]


def test_reference_pages_are_those_of_the_options():
    script = runpy.run_path(str(ROOT / "scripts" / "make" / "reference.py"))
    written = {p.name: p.read_text(encoding="utf-8") for p in script["FOLDER"].glob("*.md")}
    wanted = script["pages"]()
    assert sorted(written) == sorted(wanted)
    for name, text in wanted.items():
        assert written[name] == text, f"{name}: run scripts/make/reference.py"


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


def test_the_site_builds_and_every_link_leads_somewhere(tmp_path):
    words = ["build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "reference" / "optimizer" / "index.html").is_file()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_pages_outside_the_site_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (ROOT / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_scripts_that_a_page_names_are_there(page):
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for name in re.findall(r"scripts/\S+\.(?:sh|py)", block):
            assert (ROOT / name).is_file(), name


def test_messages_of_the_troubleshooting_page_are_those_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told = [m for row in re.findall(r"^\| (`.*?`) \|", page, re.M) for m in row.split("` and `")]
    pieces = [re.split(r"\b[A-Z]{2,}\b|[.:=] |[:`]", message) for message in told]
    texts = {text for path in (ROOT / "tlcli").rglob("*.py") for text in literals(path)}
    assert len(told) > 10
    for piece in (piece.strip() for one in pieces for piece in one):
        assert re.fullmatch(r"[\w.]*", piece) or any(piece in text for text in texts), piece


def literals(path):
    """Strings of a module; what an f-string puts in is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                getattr(v, "value", "") for v in node.values if isinstance(v, ast.Constant)
            )


@pytest.fixture(scope="module")
def machine(tmp_path_factory, digits_run):
    """A folder with what the pages speak of, and a home with weights of one network."""
    here = tmp_path_factory.mktemp("machine")
    random_mobilenet(here / "keras" / "models" / MOBILENET)
    make_classes(here / "photos", {"cats": 20, "dogs": 20}, "JPEG", "jpg")
    make_classes(here / "more", {"some": 3})
    photo = here / "photos" / "dogs" / "3.jpg"
    shutil.copy(photo, here / "new.jpg")
    rows = [
        f"photos/{p.parent.name}/{p.name},{p.parent.name}" for p in photo.parents[1].rglob("*.jpg")
    ]
    (here / "labels.csv").write_text("\n".join(["path,label", *sorted(rows)]) + "\n")
    pixels = np.stack([smooth(seed, 16, 16) for seed in range(40)])
    labels = np.arange(40) % 2
    np.savez(here / "arrays.npz", train_data=pixels, train_labels=labels)
    for row, scan in enumerate(digits_of()):
        place = here / "digits" / str(5 + row % 5) / f"{row}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scan).save(place)
    recipe = "backbone: {option: mobilenet, alpha: 0.25}\nepochs: 1\nimage_size: 32\n"
    (here / "big.yaml").write_text(recipe)
    for name in ("RUN", "BIG"):
        shutil.copytree(digits_run, here / name)
    return here


def digits_of():
    """Ten scans of each of the digits 5 to 9, uint8 (height, width), one digit after another."""
    with np.load(FILE) as file:
        kept = [np.flatnonzero(file["labels"] == digit)[:10] for digit in range(5, 10)]
        rows = np.stack(kept, axis=1).ravel()
        return (file["images"][rows] * (255 / 16)).astype(np.uint8)


@pytest.mark.parametrize(
    "page",
    cases(WITH_COMMANDS, quick=QUICK, slow=TAUGHT),
    ids=lambda p: p.stem,
)
def test_every_command_of_a_page_runs(page, machine, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(machine / "keras"))
    monkeypatch.setenv("TL_OFFLINE", "1")
    here = Path(shutil.copytree(machine, tmp_path / "here"))
    for words in commands(page):
        assert words[0] == "tl", words
        done = process(*words[1:], cwd=here)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr[-3000:]}"
