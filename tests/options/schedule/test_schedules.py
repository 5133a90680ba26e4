import json
import math
import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf

from tlcli.config import registry
from tlcli.errors import ConfigError
from tlcli.options.schedule._length import Length

TOTAL, EPOCH = 100, 12.5
NAMES = sorted(p.stem for p in (registry.config_root() / "schedule").glob("*.yaml"))


def schedule(name, **changes):
    path = registry.config_root() / "schedule" / f"{name}.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    return registry.build("schedule", json.loads(json.dumps(values | changes)))


def after(name, **changes):
    """Values without a warm-up."""
    return schedule(name, warmup=0, **changes).values(TOTAL, EPOCH)


def cosine(done, minimum=0.0):
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * done))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("total", "epoch"), [(100, 12.5), (1, 0.3), (7, 7.0), (1000, 33.3)])
def test_each_yaml_gives_a_multiplier_for_every_step(name, total, epoch):
    values = schedule(name).values(total, epoch)
    assert values.dtype == np.float64
    assert values.shape == (total,)
    assert np.all((values >= 0) & (values <= 1))


@pytest.mark.parametrize("name", NAMES)
def test_each_schedule_rises_from_the_start_to_the_base_rate_at_the_boundary(name):
    values = schedule(name, warmup="20steps", warmup_kind="linear", warmup_start=0.1).values(
        TOTAL, EPOCH
    )
    np.testing.assert_allclose(values[:20], [0.1 + 0.9 * i / 20 for i in range(20)], rtol=1e-12)
    assert values[20] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_warmup_longer_than_the_training_is_refused(name):
    with pytest.raises(ConfigError, match=r"^schedule\.warmup: 9\.0 is 112 steps and the training"):
        schedule(name, warmup=9.0).values(TOTAL, EPOCH)


def test_warmup_kinds_by_hand():
    def third(kind):
        option = schedule("constant", warmup="4steps", warmup_kind=kind, warmup_start=0.01)
        return option.values(TOTAL, EPOCH)[2]

    assert third("linear") == pytest.approx(0.01 + 0.99 / 2)
    assert third("exponential") == pytest.approx(0.1)
    assert third("cosine") == pytest.approx(0.01 + 0.99 * 0.5)
    option = schedule("constant", warmup="4steps", warmup_kind="cosine", warmup_start=0.0)
    assert option.values(TOTAL, EPOCH)[1] == pytest.approx((1 - math.cos(math.pi / 4)) / 2)


def test_only_one_cycle_moves_the_momentum():
    for name in NAMES:
        assert (schedule(name).momentum(TOTAL, EPOCH) is not None) == (name == "one_cycle")
    momentum = schedule("one_cycle").momentum(TOTAL, EPOCH)
    assert momentum.shape == (TOTAL,)
    assert momentum[0] == pytest.approx(0.95)
    assert momentum[30] == pytest.approx(0.85)
    assert momentum[65] == pytest.approx(0.9)
    assert momentum[15] == pytest.approx(0.9)
    assert momentum[-1] == pytest.approx(0.85 + 0.1 * (1 - cosine(69 / 70)))


def test_constant():
    np.testing.assert_array_equal(after("constant"), np.ones(TOTAL))


def test_one_cycle_is_fastai_s():
    values = schedule("one_cycle").values(TOTAL, EPOCH)
    rise = [0.04 + 0.96 * (1 - cosine(i / 30)) for i in range(30)]
    fall = [cosine(i / 70, 1e-5) for i in range(70)]
    np.testing.assert_allclose(values, rise + fall, rtol=1e-9)


def test_cosine():
    expected = [cosine(i / TOTAL, 0.1) for i in range(TOTAL)]
    np.testing.assert_allclose(after("cosine", minimum=0.1), expected, rtol=1e-12)


def test_cosine_restarts_are_each_cycle_mult_times_longer():
    values = schedule("cosine", warmup="30steps", cycles=3, cycle_mult=2.0).values(100, EPOCH)
    expected = [cosine(i / 10) for i in range(10)]
    expected += [cosine(i / 20) for i in range(20)]
    expected += [cosine(i / 40) for i in range(40)]
    np.testing.assert_allclose(values[30:], expected, atol=1e-9)


def test_cosine_restarts_that_fall_between_steps_start_at_the_step_after():
    # Three equal cycles of 10 / 3 steps: they start at 0, 3.33 and 6.67.
    values = schedule("cosine", warmup=0, cycles=3, cycle_mult=1.0).values(10, 1.0)
    starts = [0, 0, 0, 0, 10 / 3, 10 / 3, 10 / 3, 20 / 3, 20 / 3, 20 / 3]
    expected = [cosine((i - s) / (10 / 3)) for i, s in enumerate(starts)]
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_more_cycles_than_steps_are_refused():
    with pytest.raises(ConfigError, match=r"^schedule\.cycles: 5 cycles in 4 steps\."):
        schedule("cosine", warmup=0, cycles=5).values(4, 4)


def test_linear_and_polynomial():
    left = 1 - np.arange(TOTAL) / TOTAL
    np.testing.assert_allclose(after("linear", minimum=0.2), 0.2 + 0.8 * left, rtol=1e-12)
    expected = 0.2 + 0.8 * left**2.5
    np.testing.assert_allclose(after("polynomial", minimum=0.2, power=2.5), expected, rtol=1e-12)


def test_exponential_is_a_ratio_per_epoch_with_a_floor():
    values = after("exponential", gamma=0.5, minimum=0.0)
    np.testing.assert_allclose(values, 0.5 ** (np.arange(TOTAL) / EPOCH), rtol=1e-12)
    assert after("exponential", gamma=0.5, minimum=0.3)[-1] == 0.3


def test_step_drops_at_multiples_of_a_fractional_epoch():
    # 2 epochs are 25 steps.
    values = after("step", every="2epochs", gamma=0.1)
    np.testing.assert_allclose(values, np.repeat([1, 0.1, 0.01, 0.001], 25), rtol=1e-12)


def test_multistep_counts_from_the_start_of_the_training():
    values = schedule("multistep", warmup="10steps", gamma=0.5, milestones=["60%", 4, "90steps"])
    expected = np.repeat([1, 0.5, 0.25, 0.125], [40, 10, 30, 10])  # at 50, 60 and 90
    np.testing.assert_allclose(values.values(TOTAL, EPOCH)[10:], expected)


def test_inverse_sqrt():
    values = after("inverse_sqrt", timescale="10steps")
    np.testing.assert_allclose(values, [math.sqrt(10 / (10 + i)) for i in range(TOTAL)])
    assert after("inverse_sqrt", timescale="10steps", minimum=0.5)[-1] == 0.5


@pytest.mark.parametrize(
    ("kind", "fall"),
    [("linear", lambda t: 1 - t), ("cosine", cosine), ("sqrt", lambda t: 1 - math.sqrt(t))],
)
def test_wsd(kind, fall):
    values = schedule("wsd", warmup="10steps", decay="20steps", decay_kind=kind, minimum=0.1)
    table = values.values(TOTAL, EPOCH)
    np.testing.assert_array_equal(table[10:80], np.ones(70))
    np.testing.assert_allclose(table[80:], [0.1 + 0.9 * fall(i / 20) for i in range(20)])


def test_wsd_refuses_a_decay_that_does_not_fit():
    with pytest.raises(ConfigError, match=r"^schedule\.decay: warm-up and decay are 110 steps"):
        schedule("wsd", warmup="20%", decay="90%").values(TOTAL, EPOCH)


def test_flat_cosine():
    values = schedule("flat_cosine", warmup="10steps", flat="75%").values(TOTAL, EPOCH)
    np.testing.assert_array_equal(values[10:75], np.ones(65))
    np.testing.assert_allclose(values[75:], [cosine(i / 25) for i in range(25)])


def test_plateau_drops_after_patience_and_stops_at_the_minimum():
    option = schedule("plateau", factor=0.1, patience=2, min_delta=0.1, minimum=0.05)
    state, factors = option.initial_state(), []
    # 0.95 is not 0.1 better than 1.0; nan is never better; 0.5 starts the count again.
    for value in [1.0, 0.95, 0.5, float("nan"), 0.6, 0.6, 0.6, 0.6, 0.6]:
        before = dict(state)
        new = option.update(state, value)
        assert state == before
        state = new
        factors.append(round(state["factor"], 9))
    assert factors == [1, 1, 1, 1, 0.1, 0.1, 0.05, 0.05, 0.05]
    assert state["best"] == 0.5


def test_plateau_resumes_from_json():
    option = schedule("plateau", patience=3)
    values = [3.0, 2.0, 2.5, 2.5, 2.5, 2.6, 1.0]
    whole = resumed = option.initial_state()
    for value in values:
        whole = option.update(whole, value)
        resumed = json.loads(json.dumps(option.update(resumed, value)))
    assert whole == resumed


@pytest.mark.parametrize(
    ("given", "steps"),
    [("100steps", 100), ("2epochs", 25), (2, 25), ("2", 25), (0.1, 1), ("5%", 10), ("1 step", 1),
     ("96examples", 12), ("1e2steps", 100), (0, 0), ("100%", 200)],
)  # fmt: skip
def test_lengths(given, steps):
    assert Length.parse(given, "here").steps(200, 12.5, batch_size=8) == steps


def test_examples_reach_a_schedule():
    values = schedule("constant", warmup="80examples").values(TOTAL, EPOCH, batch_size=8)
    assert np.count_nonzero(values < 1) == 10


@pytest.mark.parametrize("given", ["", "abc", "-1", -1, "5 days", "101%", float("inf"), "1_0steps"])
def test_what_is_not_a_length_is_refused(given):
    with pytest.raises(ConfigError, match=r"^schedule\.warmup: got .*Give "):
        schedule("cosine", warmup=given)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cosine", "minimum", 1.5), ("cosine", "cycles", 0), ("cosine", "cycle_mult", 0.0),
        ("cosine", "warmup_start", -0.1), ("polynomial", "power", 0.0),
        ("exponential", "gamma", 0.0), ("step", "every", 0), ("step", "gamma", 2.0),
        ("inverse_sqrt", "timescale", 0), ("plateau", "factor", 1.0), ("plateau", "patience", 0),
        ("plateau", "min_delta", -1.0), ("one_cycle", "momentum_low", 0.99),
        ("one_cycle", "momentum_high", 1.0), ("wsd", "decay", "x"), ("flat_cosine", "flat", "x"),
    ],
)  # fmt: skip
def test_ranges_are_refused_at_their_place(name, field, value):
    with pytest.raises(ConfigError, match=rf"^schedule\.{field}: got "):
        schedule(name, **{field: value})


def test_an_exponential_warmup_needs_a_start_above_zero():
    with pytest.raises(ConfigError, match=r"^schedule\.warmup_start: got 0\.0\. "):
        schedule("cosine", warmup_kind="exponential", warmup_start=0.0)


def test_schedules_losses_and_optimizers_are_checked_without_tensorflow():
    code = """
import sys
from omegaconf import OmegaConf
from tlcli.config import registry
for group in ("schedule", "loss", "optimizer"):
    files = sorted((registry.config_root() / group).glob("*.yaml"))
    assert len(files) >= 6
    for path in files:
        registry.build(group, OmegaConf.to_container(OmegaConf.load(path)))
bad = [m for m in ("tensorflow", "keras") if m in sys.modules]
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", code], check=True)
