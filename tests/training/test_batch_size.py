"""batch_size=auto takes the largest power of two that fits, tells why, and is then a number."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.words import config
from tlcli.cli import main
from tlcli.config.job import train_job
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint
from tlcli.system import memory
from tlcli.training import batch_size, phase

WORDS = ("batch_size=auto", "data.images_per_class=40", "finetune=full", "backbone.weights=none")


@pytest.fixture(scope="module")
def job():
    return train_job(config("train", *WORDS))


@pytest.mark.parametrize(
    ("samples", "number", "why"),
    [
        (100_000, 256, "the most"),
        (2048, 256, "the most"),  # 2048 / 8
        (2047, 128, "under 8 steps"),
        (200, 16, "under 8 steps"),  # 25
        (8, 1, "under 8 steps"),
        (3, 1, "under 8 steps"),
    ],
)
def test_limit_is_a_power_of_two_that_leaves_steps(samples, number, why):
    found, reason = batch_size.limit(samples)
    assert found == number
    assert why in reason


def test_live_bytes_by_hand():
    @tf.function
    def work(x):  # float32 (1000,): 4,000 bytes
        wide = tf.tile(x, [10])  # 40,000
        low = tf.reduce_sum(wide)  # 4; wide is let go of after it
        other = tf.tile(x, [5])  # 20,000
        return low + tf.reduce_max(other)

    spec = tf.TensorSpec((1000,), tf.float32)
    graph = work.get_concrete_function(spec).graph
    # The wide tensor and its sum; the other one comes when the wide one is gone.
    assert batch_size.live_bytes(graph) == 40_000 + 4


def test_activations_that_a_gradient_needs_stay_alive():
    @tf.function
    def work(x):  # float32 (1000,)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.exp(x)
            z = tf.exp(y)
            w = tf.exp(z)
        return tape.gradient(w, x)

    graph = work.get_concrete_function(tf.TensorSpec((1000,), tf.float32)).graph
    # y, z, w are kept for the way back, where two more are made at a time.
    assert 5 * 4000 <= batch_size.live_bytes(graph) <= 6 * 4000


@pytest.fixture(scope="module")
def estimates(job):
    """Estimated bytes of a step at two batches, and the student."""
    made = {number: batch_size.prepared(job, number) for number in (8, 16)}
    found = {n: batch_size.step_bytes(*pair, n) for n, pair in made.items()}
    return found | {"student": made[16][1].student}


def test_an_estimate_counts_weights_and_moments_and_grows_with_the_batch(estimates):
    student = estimates["student"].model
    numbers = sum(int(np.prod(v.shape)) for v in student.variables)
    fixed, per_image = estimates[8]
    # Weights, gradients and AdamW's two moments, 4 bytes each.
    assert fixed == pytest.approx(16 * numbers, rel=0.02)
    assert per_image == pytest.approx(estimates[16][1], rel=0.2)
    kept = sum(
        int(np.prod(layer.output.shape[1:]))
        for layer in student.layers
        if layer.weights and hasattr(layer.output, "shape")
    )
    # What layers with weights give is kept in float32; then as much again comes and goes.
    assert 4 * kept <= per_image <= 16 * kept


def test_on_a_cpu_the_number_follows_from_the_whole_memory(job, estimates, monkeypatch):
    fixed, per_image = estimates[16]
    for fitting, expected in ((16, 16), (15, 8), (7.9, 4), (0.1, 1)):
        room = (fixed + per_image * fitting) / batch_size.SHARE
        monkeypatch.setattr(memory, "total", lambda room=room: int(room) + 2)
        monkeypatch.setattr(batch_size, "step_bytes", lambda *_: (fixed, per_image))
        monkeypatch.setattr(batch_size, "prepared", lambda *_: (None, None))
        number, reason = batch_size.found(job)
        assert number == expected
        assert ("half the memory" in reason) == (expected < 16)


def test_on_an_accelerator_steps_are_tried_until_one_fits(monkeypatch):
    tried = []

    def limited(pieces, lesson, plan, source, step):
        def feed(first, last):
            tried.append((plan.order.batch_size, first, last))
            if plan.order.batch_size > 2:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")

        return feed

    monkeypatch.setattr(phase, "feed_of", limited)
    monkeypatch.setattr(batch_size.tf.config, "list_logical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(batch_size, "prepared", on_cpu(batch_size.prepared, monkeypatch))
    words = ("data.images_per_class=8", "finetune=linear_probe", "backbone.weights=none")
    number, reason = batch_size.found(train_job(config("train", "batch_size=auto", *words)))
    assert number == 2
    assert tried == [(4, 0, 1), (2, 0, 1)]
    assert "tried" in reason


def on_cpu(function, monkeypatch):
    """The function while no accelerator is seen: there is none to build on."""

    def call(*values):
        with monkeypatch.context() as patch:
            patch.setattr(batch_size.tf.config, "list_logical_devices", lambda kind: [])
            return function(*values)

    return call


def test_a_run_keeps_its_number(tmp_path, capsys, monkeypatch):
    run_dir = tmp_path / "run"
    words = ["train", *WORDS, f"run_dir={run_dir}", "epochs=1", "calibrate=false"]
    words[words.index("finetune=full")] = "finetune=linear_probe"
    assert main.run(words) == 0
    shown = capsys.readouterr().err
    assert "batch      16: more would leave an epoch of 200 images under 8 steps" in shown
    assert ", batch 16, " in shown
    assert checkpoint.read_json(run_dir / "config.json")["batch_size"] == 16
    # What was begun goes on with its number, whatever would fit now.
    monkeypatch.setattr(batch_size, "found", lambda job: (2, "another machine"))
    auto = train_job({**checkpoint.read_config(run_dir), "batch_size": "auto"})
    assert batch_size.resolved(auto, run_dir).settings.batch_size == 16
    assert batch_size.resolved(auto, tmp_path / "new").settings.batch_size == 2
    given = replace(auto, settings=replace(auto.settings, batch_size=5))
    assert batch_size.resolved(given, run_dir) is given


def test_a_chain_must_say_its_batch():
    job = train_job(config("train", "batch_size=auto", "distillation=kd", "generations=2"))
    with pytest.raises(ConfigError, match=r"^batch_size: got 'auto', and the trainings of a chain"):
        batch_size.resolved(job)


@pytest.mark.parametrize("given", ["0", "-1", "large", "2.5", "null"])
def test_other_words_are_no_batch_size(given):
    with pytest.raises(ConfigError, match=r"^batch_size: "):
        train_job(config("train", f"batch_size={given}"))
