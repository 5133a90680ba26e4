"""Options of neighbouring groups go together, or are refused with a remedy; there is no third."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.marks import cases
from tlcli.config import registry
from tlcli.contracts import GROUPS
from tlcli.contracts.data import TRAIN
from tlcli.data.labels import label_table
from tlcli.errors import ConfigError
from tlcli.training.checks import check_data
from tlcli.training.order import make_order

NAMES = {group: sorted(p.stem for p in (registry.config_root() / group).glob("*.yaml"))
         for group in GROUPS}  # fmt: skip
# Pairs that are refused whatever else is chosen, and the place that the message names.
REFUSED = {("loss", "asymmetric"): "loss"}


def refused(build, where):
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.where.startswith(where)
    assert caught.value.remedy.endswith(".")


@pytest.fixture(scope="module", autouse=True)
def _eager(lab):
    with lab.eagerly():
        yield


@pytest.fixture(scope="module")
def pieces(lab):
    return lab.pieces()


@pytest.fixture(scope="module")
def start(pieces):
    return [v.numpy().copy() for v in pieces.student.model.variables]


@pytest.fixture
def fresh(pieces, start):
    """The pieces at their first weights."""
    for variable, value in zip(pieces.student.model.variables, start, strict=True):
        variable.assign(value)
    return pieces


def updated(trainer, seed=0):
    """Variables of a phase before and after two updates by random gradients."""
    random = np.random.default_rng(seed)
    before = [v.numpy().copy() for v in trainer.variables]
    for _ in range(2):
        gradients = [
            tf.constant(random.normal(size=v.shape), tf.float32) for v in trainer.variables
        ]
        trainer.optimizer.apply(gradients, trainer.variables)
    return before, [v.numpy() for v in trainer.variables]


@pytest.mark.parametrize("schedule", NAMES["schedule"])
def test_each_optimizer_follows_each_schedule(lab, fresh, schedule):
    for name in NAMES["optimizer"]:
        (ready,) = lab.phases(lab.with_options(fresh, optimizer=name, schedule=schedule))
        trainer = ready()
        table = trainer.plan.rate_table
        assert table.shape == (trainer.plan.total_steps,)
        before, after = updated(trainer)
        for old, new in zip(before, after, strict=True):
            assert np.isfinite(new).all(), name
            moved = np.abs(new - old).max()
            # No method moves a weight of size 1 much further than a few times its rate.
            assert 0 < moved <= 20 * table[:2].sum() * max(1.0, np.abs(old).max()), name


@pytest.fixture(scope="module")
def with_factors(lab):
    return lab.pieces(finetune="lora")


@pytest.mark.parametrize("strategy", cases(NAMES["finetune"], slow=("lora", "lp_ft")))
def test_each_strategy_moves_what_it_trains_with_each_optimizer(lab, fresh, request, strategy):
    own = request.getfixturevalue("with_factors") if strategy == "lora" else fresh
    for name in NAMES["optimizer"]:
        for ready in lab.phases(lab.with_options(own, finetune=strategy, optimizer=name)):
            trainer = ready()
            phase = trainer.plan.phase.name
            still = [(v, v.numpy()) for v in own.student.model.variables
                     if not any(v is t for t in trainer.variables)]  # fmt: skip
            before, after = updated(trainer)
            assert all((a != b).any() and np.isfinite(a).all()
                       for a, b in zip(after, before, strict=True)), (phase, name)  # fmt: skip
            assert all(np.array_equal(v.numpy(), old) for v, old in still), (phase, name)


def batch_of(lab, pieces, augmentation):
    """The first training batch as the step sees it."""
    changed = lab.with_options(pieces, augmentation=augmentation)
    rows = changed.manifest.rows(TRAIN)
    labels = label_table(changed.manifest, rows)
    order = make_order(pieces, rows, 0)
    return next(iter(changed.train_views.stream(rows, labels, order, range(1), range(1))))


@pytest.fixture(scope="module")
def batches(lab, pieces):
    """Batches of plain images, and of each augmentation that changes labels."""
    every = {n: lab.job(augmentation=n).augmentation for n in NAMES["augmentation"]}
    names = [name for name, option in every.items() if option.mix is not None]
    return {name: batch_of(lab, pieces, name) for name in ("none", *names)}


def test_mixing_gives_soft_labels(batches):
    soft = {n for n, b in batches.items() if ((b["labels"].numpy() % 1) != 0).any()}
    assert soft == set(batches) - {"none"}
    assert soft


@pytest.fixture(scope="module")
def headed(lab):
    """Students with each head on the same frozen features, by name."""
    return {name: lab.pieces(head=name).student for name in NAMES["head"]}


@pytest.mark.parametrize("loss", NAMES["loss"])
def test_each_loss_takes_each_head_and_each_augmentation(lab, pieces, batches, headed, loss):
    changed = lab.with_options(pieces, loss=loss)
    if ("loss", loss) in REFUSED:
        refused(lambda: check_data(changed.job, pieces.manifest), REFUSED["loss", loss])
        return
    rows = pieces.manifest.rows(TRAIN)
    counts = label_table(pieces.manifest, rows).sum(0).astype(np.int64)
    prepared = changed.job.loss.prepared(counts, pieces.manifest.class_names)
    for augmentation, batch in batches.items():
        changed = lab.with_options(pieces, loss=loss, augmentation=augmentation)
        check_data(changed.job, pieces.manifest)
        for head, student in headed.items():
            with tf.GradientTape() as tape:
                values = prepared.loss(batch["labels"], student.model(batch["images"]))
                total = tf.reduce_mean(values)
            found = tape.gradient(total, [student.model.trainable_variables[-1].value])[0]
            assert values.shape == (10,)
            assert np.isfinite(values).all(), (augmentation, head)
            assert np.isfinite(found).all(), (augmentation, head)
            assert np.abs(found).max() > 0, (augmentation, head)
