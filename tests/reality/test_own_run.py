"""Fine-tuning a run of one's own: on other classes, with another head, for longer."""

import numpy as np
import pytest

from tests.helpers.runs import FEW, train_digits
from tests.helpers.trainings import planned
from tests.helpers.words import checked, config
from tlcli.commands import train
from tlcli.config.job import train_job
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint
from tlcli.training import plan_text

HEADS = ("linear", "mlp", "cosine", "kernel", "attention")


def following(run, *words):
    """The plan of a training that fine-tunes a run."""
    given = {word.partition("=")[0] for word in words}
    few = [word for word in FEW if word.partition("=")[0] not in given]
    words = ("backbone=run", f"backbone.run={run}", *few, *words)
    return planned(train_job(config("train", *words)))


def head_of(plan):
    """Kernel (features, classes) and bias (classes,) of the student's head."""
    layer = plan.lesson.student.model.get_layer("head_logits")
    return tuple(v.numpy() for v in layer.variables)


def told(plan):
    notes = plan_text.head_notes(plan.lesson.head, plan.pieces.manifest.class_names)
    return " ".join(note.text for note in notes)


@pytest.fixture(scope="module")
def rows_of(digits_run):
    """The trained vector and bias of a class of the shared run, which knows 5 to 9."""
    found = checkpoint.read_run(digits_run)
    kernel, bias = (v.numpy() for v in found.model.get_layer("head_logits").variables)
    assert kernel.any(axis=0).all()
    return lambda name: (
        kernel[:, found.class_names.index(name)],
        bias[found.class_names.index(name)],
    )


def test_the_same_classes_take_the_head_over(digits_run, rows_of):
    plan = following(digits_run)
    kernel, bias = head_of(plan)
    for place, name in enumerate("56789"):
        np.testing.assert_array_equal(kernel[:, place], rows_of(name)[0])
        assert bias[place] == rows_of(name)[1]
    assert told(plan).startswith(f"taken over from {digits_run}")


def test_the_same_classes_in_another_order_keep_their_rows(digits_run, rows_of):
    kernel, _ = head_of(following(digits_run, "data.classes=[9,8,7,6,5]"))
    for place, name in enumerate("98765"):
        np.testing.assert_array_equal(kernel[:, place], rows_of(name)[0])


def test_as_many_other_classes_begin_anew(digits_run):
    plan = following(digits_run, "data.classes=[0,1,2,3,4]")
    assert not any(np.any(values) for values in head_of(plan))
    assert told(plan).startswith("all new: none of these classes is one of the run's")


@pytest.mark.parametrize("classes", ["731", "70912345", "76"])
def test_shared_classes_keep_their_rows_and_others_are_new(digits_run, rows_of, classes):
    plan = following(digits_run, f"data.classes=[{','.join(classes)}]")
    kernel, bias = head_of(plan)
    assert kernel.shape[1] == len(classes)
    for place, name in enumerate(classes):
        if name in "56789":
            np.testing.assert_array_equal(kernel[:, place], rows_of(name)[0])
            assert bias[place] == rows_of(name)[1]
            assert repr(name) in told(plan) or set(classes) <= set("56789")
        else:
            assert not kernel[:, place].any()
            assert bias[place] == 0


@pytest.mark.parametrize("head", HEADS[1:])
def test_another_head_begins_anew(digits_run, head):
    plan = following(digits_run, f"head={head}")
    assert told(plan).startswith("all new: the run has another head")


@pytest.mark.parametrize("head", HEADS)
def test_any_head_is_trained_on_to_other_classes_and_a_linear_one(tmp_path, head):
    first = train_digits(tmp_path / "a", f"head={head}", "epochs=1", "finetune=linear_probe")
    same = following(first, f"head={head}", "data.classes=[5,6,1]")
    assert same.lesson.head.kept == ("5", "6")
    stored = checkpoint.read_run(first)
    for layer in same.lesson.student.model.layers:
        if layer.name.startswith("head_") and layer.name != "head_logits":
            for ours, theirs in zip(
                layer.weights, stored.model.get_layer(layer.name).weights, strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    words = ("backbone=run", f"backbone.run={first}", "data.classes=[0,1]", "epochs=1")
    second = train_digits(tmp_path / "b", *words)
    assert checkpoint.read_run(second).class_names == ("0", "1")


@pytest.mark.parametrize(
    "words",
    [
        ("finetune=lora", "finetune.targets=['tiny_block3_conv']"),
        ("distillation=simkd", "teacher=run"),
    ],
)
def test_runs_of_every_kind_are_fine_tuned(tmp_path, digits_run, words):
    if "teacher=run" in words:
        words = (*words, f"teacher.path={digits_run}")
    first = train_digits(tmp_path / "a", "epochs=1", *words)
    again = following(first, *words)
    assert again.lesson.head.kept == tuple("56789")
    stored = checkpoint.read_run(first).model
    for layer in again.lesson.student.model.layers:
        if layer.name.startswith("head_"):
            for ours, theirs in zip(
                layer.weights, stored.get_layer(layer.name).weights, strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
    other = ("backbone=run", f"backbone.run={first}", "epochs=1", "data.classes=[0,1,5]")
    second = train_digits(tmp_path / "b", *other)
    assert checkpoint.read_run(second).class_names == ("0", "1", "5")


def test_a_file_of_weights_never_fills_the_head(digits_run):
    words = ("backbone=tiny", f"backbone.weights={digits_run}/model.weights.h5", *FEW)
    plan = planned(train_job(config("train", *words)))
    assert len(plan.pieces.loaded.loaded) == 8
    assert not any(np.any(values) for values in head_of(plan))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short finished run."""
    return train_digits(tmp_path_factory.mktemp("finished") / "run", "epochs=1")


def given(run, *words):
    return checked("train", *FEW, f"run_dir={run}", *words)


def test_a_finished_run_asked_for_again_says_so(finished, capsys):
    for asked in (
        checked("train", f"resume={finished}"),
        checked("train", f"resume={finished}", "epochs=1", "workers=1", "save_every=off"),
        given(finished, "epochs=1"),
    ):
        assert train.run(asked) == 0
        assert f"{finished} is finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("epochs=5",), r"epochs was 1(\.0)? and is 5.* extend=.* epochs=\+4;"),
        (("epochs=1", "head=mlp"), r"head\.\w+ was"),
        (("epochs=1", "optimizer.learning_rate=0.5"), r"optimizer\.learning_rate was"),
        (("epochs=1", "abstain_below=0.5"), r"abstain_below was None and is 0\.5"),
        (("epochs=1", "seed=4"), r"seed was 0 and is 4"),
    ],
)
def test_a_finished_run_asked_for_otherwise_is_refused(finished, words, named):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    for asked in (checked("train", f"resume={finished}", *words), given(finished, *words)):
        with pytest.raises(ConfigError, match=rf"finished, and was trained otherwise: .*{named}"):
            train.run(asked)
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_a_finished_run_is_extended_as_a_new_one(finished, tmp_path, capsys):
    words = (f"extend={finished}", "epochs=+2", f"run_dir={tmp_path}/more")
    asked = checked("train", *words)
    old = checkpoint.read_json(finished / "config.json")
    for group in ("data", "head", "finetune", "optimizer", "schedule"):
        assert asked.config[group] == old[group]
    assert (asked.job.settings.epochs, asked.job.settings.batch_size) == (2, 10)
    plan = planned(asked.job)
    theirs = checkpoint.read_run(finished).model
    for ours, stored in zip(plan.lesson.student.model.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(ours, stored, err_msg=ours.path)
    assert train.run(asked) == 0
    assert f"2 epochs more, from the weights of {finished}" in capsys.readouterr().err
    assert train.run(checked("train", *words)) == 0
    assert "is finished" in capsys.readouterr().err
    again = checked("train", f"extend={tmp_path}/more", "epochs=1", "plan_only=true")
    assert train.run(again) == 0


def test_typed_words_win_over_those_of_the_extended_run(finished):
    asked = checked("train", f"extend={finished}", "head=mlp", "data.classes=[1,2]", "seed=3")
    assert asked.config["head"]["name"] == "mlp"
    assert asked.config["data"]["classes"] == [1, 2]
    assert asked.config["data"]["images_per_class"] == 8
    assert asked.job.settings.seed == 3


def test_only_a_finished_run_is_extended(finished, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for words, problem in (
        ((f"extend={tmp_path}/none",), "is no run folder"),
        ((f"extend={tmp_path}",), r"is not finished.* resume="),
        ((f"extend={finished}", "backbone=tiny"), "Leave backbone out"),
        ((f"extend={finished}", "config=auto"), "Leave auto out"),
        ((f"extend={finished}", f"resume={finished}"), "leave one out"),
    ):
        with pytest.raises(ConfigError, match=problem):
            checked("train", *words)
