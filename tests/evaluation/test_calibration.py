"""What is fitted on validation mends an over-confident model, and `tl eval` applies it."""

import json

import numpy as np
import pytest

from tests.helpers.runs import train_digits
from tests.helpers.words import checked
from tlcli.commands import evaluate
from tlcli.evaluation.calibration import (
    BOUNDS,
    MOST_ERROR,
    at_bound,
    chosen,
    clearly_less,
    error,
    fit_temperature,
    fit_thresholds,
    held_out,
)
from tlcli.evaluation.classifier import classifier, logits_of, rows_of
from tlcli.evaluation.metrics import cross_entropy, sigmoid, softmax
from tlcli.evaluation.scaling import PLAIN
from tlcli.runs import checkpoint


@pytest.fixture(scope="module")
def sure(tmp_path_factory):
    """A head that was driven far beyond fitting twenty images."""
    words = ("data.images_per_class=4", "batch_size=20", "epochs=60", "validate_every=60")
    return train_digits(
        tmp_path_factory.mktemp("sure") / "run", *words, "finetune=linear_probe",
        "optimizer.learning_rate=0.1",
    )  # fmt: skip


def test_calibration_lowers_the_error_and_eval_reports_it(sure, capsys):
    metadata = checkpoint.read_json(sure / "metadata.json")
    assert max(metadata["vector_scale"]) < 0.5  # as a temperature above 2
    assert "temperature" not in metadata
    assert metadata["validation_ece_after"] < metadata["validation_ece_before"] - 0.01
    words = ("split=validation", "format=json")
    assert evaluate.run(checked("eval", f"checkpoint={sure}", *words)) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["ece"] == pytest.approx(metadata["validation_ece_after"], abs=1e-6)
    assert figures["loss"] < metadata["metrics"]["validation"]["loss"] - 0.5


def test_the_error_before_and_after_by_hand(sure):
    found = checkpoint.read_run(sure)
    manifest = evaluate.data_of(found, None)
    views = evaluate.Views(manifest, found.resize, None, 0, 1)
    rows = rows_of(manifest, "validation")
    logits = np.concatenate(list(logits_of(classifier(found.model), views, rows)))
    labels = manifest.labels[rows]
    own = np.float64(found.facts.vector_scale), np.float64(found.facts.vector_bias)
    for (scale, bias), name in (((1.0, 0.0), "before"), (own, "after")):
        probabilities = softmax(np.float64(logits) * scale + bias)
        sure_of, right = probabilities.max(-1), probabilities.argmax(-1) == labels
        bins = np.minimum((sure_of * 15).astype(int), 14)
        gaps = [abs(sure_of[bins == b].sum() - right[bins == b].sum()) for b in range(15)]
        expected = sum(gaps) / len(labels)
        assert getattr(found.facts, f"validation_ece_{name}") == pytest.approx(expected, abs=1e-3)


def test_the_temperature_of_logits_that_were_stretched_is_found():
    random = np.random.default_rng(2)
    logits = random.normal(size=(20000, 4)) * 2
    drawn = random.random((20000, 1))
    labels = (softmax(logits).cumsum(-1) < drawn).sum(-1).clip(0, 3)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)


def test_the_temperature_is_the_best_of_a_grid():
    random = np.random.default_rng(3)
    logits, labels = random.normal(size=(50, 3)) * 4, random.integers(0, 3, 50)

    def loss(temperature):
        # As if a few images more, PRIOR_IMAGES, spoke for 1.
        return cross_entropy(logits / temperature, labels).sum() + 5 * np.log(temperature) ** 2

    found = fit_temperature(logits, labels)
    assert loss(found) <= min(map(loss, np.geomspace(*BOUNDS, 400))) + 1e-9


def test_thresholds_reach_the_best_f1_there_is():
    random = np.random.default_rng(4)
    labels = (random.random((40, 3)) < 0.4).astype(np.uint8)
    labels[:, 2] = 0
    logits = np.round(labels + random.normal(size=(40, 3)), 1)  # with ties

    def f1(class_index, threshold):
        guesses = sigmoid(logits[:, class_index]) >= threshold
        real = labels[:, class_index] > 0
        return 2 * (guesses & real).sum() / (guesses.sum() + real.sum())

    found = fit_thresholds(logits, labels)
    for index in range(2):
        cuts = [0, *sigmoid(logits[:, index])]
        assert f1(index, found[index]) == pytest.approx(max(f1(index, cut) for cut in cuts))
    assert found[2] == 0.5


def test_a_temperature_at_its_bound_is_told():
    labels = np.arange(6000) % 3  # so many that they outweigh the pull towards 1
    sure = 0.5 * np.eye(3)[labels]
    found = [fit_temperature(sure, labels), fit_temperature(-sure, labels)]
    assert found == pytest.approx(BOUNDS, rel=1e-4)
    assert [at_bound(one) for one in (*found, 1.0, 0.21, 9.5)] == [True, True, False, False, False]


@pytest.mark.parametrize("seed", range(20))
def test_a_temperature_of_few_images_never_hurts_on_held_out_ones(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 60)
    logits = random.normal(0, 2, (60, 3))
    logits[np.arange(60), labels] += random.uniform(0, 3)
    scaling, (losses, _) = chosen(logits, labels), held_out(logits, labels)
    means = {name: one.mean() for name, one in losses.items()}
    kind = "vector" if scaling.scale else "none" if scaling == PLAIN else "temperature"
    assert means[kind] <= means["none"]
    assert (kind == "none") == (means["temperature"] >= means["none"])
    assert BOUNDS[0] <= scaling.temperature <= BOUNDS[1]


def drawn(seed, images, skewed):
    """Logits of three classes that are too sure, and of a class too much where skewed; labels."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (images, 3))
    labels = (softmax(logits).cumsum(-1) < random.random((images, 1))).sum(-1).clip(0, 2)
    return (logits * [1.3, 1.3, 3.0] + [0, 0, 2.0] if skewed else logits * 1.3), labels


@pytest.mark.parametrize("skewed", [False, True])
def test_calibration_of_small_sets_does_not_hurt_unseen_images_on_average(skewed):
    gains, kinds = [], []
    for seed in range(20):
        logits, labels = drawn(seed, 1060, skewed)
        found = chosen(logits[:60], labels[:60])
        gains.append((cross_entropy(logits[60:], labels[60:])
                      - cross_entropy(found(logits[60:]), labels[60:])).mean())  # fmt: skip
        kinds.append(found.scale is not None)
    assert np.mean(gains) >= 0
    # Where one divisor is the truth, few sets may think otherwise by chance.
    assert sum(kinds) >= 15 if skewed else sum(kinds) <= 2


def test_a_vector_that_raises_the_calibration_error_is_left_out():
    """A network that gives one class too much, and is right more often than it thinks without."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 5, 150)
    logits = random.normal([0, 1, 0, 0, 0], 0.3, (150, 5))
    logits[np.arange(150), labels] += 1.0
    logits *= 0.3
    losses, found = held_out(logits, labels)
    for name, one in found.items():
        np.testing.assert_array_equal(losses[name], cross_entropy(one, labels))
    assert clearly_less(losses["vector"], losses["temperature"])
    assert error(found["vector"], labels) > error(found["temperature"], labels) + 2 * MOST_ERROR
    assert chosen(logits, labels).scale is None


def test_a_vector_needs_images_enough_and_a_gain_beyond_chance():
    logits, labels = drawn(0, 29, True)
    losses, found = held_out(logits, labels)
    assert losses.keys() == {"none", "temperature"}
    assert not found
    assert held_out(*drawn(0, 30, True))[0].keys() == {"none", "temperature", "vector"}
    # By hand: gains of 0.1 throughout; of 0.1 on average, deviation 0.23, so 0.115 of chance.
    assert clearly_less(np.zeros(4), np.array([0.1, 0.1, 0.1, 0.1001]))
    assert not clearly_less(np.zeros(4), np.array([0.3, -0.1, 0.3, -0.1]))


def test_nine_images_that_are_all_right_do_not_make_a_network_sure_of_everything():
    random = np.random.default_rng(3)
    labels = np.arange(9) % 3
    logits = random.normal(0, 0.3, (9, 3))
    logits[np.arange(9), labels] += 1.5
    # Unbounded, the likelihood grows as T falls to 0.
    losses = [cross_entropy(logits / t, labels).mean() for t in (0.5, 0.1, 0.01)]
    assert losses[0] > losses[1] > losses[2]
    assert fit_temperature(logits, labels) > 0.4
    assert fit_temperature(np.tile(logits, (500, 1)), np.tile(labels, 500)) == pytest.approx(
        BOUNDS[0], abs=0.02
    )
