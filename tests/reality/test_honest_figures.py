"""Figures that are not made of what a run was trained on, and that say where they are weak."""

import csv
import json
import shutil

import numpy as np
import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.trainings import planned
from tests.helpers.words import checked, config
from tlcli.commands import evaluate, train
from tlcli.config.job import train_job
from tlcli.contracts.data import VALIDATION
from tlcli.errors import ConfigError
from tlcli.runs.seen import seen_by, seen_in_all
from tlcli.training import plan_text

COUNTS = {"cat": 20, "dog": 20}


def words_of(root):
    return ("data=folder", f"data.path={root}", "data.test_fraction=0.2", "image_size=32",
            "backbone=tiny")  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run on a folder, and the folder."""
    root = make_classes(tmp_path / "photos", COUNTS)
    asked = checked("train", *words_of(root), "epochs=1", f"run_dir={tmp_path}/run")
    assert train.run(asked) == 0
    return tmp_path / "run", root


def rows_of(folder):
    with (folder / "split.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def measured(capsys, folder, *words):
    capsys.readouterr()
    assert evaluate.run(checked("eval", f"checkpoint={folder}", "format=json", *words)) == 0
    found = capsys.readouterr()
    return json.loads(found.out), found.err


def grow(root):
    """Other pictures, and the old ones under other names."""
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"{(number * 7) % 40}_{path.name}"))
    more = make_classes(root.parent / "more", {"cat": 45, "dog": 45})
    for name in COUNTS:
        for number in range(20, 45):
            shutil.copy(more / name / f"{number}.png", root / name / f"new{number}.png")


def test_the_split_of_a_run_names_contents(run):
    rows = rows_of(run[0])
    assert all(len(row["content"]) == 32 for row in rows)
    assert len({row["content"] for row in rows}) == sum(COUNTS.values())


def test_a_grown_folder_is_not_measured_on_trained_pictures(run, capsys):
    folder, root = run
    grow(root)
    found = evaluate.data_of(evaluate.checkpoint.read_run(folder), {"path": str(root)})
    manifest, trained = evaluate.told_apart(evaluate.checkpoint.read_run(folder), found)
    splits = {row["content"]: row["split"] for row in rows_of(folder)}
    names = ("train", "validation", "test")
    hashes = [bytes(row).hex() for row in manifest.images.hashes(np.arange(len(manifest.ids)))]
    assert len(hashes) == 90
    for place, content in enumerate(hashes):
        if content in splits:
            assert names[manifest.splits[place]] == splits[content]
            assert trained[place] == (splits[content] == "train")
        else:
            assert manifest.splits[place] == found.splits[place]
            assert not trained[place]
    _, told = measured(capsys, folder, f"data.path={root}")
    assert "40 of 90 images are in the run's split.csv" in told
    figures, told = measured(capsys, folder, f"data.path={root}", "split=all")
    assert figures["trained_on"] == sum(split == "train" for split in splits.values())
    assert f"trained on {figures['trained_on']} of these 90 images" in told


def test_the_same_folder_elsewhere_gives_the_same_figure(run, capsys, tmp_path):
    folder, root = run
    own, told = measured(capsys, folder)
    assert "seen" not in told
    shutil.copytree(root, tmp_path / "copy")
    assert measured(capsys, folder, f"data.path={tmp_path}/copy")[0] == own
    figures, told = measured(capsys, folder, "split=train")
    assert "too good" in told
    assert figures["trained_on"] > 20


def test_a_folder_of_trained_pictures_alone_has_no_test_figure(run, tmp_path):
    folder, root = run
    (tmp_path / "seen").mkdir()
    for row in rows_of(folder):
        if row["split"] == "train":
            (tmp_path / "seen" / row["class"]).mkdir(exist_ok=True)
            shutil.copy(root / row["id"], tmp_path / "seen" / row["id"])
    with pytest.raises(ConfigError, match="test has no labelled image"):
        evaluate.run(checked("eval", f"checkpoint={folder}", f"data.path={tmp_path}/seen"))


def test_an_old_run_is_matched_by_id(run):
    folder, _ = run
    rows = rows_of(folder)
    with (folder / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "class", "split"])
        writer.writerows([row["id"], row["class"], row["split"]] for row in rows)
    seen = seen_by(folder)
    assert seen.column == "id"
    assert set(seen.splits) == {row["id"] for row in rows}
    (folder / "split.csv").unlink()
    assert seen_by(folder) is None


def few_lines(*words):
    few = ("data.images_per_class=8", "batch_size=10", "early_stopping=3")
    pieces = planned(train_job(config("train", *few, *words))).pieces
    return len(pieces.manifest.labelled(VALIDATION)), [
        note.text for note in plan_text.few_notes(pieces)
    ]


def test_a_handful_of_validation_images_is_told():
    images, lines = few_lines("data.validation_fraction=0.02")
    assert images < 30
    assert f"only {images} labelled validation images" in lines[0]
    assert f"{100 / images:.1f} points, the best epoch and early stopping with it" in lines[0]
    assert "no temperature is fitted" in lines[0]
    images, lines = few_lines("data.validation_fraction=0.04")
    assert 30 <= images < 50
    assert "points" not in lines[0]
    assert "no temperature is fitted" in lines[0]
    assert few_lines()[1] == []


def test_no_temperature_is_fitted_to_a_handful(run):
    facts = json.loads((run[0] / "metadata.json").read_text())
    assert "temperature" not in facts


def images_of(folder, split):
    return {row["content"] for row in rows_of(folder) if row["split"] == split}


@pytest.mark.parametrize("way", ["extend", "backbone=run"])
def test_a_run_that_goes_on_over_grown_data_tests_on_what_the_first_has_not_seen(
    run, capsys, way, tmp_path
):
    first, root = run
    grow(root)
    words = [f"extend={first}", "epochs=+1"] if way == "extend" else [
        *words_of(root), "epochs=1", "backbone=run", f"backbone.run={first}"]  # fmt: skip
    capsys.readouterr()
    asked = checked("train", *words, f"run_dir={tmp_path}/next")
    assert train.run(asked) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "validation and test images; " in told
    assert "that it was trained on are training images here" in told
    second = tmp_path / "next"
    for split in ("validation", "test"):
        assert images_of(second, split)
        assert not images_of(second, split) & images_of(first, "train")
    assert not images_of(second, "test") & images_of(first, "validation")
    figures, said = measured(capsys, second)
    assert "seen" in said
    stored = json.loads((second / "metrics.json").read_text())["test"]
    assert figures["accuracy"] == stored["accuracy"]


def test_the_same_data_keeps_its_splits(run, capsys, tmp_path):
    first, _ = run
    asked = checked("train", f"extend={first}", "epochs=+1", f"run_dir={tmp_path}/next")
    assert train.run(asked) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "; 0 that it was trained on are training images here, 0 test images" in told
    assert rows_of(tmp_path / "next") == rows_of(first)


def test_what_the_run_before_the_run_has_seen_counts_too(run, tmp_path):
    first, _ = run
    asked = checked("train", f"extend={first}", "epochs=+1", f"run_dir={tmp_path}/second")
    assert train.run(asked) == 0
    seen = seen_in_all(tmp_path / "second").splits
    # The second run alone would not tell of pictures that it did not have.
    text = (tmp_path / "second" / "split.csv").read_text().splitlines()
    (tmp_path / "second" / "split.csv").write_text("\n".join(text[:5]) + "\n")
    assert seen_in_all(tmp_path / "second").splits == seen
