"""`tl audit` finds what is planted, and a training heeds it."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.runs import train_digits
from tests.helpers.stopped import SHORT, Interrupted, stop_after
from tests.helpers.words import checked
from tlcli.commands import audit, evaluate, prepare, train
from tlcli.config import registry
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.options.data.digits import FILE
from tlcli.system.shown import fused

NAMES = {0: "=<b>zero", 1: "one'", 2: "two"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Scans of three digits; two have the wrong label, one is there twice, one is blank."""
    root = tmp_path_factory.mktemp("scans") / "data"
    with np.load(FILE) as file:
        for digit, name in NAMES.items():
            for number, row in enumerate(np.flatnonzero(file["labels"] == digit)[:40]):
                scan = (file["images"][row] * (255 / 16)).astype(np.uint8)
                label = NAMES[(digit + 1) % 3] if digit < 2 and number == 7 else name
                place = root / label / f"{digit}-{number:02d}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(scan).resize((32, 32)).save(place)
    shutil.copy(root / "two" / "2-03.png", root / "two" / "copy.png")
    Image.new("L", (32, 32), 77).save(root / "two" / "blank.png")
    return root


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(root):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.*")}


@pytest.fixture(scope="module")
def audited(scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited") / "audit"
    before = contents(scans)
    assert audit.run(checked("audit", scans, f"output={folder}", "backbone=tiny")) == 0
    assert contents(scans) == before
    return folder


def test_what_is_planted_is_found(audited):
    found = {(fused(row["id"]), row["kind"]): row for row in rows(audited / "audit.csv")}
    assert fused(found["one'/0-07.png", "label_error"]["suggestion"]) == NAMES[0]
    assert found["two/copy.png", "exact_duplicate"]["score"] == "1"
    assert found["two/blank.png", "odd_picture"]["suggestion"] == "exclude"
    assert sum(kind == "label_error" for _, kind in found) <= 4
    scores = rows(audited / "scores.csv")
    assert len(scores) == 122
    worst = sorted(scores, key=lambda row: -float(row["label_error"]))[:3]
    assert {("one'/0-07.png", NAMES[0]), ("two/1-07.png", NAMES[1])} <= {
        (row["id"], fused(row["suggestion"])) for row in worst
    }
    assert all(0 <= float(row["label_error"]) <= 1 for row in scores)
    told = json.loads((audited / "audit.json").read_text())
    assert told["found"]["exact_duplicate"] == 2
    text = (audited / "audit.html").read_text()
    assert "<b>zero" not in text
    assert "&lt;b&gt;zero" in text


def test_a_training_heeds_the_table(audited, scans, tmp_path):
    table = shutil.copy(audited / "audit.csv", tmp_path / "audit.csv")
    words = (f"data={scans}", "image_size=16", "batch_size=20", "auto=false")
    run = train_digits(tmp_path / "run", *words, f"data.exclude={table}", "finetune=linear_probe")
    ids = {fused(row["id"]) for row in rows(run / "split.csv")}
    assert not ids & {"one'/0-07.png", "two/blank.png"}
    assert {"two/2-03.png", "two/copy.png"} & ids != {"two/2-03.png", "two/copy.png"}
    assert evaluate.run(checked("eval", run)) == 0
    # The same table with a row less is other data.
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "blank" not in line))
    with pytest.raises(DataError, match="not the data this run was trained on"):
        evaluate.run(checked("eval", run))
    assert evaluate.run(checked("eval", run, "data.exclude=null")) == 0
    # Of other data the table knows nothing.
    other = shutil.copytree(scans, tmp_path / "other")
    (other / "two" / "copy.png").unlink()
    assert evaluate.run(checked("eval", run, f"data.path={other}")) == 0


def test_shards_lack_what_was_left_out(scans, tmp_path):
    (tmp_path / "mine.csv").write_text("id\ntwo/blank.png\ntwo/copy.png\n")
    words = (f"data.exclude={tmp_path / 'mine.csv'}", f"output={tmp_path / 'shards'}")
    assert prepare.run(checked("prepare", scans, *words)) == 0
    values = checked("train", f"data={tmp_path / 'shards'}", "backbone=tiny").config["data"]
    manifest = registry.build("data", values).manifest(0, tmp_path / "cache")
    assert len(manifest.ids) == 120
    assert not {"two/blank.png", "two/copy.png"} & {*manifest.ids.tolist()}
    row = manifest.ids.tolist().index("two/2-03.png")
    assert manifest.images.encoded(row) == (scans / "two" / "2-03.png").read_bytes()


def test_a_resume_notices_a_changed_table(tmp_path, monkeypatch):
    table, run = tmp_path / "mine.csv", tmp_path / "run"
    table.write_text("id\n" + "".join(f"digits/{row:04d}\n" for row in range(0, 400, 5)))
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Interrupted):
            train_digits(run, "finetune=linear_probe", *SHORT, f"data.exclude={table}")
    whole = table.read_text()
    table.write_text(whole.replace("digits/0005\n", ""))
    with pytest.raises(TlError, match="the data changed since the state was saved"):
        train.run(checked("train", f"resume={run}"))
    table.write_text(whole)
    assert train.run(checked("train", f"resume={run}")) == 0


def test_scores_are_no_findings(audited, scans, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.relabel: .*scores of all pictures"):
        train_digits(tmp_path / "run", f"data={scans}", f"data.relabel={audited / 'scores.csv'}")


def test_files_of_another_s_stay(scans, tmp_path):
    (tmp_path / "audit.csv").write_text("mine")
    with pytest.raises(ConfigError, match="tl did not write it"):
        audit.run(checked("audit", scans, f"output={tmp_path}", "backbone=tiny"))
    with pytest.raises(ConfigError, match=r"lies in the data, which is only read\. Give output="):
        audit.run(checked("audit", scans, f"output={scans / 'audit'}", "backbone=tiny"))
    assert (tmp_path / "audit.csv").read_text() == "mine"


def test_several_labels_are_looked_through_without_judging(scans, tmp_path):
    names = sorted(p.relative_to(scans) for p in scans.rglob("*.png"))[::3]
    lines = [f'"{name}",{"a|b" if i % 3 else "b"}' for i, name in enumerate(names)]
    (scans.parent / "several.csv").write_text("\n".join(["path,label", *lines]))
    words = (f"data={scans.parent / 'several.csv'}", f"data.image_root={scans}")
    folder = tmp_path / "audit"
    assert audit.run(checked("audit", *words, f"output={folder}", "backbone=tiny")) == 0
    told = json.loads((folder / "audit.json").read_text())
    assert told["found"]["label_error"] == 0
    assert any(note.startswith("Labels are not judged") for note in told["notes"])
    assert {row["label_error"] for row in rows(folder / "scores.csv")} == {"0"}


def test_the_command_as_a_process(tl, scans):
    done = tl("audit", scans, "backbone=tiny", "thumbnails=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("audit\n")
    assert "next       tl train" in done.stderr
    again = tl("audit", scans, "thumbnails=201")
    assert again.returncode == 2
    assert again.stderr == "tl audit: thumbnails: got 201. Give 0 to 200.\n"
