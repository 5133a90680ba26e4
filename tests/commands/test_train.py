import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.runs import read_weights, same_weights, train_digits
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import ConfigError, DataError, TlError

PROBE = ("finetune=linear_probe", "calibrate=false")


def rows_of(run_dir):
    with (run_dir / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """All weights trained by SGD without batch normalisation, the run that others are held to."""
    return train_digits(tmp_path_factory.mktemp("plain") / "run", *FULL)


FULL = ("finetune=full", "optimizer=sgd", "epochs=2", "calibrate=false")


def test_a_run_holds_what_it_promises(digits_run):
    names = {p.name for p in digits_run.iterdir()}
    promised = {"config.json", "metadata.json", "model.weights.h5", "split.csv", "metrics.csv",
                "metrics.json", "train.log"}  # fmt: skip
    assert promised <= names
    metadata = json.loads((digits_run / "metadata.json").read_text())
    assert metadata["class_names"] == ["5", "6", "7", "8", "9"]
    assert metadata["temperature"] > 0
    assert metadata["validation_ece_after"] <= metadata["validation_ece_before"] + 0.05
    with (digits_run / "split.csv").open() as lines:
        splits = [row["split"] for row in csv.DictReader(lines)]
    assert splits.count("train") == 40
    log = (digits_run / "train.log").read_text()
    assert "tl eval checkpoint=" in log


def test_rows_count_epochs_and_steps_of_both_phases(digits_run):
    rows = rows_of(digits_run)
    # 0.8 epochs of 4 steps are 3; 1.2 epochs are 5.
    assert [(r["phase"], r["epoch"], r["step"]) for r in rows] == [
        ("0", "1", "3"), ("1", "1", "4"), ("1", "2", "5"),
    ]  # fmt: skip


def test_the_same_command_gives_the_same_weights(digits_run, tmp_path):
    again = train_digits(tmp_path / "again")
    same_weights(digits_run, again)
    assert (digits_run / "metrics.csv").read_text() == (again / "metrics.csv").read_text()
    assert (digits_run / "metrics.json").read_text() == (again / "metrics.json").read_text()


def test_another_seed_gives_other_weights(digits_run, tmp_path):
    other = read_weights(train_digits(tmp_path / "other", "seed=1", *PROBE))
    mine = read_weights(digits_run)
    assert any(not np.array_equal(mine[n], other[n]) for n in mine)


@pytest.mark.parametrize("changed", ["cache=off", "accumulation_steps=2"])
def test_weights_do_not_depend_on_how_they_are_computed(plain, tmp_path, changed):
    same_weights(plain, train_digits(tmp_path / "run", *FULL, changed), atol=1e-5)


def test_finite_views_of_a_frozen_part_are_the_same_cached_and_streamed(tmp_path):
    words = ("finetune=partial", "finetune.last_blocks=1", "optimizer=sgd", "epochs=3",
             "augmentation=light", "augmentation.views=2", "calibrate=false")  # fmt: skip
    cached = train_digits(tmp_path / "cached", *words, "cache=ram")
    streamed = train_digits(tmp_path / "streamed", *words, "cache=off")
    same_weights(cached, streamed, atol=1e-5)
    folder = f"cache_dir={tmp_path / 'cache'}"
    mapped = train_digits(tmp_path / "mapped", *words, "cache=disk", folder)
    same_weights(cached, mapped, atol=1e-6)
    halved = train_digits(tmp_path / "halved", *words, "cache=disk", folder, "cache_format=float16")
    same_weights(cached, halved, atol=2e-3)
    kept = [np.load(path, mmap_mode="r") for path in (tmp_path / "cache").glob("tables/*/0.npy")]
    assert sorted(str(a.dtype) for a in kept) == ["float16"] * 2 + ["float32"] * 2


@pytest.mark.parametrize(
    "word",
    [
        "optimizer.ema=0.9", "optimizer.swa=0.0", "optimizer.sam=0.5", "optimizer.agc=0.001",
        "sampler=balanced", "augmentation=light",
    ],
)  # fmt: skip
def test_an_option_trains_and_changes_the_weights(plain, tmp_path, word):
    found, without = read_weights(train_digits(tmp_path / "run", *FULL, word)), read_weights(plain)
    assert all(np.isfinite(a).all() for a in found.values())
    assert any(not np.array_equal(found[n], without[n]) for n in found)


def test_clipping_bounds_the_step(tmp_path):
    words = (*PROBE, "optimizer=sgd", "optimizer.momentum=0", "optimizer.clip_norm=0.01",
             "optimizer.learning_rate=1", "finetune.rate=1", "epochs=0.25", "schedule=constant",
             "schedule.warmup=0steps")  # fmt: skip
    found = read_weights(train_digits(tmp_path / "run", *words))
    head = [a for a in found.values() if a.shape[-1:] == (5,)]
    # One step of rate 1 from a head of zeros moves it by the clipped gradient.
    norm = np.sqrt(sum((a.astype(float) ** 2).sum() for a in head))
    assert norm == pytest.approx(0.01, rel=1e-4)


def test_early_stopping_ends_a_phase(tmp_path):
    run_dir = train_digits(
        tmp_path / "run", *PROBE, "epochs=30", "early_stopping=2", "optimizer=sgd",
        "optimizer.learning_rate=1e-20", "head.zero_init=false",
    )  # fmt: skip
    rows = rows_of(run_dir)
    assert [r["best"] for r in rows] == ["1", "0", "0"]


def test_the_best_epoch_is_kept_not_the_last(tmp_path):
    words = (*PROBE, "optimizer=sgd", "epochs=3", "monitor=loss", "schedule=constant",
             "optimizer.learning_rate=50")  # fmt: skip
    run_dir = train_digits(tmp_path / "run", *words)
    rows = rows_of(run_dir)
    losses = [float(r["validation_loss"]) for r in rows]
    found = json.loads((run_dir / "metrics.json").read_text())
    assert found["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)
    best = max(i for i, r in enumerate(rows) if r["best"] == "1")
    assert best == int(np.argmin(losses))


def test_a_batch_larger_than_the_data_spans_epochs(tmp_path):
    run_dir = train_digits(
        tmp_path / "run", *PROBE, "data.images_per_class=2", "batch_size=32", "epochs=10"
    )
    steps = [int(r["step"]) for r in rows_of(run_dir)]
    assert steps == [1, 2, 3]  # 100 images in batches of 32


def test_fractions_of_an_epoch_train(tmp_path):
    run_dir = train_digits(tmp_path / "run", *PROBE, "epochs=0.5")
    assert [int(r["step"]) for r in rows_of(run_dir)] == [2]


def test_without_validation_the_last_weights_are_kept(tmp_path):
    run_dir = train_digits(tmp_path / "run", *PROBE, "data.validation_fraction=0")
    found = json.loads((run_dir / "metrics.json").read_text())
    assert set(found) == {"test"}
    assert len(rows_of(run_dir)) == 2


def test_validation_every_other_epoch(tmp_path):
    run_dir = train_digits(tmp_path / "run", *PROBE, "epochs=5", "validate_every=2")
    assert [r["epoch"] for r in rows_of(run_dir)] == ["2", "4", "5"]


def test_a_folder_of_pictures_trains(pictures, tmp_path):
    before = sorted((p, p.stat().st_mtime_ns) for p in pictures.rglob("*"))
    run_dir = train_digits(
        tmp_path / "run", "data=folder", f"data.path={pictures}", *PROBE, "epochs=15"
    )
    metadata = json.loads((run_dir / "metadata.json").read_text())
    assert metadata["class_names"] == ["round", "square"]
    assert float(rows_of(run_dir)[-1]["loss"]) < float(rows_of(run_dir)[0]["loss"])
    assert sorted((p, p.stat().st_mtime_ns) for p in pictures.rglob("*")) == before


@pytest.fixture(scope="session")
def tags(pictures, tmp_path_factory):
    """A table with several labels a picture."""
    table = tmp_path_factory.mktemp("tags") / "tags.csv"
    lines = ["path,label"]
    for path in sorted(pictures.rglob("*.png")):
        small = "|even" if int(path.stem) % 2 == 0 else ""
        lines.append(f"{path},{path.parent.name}{small}")
    table.write_text("\n".join(lines) + "\n")
    return table


def test_several_labels_a_picture_end_to_end(pictures, tags, tmp_path, capsys):
    from tlcli.commands import evaluate, predict

    words = ("data=csv", f"data.path={tags}", "loss=bce", "epochs=3")
    run_dir = train_digits(tmp_path / "run", *words)
    metadata = json.loads((run_dir / "metadata.json").read_text())
    assert len(metadata["thresholds"]) == 3
    capsys.readouterr()
    assert evaluate.run(checked("eval", f"checkpoint={run_dir}", "format=json")) == 0
    figures = json.loads(capsys.readouterr().out)
    stored = json.loads((run_dir / "metrics.json").read_text())["test"]
    assert figures == pytest.approx(stored, abs=1e-6)
    picture = pictures / "round" / "0.png"
    predict.run(checked("predict", picture, f"checkpoint={run_dir}", "format=json"))
    (row,) = json.loads(capsys.readouterr().out)
    least = dict(zip(metadata["class_names"], metadata["thresholds"], strict=True))
    chosen = [t["label"] for t in row["top"] if t["probability"] >= least[t["label"]]]
    assert row["labels"] == chosen


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["loss=asymmetric"], ConfigError, "loss: is for several labels"),
        (["data.validation_fraction=0", "early_stopping=1"], ConfigError, "early_stopping"),
        (["data.validation_fraction=0", "schedule=plateau"], ConfigError, "schedule"),
        (["distillation=kd"], ConfigError, "teacher"),
        (["resume=nowhere"], ConfigError, "resume: nowhere is no run folder"),
        (["data=folder", "data.path=nowhere"], (ConfigError, DataError), "nowhere"),
        (["backbone.weights=nowhere.h5"], (ConfigError, DataError), "nowhere.h5"),
        (["monitor=mean_average_precision"], ConfigError, "monitor"),
        (["save_every=5parsec"], ConfigError, "save_every"),
    ],
)
def test_mistakes_leave_no_folder(tmp_path, words, error, message):
    run_dir = tmp_path / "run"
    with pytest.raises(error, match=message) as caught:
        train.run(checked("train", f"run_dir={run_dir}", "epochs=1", *words))
    assert "\n" not in str(caught.value)
    assert not run_dir.exists()


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path):
    words = [
        "optimizer=sgd",
        "optimizer.learning_rate=1e6",
        "optimizer.clip_norm=null",
        "finetune=full",
        "finetune.rate=1000",
        "data.images_per_class=8",
    ]
    with pytest.raises(TlError, match=r"not finite.*optimizer\.learning_rate"):
        train.run(checked("train", f"run_dir={tmp_path / 'run'}", "epochs=3", *words))


def test_a_folder_with_other_files_is_not_written(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="holds other files"):
        train.run(checked("train", f"run_dir={tmp_path}"))


def test_plan_only_writes_nothing(tmp_path, capsys):
    assert train.run(checked("train", f"run_dir={tmp_path / 'run'}", "plan_only=true")) == 0
    assert not (tmp_path / "run").exists()
    shown = capsys.readouterr().err
    assert "phase 1    " in shown
    assert "█" in shown


MIRRORED = """
import sys
from tlcli.commands import train
from tlcli.config import compose
from tlcli.config.checking import check_request
words = sys.argv[1:]
for device in ("mirrored", "cpu"):
    one = [f"hardware={device}", f"run_dir={device}"]
    train.run(check_request(compose.read("train", [*words, *one])))
"""


@pytest.mark.slow
def test_two_devices_give_the_weights_of_one(tmp_path):
    # 37 images a class in batches of 32: a batch is 16 + 16, the last of an epoch runs on.
    words = ("finetune=full", "optimizer=sgd", "epochs=1", "batch_size=32",
             "data.images_per_class=37", "calibrate=false")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, *words], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    same_weights(tmp_path / "mirrored", tmp_path / "cpu", atol=1e-5)
