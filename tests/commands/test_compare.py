"""Runs side by side: which keys differ, means over seeds, sweeps that end in a table."""

import csv
import importlib.util
import io
import json
import statistics

import pytest
import yaml

from tests.helpers.words import checked, config
from tlcli.commands import compare, compare_rows, compare_text
from tlcli.data.resize import Resize
from tlcli.errors import ConfigError, DataError

FEW = ("epochs=1", "finetune=linear_probe", "data.images_per_class=4", "calibrate=false")


def needs(plugin):
    found = importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(
        f"hydra_plugins.{plugin}"
    )
    return pytest.mark.skipif(not found, reason=f"{plugin} is an extra")


@pytest.fixture
def runs(tmp_path):
    """A folder of finished runs: two rates, the first with seeds 1, 2 and 3."""

    def made(name, rate, seed, validation, test):
        folder = tmp_path / "sweep" / name
        folder.mkdir(parents=True)
        given = config("train", f"optimizer.learning_rate={rate}", f"seed={seed}",
                       f"run_dir={folder}", f"workers={seed}")  # fmt: skip
        (folder / "config.json").write_text(json.dumps(given))
        figures = {
            "validation": {"accuracy": validation, "loss": 1 - validation},
            "test": {"accuracy": test, "loss": 2 - test},
        }
        facts = {
            "format": 1, "class_names": ["a", "b"], "multi_label": False,
            "resize": Resize(32, "squash", 1.0, True).as_dict(), "metrics": figures,
            "parameters": 1234, "seconds": 2.0 * seed,
        }  # fmt: skip
        (folder / "metadata.json").write_text(json.dumps(facts))
        (folder / "model.weights.h5").touch()

    made("2", 0.1, 1, 0.5, 0.4)
    made("9", 0.1, 2, 0.7, 0.6)
    made("10", 0.1, 3, 0.9, 0.5)
    made("11", 0.2, 1, 0.8, 0.7)
    return tmp_path / "sweep"


def test_runs_are_found_in_the_order_of_their_numbers_and_inner_ones_are_not(runs):
    inner = runs / "2" / "control"
    inner.mkdir()
    (inner / "config.json").write_text((runs / "2" / "config.json").read_text())
    assert [p.name for p in compare_rows.find_runs([str(runs)])] == ["2", "9", "10", "11"]
    named = compare_rows.find_runs([str(inner), str(runs / "9"), str(runs / "9")])
    assert [p.name for p in named] == ["control", "9"]


def test_only_keys_that_decide_and_differ_are_shown_and_the_best_is_first(runs):
    figure, rows = compare_rows.gather(compare_rows.find_runs([str(runs)]), "auto")
    assert figure == "accuracy"
    assert [r.run.split("/")[-1] for r in rows] == ["10", "11", "9", "2", "mean"]
    assert rows[0].config == {"optimizer.learning_rate": 0.1, "seed": 3}


def test_mean_and_deviation_over_seeds(runs):
    _, rows = compare_rows.gather(compare_rows.find_runs([str(runs)]), "auto")
    mean = rows[-1]
    assert (mean.seeds, mean.config) == (3, {"optimizer.learning_rate": 0.1})
    assert mean.figures == pytest.approx({"validation": 0.7, "test": 0.5})
    # Sample deviation of 0.5, 0.7, 0.9 and of 0.4, 0.6, 0.5.
    assert mean.deviations == pytest.approx({"validation": 0.2, "test": 0.1})
    assert mean.seconds == pytest.approx(4.0)


def test_less_loss_is_better(runs):
    _, rows = compare_rows.gather(compare_rows.find_runs([str(runs)]), "loss")
    losses = [r.figures["validation"] for r in rows if r.seeds == 1]
    assert losses == sorted(losses)


def test_the_three_formats_say_the_same(runs, capsys):
    shown = {}
    for form in ("table", "csv", "json"):
        assert compare.run(checked("compare", str(runs), f"format={form}")) == 0
        shown[form] = capsys.readouterr().out
    rows = json.loads(shown["json"])["rows"]
    table = shown["table"].partition("\n\n")[0].splitlines()
    lines = list(csv.DictReader(io.StringIO(shown["csv"])))
    assert len(rows) == len(lines) == len(table) - 1 == 5
    assert table[0].split()[:3] == ["run", "learning_rate", "seed"]
    for row, line, text in zip(rows, lines, table[1:], strict=True):
        assert float(line["validation_accuracy"]) == row["figures"]["validation"]
        assert float(line["optimizer.learning_rate"]) == row["config"]["optimizer.learning_rate"]
        assert f"{row['figures']['test']:.4f}" in text
    assert "0.7000 ± 0.2000" in table[-1]
    assert float(lines[-1]["validation_accuracy_sd"]) == pytest.approx(
        statistics.stdev([0.5, 0.7, 0.9])
    )


def test_an_unfinished_run_is_listed_without_figures(runs):
    (runs / "11" / "model.weights.h5").unlink()
    figure, rows = compare_rows.gather(compare_rows.find_runs([str(runs)]), "auto")
    unfinished = next(r for r in rows if not r.finished)
    assert unfinished.figures == {"validation": None, "test": None}
    assert "unfinished" in compare_text.as_table(figure, rows)


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"^runs: no value"):
        compare.run(checked("compare"))
    with pytest.raises(DataError, match="holds no run"):
        compare.run(checked("compare", str(tmp_path)))


def test_the_command_needs_no_tensorflow(tl, runs, tmp_path):
    done = tl("compare", runs, "format=csv", f"output={tmp_path / 'table.csv'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table.csv").read_text().count("\n") == 6
    assert done.stdout == ""


def table_of(done, folder):
    """Lines of the table that a sweep ended with, and of its file."""
    assert done.returncode == 0, done.stderr[-3000:]
    with (folder / "comparison.csv").open() as lines:
        written = list(csv.DictReader(lines))
    shown = done.stdout.split("\nrun ")[-1].splitlines()[1:]
    return shown, written


@pytest.mark.slow
@needs("hydra_joblib_launcher")
def test_four_jobs_of_joblib_end_in_the_table(tl, tmp_path):
    done = tl(
        "train", "-m", "seed=1,2", "optimizer.learning_rate=0.001,0.01", *FEW,
        "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    shown, written = table_of(done, tmp_path / "sweep")
    assert sum(row["seeds"] == "1" for row in written) == 4
    assert {(r["seed"], r["optimizer.learning_rate"]) for r in written if r["seed"]} == {
        (s, r) for s in ("1", "2") for r in ("0.001", "0.01")
    }
    assert sum(line.startswith("mean of 2 seeds") for line in shown) == 2


@pytest.mark.slow
@pytest.mark.long
def test_a_job_that_fails_is_told_and_the_others_are_in_the_table(tl, tmp_path):
    done = tl(
        "train", "-m", "optimizer.learning_rate=1e6,0.001", "optimizer=sgd", "finetune=full",
        "optimizer.clip_norm=null",
        "finetune.rate=1000", "epochs=3", "data.images_per_class=8", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert done.returncode == 1
    assert "not finite" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    with (tmp_path / "sweep" / "comparison.csv").open() as lines:
        finished = {
            row["optimizer.learning_rate"]: row["finished"] for row in csv.DictReader(lines)
        }
    assert finished == {"0.001": "true", "1000000.0": "false"}


@pytest.mark.slow
@needs("hydra_optuna_sweeper")
def test_three_trials_of_optuna_end_in_the_table_and_the_best_is_the_best(tl, tmp_path):
    done = tl("train", "-m", "optimizer.learning_rate=tag(log,interval(0.0001,0.1))", *FEW,
              "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1",
              "hydra.sweep.dir=sweep")  # fmt: skip
    _, written = table_of(done, tmp_path / "sweep")
    assert len(written) == 3
    assert len({row["optimizer.learning_rate"] for row in written}) == 3
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    figures = [float(row["validation_accuracy"]) for row in written]
    assert best["best_value"] == max(figures)


@pytest.mark.slow
@pytest.mark.long
@needs("hydra_optuna_sweeper")
def test_a_loss_that_a_recipe_names_is_made_small_by_optuna(tl, tmp_path):
    (tmp_path / "mine.yaml").write_text("monitor: loss\n")
    done = tl("train", "-m", "config=mine.yaml", "optimizer.learning_rate=interval(0.0001,0.1)",
              *FEW, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1",
              "hydra.sweep.dir=sweep")  # fmt: skip
    _, written = table_of(done, tmp_path / "sweep")
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    assert best["best_value"] == -min(float(row["validation_loss"]) for row in written)


@needs("hydra_submitit_launcher")
def test_the_submitit_launcher_composes(tl):
    done = tl("train", "--cfg", "hydra", "-p", "hydra.launcher", "hydra/launcher=submitit_slurm")
    assert done.returncode == 0, done.stderr
    assert "SlurmLauncher" in done.stdout
