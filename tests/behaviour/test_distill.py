"""Distillation through the whole training: every feed, and what is left on disk."""

import functools
import json

import keras
import numpy as np
import pytest

from tests.helpers.taught import taught, weights_after
from tests.helpers.teachers import configure, fit
from tests.helpers.trainings import planned, streams
from tlcli.commands import evaluate, train
from tlcli.config import chain, compose
from tlcli.config.checking import check_request
from tlcli.config.job import train_job
from tlcli.contracts.data import VALIDATION
from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint


@pytest.fixture(scope="module")
def student(teacher, tmp_path_factory):
    return functools.partial(taught, teacher, tmp_path_factory.mktemp("cache"))


def test_simkd_needs_a_head_to_borrow(student, teacher):
    words = ["hardware=cpu", "data.images_per_class=4", "cache=off", "distillation=simkd"]
    config = configure(*words, "teacher=ensemble", f"teacher.runs=[{teacher},{teacher}]")
    with pytest.raises(ConfigError, match="needs head_map"):
        planned(train_job(config))
    with pytest.raises(ConfigError, match="before activation"):
        student("distillation=sum", "distillation.methods=[simkd,ofd]")


def test_simkd_trains_backbone_and_projector_under_the_teachers_head(student, teacher):
    plan = student("distillation=simkd", "data.classes=[9,5,7]", "data.images_per_class=8")
    theirs = checkpoint.read_run(teacher).model
    fixed = {n: [v.numpy() for v in theirs.get_layer(n).variables] for n in ("head_logits",)}
    _, figures, phase = weights_after(plan, 1)
    assert np.isfinite(figures).all()
    for name, values in fixed.items():
        for now, then in zip(
            plan.lesson.student.model.get_layer(name).variables, values, strict=True
        ):
            np.testing.assert_array_equal(now.numpy(), then)
    trained = {v.path.split("/")[0] for v in phase.variables}
    assert {"head_projector_1_conv", "head_projector_3_norm"} <= trained
    assert "head_logits" not in trained
    # The loss is the difference of the maps before pooling, the label has no part in it.
    images = next(
        plan.pieces.plain_views.batches(plan.pieces.manifest.rows(VALIDATION)[:4], np.zeros(4), 4)
    )
    ours = plan.lesson.student.extended(images, training=False)[-1].numpy()
    layer = theirs.layers[[x.name for x in theirs.layers].index("head_pool")]
    shown = keras.Model(theirs.inputs, layer.input)(images, training=False).numpy()
    assert ours.shape == shown.shape
    signals = Outputs(np.zeros((4, 3), "float32"), features=(ours,))
    taught = plan.lesson.teacher.outputs({"images": images})
    loss = plan.lesson.method.loss(Batch(None), signals, taught, plan.lesson.state)
    np.testing.assert_allclose(loss, ((ours - shown) ** 2).mean((1, 2, 3)), rtol=1e-4)


def test_simkd_leaves_a_student_with_the_teachers_head(teacher, tmp_path, capsys):
    from shutil import copytree, rmtree

    lent, run = tmp_path / "lent", tmp_path / "run"
    copytree(teacher, lent)
    fit(
        run, "distillation=simkd", "teacher=run", f"teacher.path={lent}", "epochs=6",
        "finetune=full", "optimizer.learning_rate=0.003",
        f"cache_dir={teacher.parent}/cache",
    )  # fmt: skip
    rmtree(lent)
    found = checkpoint.read_run(run)
    assert found.facts.head["head"]["name"] == "linear"
    for name in ("kernel", "bias"):
        ours, theirs = (
            getattr(c.model.get_layer("head_logits"), name).numpy()
            for c in (found, checkpoint.read_run(teacher))
        )
        np.testing.assert_array_equal(ours, theirs)
    capsys.readouterr()
    words = [f"checkpoint={run}", "format=json"]
    assert evaluate.run(check_request(compose.read("eval", words))) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == found.facts.metrics["test"]["accuracy"] > 0.35
    assert found.facts.fidelity["agreement"] > 0.35


@pytest.mark.parametrize(
    "method", ["kd", "fitnet", pytest.param("review_kd", marks=pytest.mark.slow)]
)
def test_online_and_cached_teachers_make_the_same_student(student, method):
    words = [f"distillation={method}", "augmentation=light", "augmentation.views=2"]
    cached, seen, first = weights_after(student(*words, "epochs=2"), 8)
    online, shown, second = weights_after(student(*words, "epochs=2", "cache=off"), 8)
    assert (streams(first), streams(second)) == (False, True)
    np.testing.assert_allclose(shown, seen, atol=1e-6, rtol=1e-6)
    for a, b in zip(cached, online, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_table_holds_what_the_teacher_says_of_the_images(student, teacher):
    plan = student("augmentation=light", "augmentation.views=2")
    rows = plan.pieces.manifest.rows(VALIDATION)[:5]
    table = plan.lesson.teacher.table(plan.pieces.train_views, rows, 2)["teacher_logits"]
    views = plan.pieces.train_views.batches(np.tile(rows, 2), np.repeat([0, 1], 5), 10)
    images = next(views)
    found = checkpoint.read_run(teacher).model(images, training=False).numpy()
    np.testing.assert_allclose(table, found, atol=1e-4)
    step = plan.lesson.teacher.outputs({"images": images}).logits
    np.testing.assert_allclose(table, step, atol=1e-6)


def test_a_teacher_that_guesses_is_refused(student, teacher):
    with pytest.raises(ConfigError, match="was asked for"):
        student("teacher.minimum_accuracy=1.0")
    with pytest.raises(ConfigError, match="does not know 4"):
        student("data.classes=[4,5]")


def test_precision_is_as_configured_after_the_teacher_is_read(student):
    plan = student("precision=mixed_bfloat16")
    try:
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert plan.lesson.teacher.built.model.outputs[0].dtype == "float32"
        assert np.isfinite(weights_after(plan, 1)[1]).all()
    finally:
        keras.config.set_dtype_policy("float32")


def test_mixed_images_reach_the_teacher(student):
    plan = student("augmentation=light", "augmentation.mixup=1.0")
    _, figures, phase = weights_after(plan, 2)
    assert streams(phase)
    assert np.isfinite(figures).all()


def test_control_is_the_same_training_without_a_teacher(teacher, tmp_path, capsys):
    config = configure(
        "hardware=cpu", "batch_size=64", "epochs=1", "distillation=kd", "teacher=run",
        f"teacher.path={teacher}", "control=true", f"cache_dir={teacher.parent}/cache",
    )  # fmt: skip
    control = chain.without_teacher(config, tmp_path / "control")
    changed = {k for k in config if config[k] != control[k]}
    assert changed == {"distillation", "teacher", "control", "run_dir"}
    assert train_job(control).settings.control is False


def test_a_distilled_run_needs_its_teacher_no_more(teacher, tmp_path, capsys):
    from shutil import copytree, rmtree

    lent = tmp_path / "lent"
    copytree(teacher, lent)
    run = tmp_path / "run"
    code = train.run(
        check_request(
            compose.read(
                "train",
                [
                    "hardware=cpu", "batch_size=64", "epochs=1", "distillation=kd", "teacher=run",
                    f"teacher.path={lent}", f"run_dir={run}", "control=true",
                    f"cache_dir={teacher.parent}/cache", "finetune=linear_probe",
                ],
            )
        )
    )  # fmt: skip
    assert code == 0
    told = capsys.readouterr()
    assert "without the teacher" in told.out + told.err
    rmtree(lent)
    assert (
        evaluate.run(check_request(compose.read("eval", [f"checkpoint={run}", "format=json"]))) == 0
    )
    figures = json.loads(capsys.readouterr().out)
    facts = json.loads((run / "metadata.json").read_text())
    assert figures["accuracy"] == facts["metrics"]["test"]["accuracy"]
    assert facts["teacher"]["run"] == str(lent)
    assert len(facts["teacher"]["sha256"]) == 64
    assert 0 <= facts["fidelity"]["agreement"] <= 1
    assert checkpoint.is_finished(run / "control")
    assert checkpoint.read_run(run / "control").facts.teacher is None


def test_stored_outputs_serve_tables_and_streams_like_the_teacher_itself(student, tmp_path):
    words = ["augmentation=light", "augmentation.views=4", "epochs=5"]
    store = f"teacher.cache={tmp_path / 'store'}"
    online, shown, first = weights_after(student(*words, "teacher.cache=off"), 12)
    tables, seen, second = weights_after(student(*words, store), 12)
    stream, read, third = weights_after(student(*words, store, "cache=off"), 12)
    assert [streams(phase) for phase in (first, second, third)] == [True, False, True]
    for figures in (seen, read):
        np.testing.assert_allclose(figures, shown, atol=1e-6, rtol=1e-6)
    for weights in (tables, stream):
        for a, b in zip(online, weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_stream_takes_the_stored_outputs_not_the_teacher(student, tmp_path):
    words = ["augmentation=light", "augmentation.views=2", "cache=off", "epochs=2"]
    words += [f"teacher.cache={tmp_path / 'store'}"]
    plan = student(*words)
    store = plan.lesson.teacher.built.kept.filled()
    items = np.arange(store.items)
    expected = store.gather(items)["teacher_logits"]
    views = plan.pieces.train_views.stream(
        plan.pieces.manifest.rows(0), np.zeros(len(plan.pieces.manifest.rows(0)), np.int64),
        phase_order(plan.pieces), range(2), range(1),
    )  # fmt: skip
    for batch in views.map(plan.lesson.teacher.feed()):
        places = batch["rows"].numpy() + batch["views"].numpy() * len(plan.pieces.manifest.rows(0))
        np.testing.assert_array_equal(batch["teacher_logits"], expected[places])
        found = plan.lesson.teacher.built.model(batch["images"], training=False).numpy()
        np.testing.assert_allclose(batch["teacher_logits"], found, atol=1e-5)


def phase_order(pieces):
    from tlcli.training.order import make_order

    return make_order(pieces, pieces.manifest.rows(0), 0)


def test_a_store_of_other_views_is_refused(student, tmp_path):
    words = ["augmentation=light", f"teacher.cache={tmp_path / 'store'}"]
    weights_after(student(*words, "augmentation.views=2"), 1)
    with pytest.raises(ConfigError, match=r"differ in: .*seed \(0, now 1\)"):
        student(*words, "augmentation.views=2", "seed=1", "data.images_per_class=16")
    with pytest.raises(ConfigError, match="never come again"):
        student(*words, "augmentation.views=2", "augmentation.mixup=0.5")
