"""Steps of the loop against softmax regression by hand, in float64, on the frozen features."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.trainings import phase_of, planned
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN
from tlcli.training.trainer import Trainer

RATE = 0.5
WORDS = (
    "hardware=cpu", "data.images_per_class=4", "batch_size=10", "epochs=4", "image_size=16",
    "finetune=linear_probe", "finetune.rate=1.0", "backbone.output_layer=tiny_block2",
    "head.zero_init=false", "schedule=constant", "schedule.warmup=0",
    "optimizer=sgd", "optimizer.clip_norm=null",
    "optimizer.momentum=0", "optimizer.weight_decay=0", f"optimizer.learning_rate={RATE}",
    "loss.label_smoothing=0", "precision=float32",
)  # fmt: skip


class Regression:
    """The same training in numpy: features, labels and the weights of the head."""

    def __init__(self, plan):
        rows = plan.pieces.manifest.rows(TRAIN)
        images = next(plan.pieces.plain_views.batches(rows, np.zeros(len(rows)), len(rows)))
        extended = plan.lesson.student.extended
        embed = keras.Model(extended.inputs, extended.outputs[1])
        self.features = np.float64(embed(images, training=False))
        self.labels = np.eye(5)[plan.pieces.manifest.labels[rows]]
        head = plan.lesson.student.model.get_layer("head_logits")
        self.start = [np.float64(head.kernel.numpy()), np.float64(head.bias.numpy())]

    def gradients(self, weights, rows):
        x, y = self.features[rows], self.labels[rows]
        scores = np.exp(x @ weights[0] + weights[1])
        error = (scores / scores.sum(-1, keepdims=True) - y) / len(rows)
        return [x.T @ error, error.sum(0)]

    def history(self, order, steps, gradients=None):
        """Weights after each step of plain gradient descent."""
        weights, found = self.start, []
        for step in range(steps):
            found_gradients = (gradients or self.gradients)(weights, order.slice(step).rows)
            weights = [w - RATE * g for w, g in zip(weights, found_gradients, strict=True)]
            found.append(weights)
        return found


@pytest.fixture
def trainer():
    def made(*words):
        plan = planned(train_job(config("train", *WORDS, *words, "cache=ram")))
        return Regression(plan), phase_of(plan)

    return made


def same(variables, expected):
    for variable, value in zip(variables, expected, strict=True):
        found = variable.numpy() if hasattr(variable, "numpy") else variable
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-6)


def test_sharpness_aware_steps_take_the_gradient_at_the_worst_point_nearby(trainer):
    by_hand, trained = trainer("optimizer.sam=0.5")

    def at_the_worst(weights, rows):
        first = by_hand.gradients(weights, rows)
        length = np.sqrt(sum(np.sum(g**2) for g in first))
        return by_hand.gradients(
            [w + 0.5 * g / length for w, g in zip(weights, first, strict=True)], rows
        )

    sharp = by_hand.history(trained.plan.order, 3, at_the_worst)
    plain = by_hand.history(trained.plan.order, 3)
    trained.feed(0, 3)
    same(trained.variables, sharp[-1])
    assert np.abs(sharp[-1][0] - plain[-1][0]).max() > 1e-3, "the second pass makes a difference"


def test_the_moving_average_warms_up_until_its_decay(trainer):
    by_hand, trained = trainer("optimizer.ema=0.3")
    average = by_hand.start
    # (1 + t) / (10 + t) after steps 1 to 6; 0.3 is less from 5 / 14 on.
    for decay, weights in zip(
        [2 / 11, 3 / 12, 0.3, 0.3, 0.3, 0.3], by_hand.history(trained.plan.order, 6), strict=True
    ):
        average = [decay * a + (1 - decay) * w for a, w in zip(average, weights, strict=True)]
    trained.feed(0, 6)
    same(trained.averages.ema, average)
    same(trained.variables, by_hand.history(trained.plan.order, 6)[-1])
    with trained.evaluation_weights():
        same(trained.variables, average)
    same(trained.variables, by_hand.history(trained.plan.order, 6)[-1])


def test_stochastic_weight_averaging_is_the_mean_of_its_epochs(trainer, tmp_path):
    by_hand, begun = trainer("optimizer.swa=0.5")
    assert begun.plan.total_steps == 8
    training = Trainer(planned(begun.pieces.job), tmp_path)
    training.run(None)
    trained = training.phase
    # Epochs of two steps; the second ends at half of the eight.
    ends = [by_hand.history(trained.plan.order, 8)[step - 1] for step in (4, 6, 8)]
    same(trained.averages.swa, [np.mean(each, 0) for each in zip(*ends, strict=True)])
    with trained.evaluation_weights():
        same(trained.variables, trained.averages.swa)


def test_weights_of_classes_meet_the_labels_of_a_batch(trainer):
    by_hand, trained = trainer("loss.class_weight={5:3,9:0.5}")
    # Each class has four of twenty images: (3 + 1 + 1 + 1 + 0.5) / 5 = 1.3.
    weight = np.array([3, 1, 1, 1, 0.5]) / 1.3

    def weighted(weights, rows):
        x, y = by_hand.features[rows], by_hand.labels[rows]
        scores = np.exp(x @ weights[0] + weights[1])
        error = (scores / scores.sum(-1, keepdims=True) - y) * (y @ weight)[:, None] / len(rows)
        return [x.T @ error, error.sum(0)]

    trained.feed(0, 2)
    same(trained.variables, by_hand.history(trained.plan.order, 2, weighted)[-1])


def test_each_block_steps_at_its_rate_and_decays_by_it():
    words = ("finetune=discriminative", "finetune.rate=0.2", "finetune.decay=0.5",
             "finetune.probe_fraction=0", "optimizer.weight_decay=0.1", "cache=off")  # fmt: skip
    words = [w for w in WORDS if not w.startswith("finetune")] + list(words)
    plan = planned(train_job(config("train", *words)))
    trained = phase_of(plan)
    rows = plan.pieces.manifest.rows(TRAIN)
    batch = trained.plan.order.slice(0).rows
    images = next(plan.pieces.plain_views.batches(rows[batch], np.zeros(10), 10))
    network = plan.lesson.student.model
    with tf.GradientTape() as tape:
        scores = tf.nn.log_softmax(network(images, training=False))
        loss = -tf.reduce_mean(
            tf.gather(scores, plan.pieces.manifest.labels[rows[batch]], batch_dims=1)
        )
    gradients = tape.gradient(loss, [v.value for v in trained.variables])
    before = {v.path: np.float64(v.numpy()) for v in trained.variables}
    trained.feed(0, 1)
    # The head has the phase's rate, each block below it half of that above.
    factor = {"head_logits": 1.0, "tiny_block2_conv": 0.5, "tiny_block1_conv": 0.25}
    seen = set()
    for variable, gradient in zip(trained.variables, gradients, strict=True):
        layer = variable.path.split("/")[0]
        rate = RATE * 0.2 * factor[layer]
        decay = 0.1 if variable.path.endswith("kernel") else 0.0
        expected = before[variable.path] * (1 - rate * decay) - rate * np.float64(gradient)
        moved = expected - before[variable.path]
        np.testing.assert_allclose(
            variable.numpy() - before[variable.path], moved,
            rtol=1e-4, atol=1e-4 * np.abs(moved).max() + 1e-7, err_msg=variable.path,
        )  # fmt: skip
        seen.add(layer)
    assert seen == set(factor)
