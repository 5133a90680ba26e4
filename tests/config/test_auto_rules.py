"""What the facts decide in config=auto, and what a person typed."""

import dataclasses
import json

import pytest

from tests.helpers.words import checked, config
from tlcli.config.auto_rules import Facts, decide
from tlcli.config.job import train_job

# 2,000 photographs of ten classes, an ordinary network, a laptop.
PHOTOS = Facts(
    images=2000, validation=300, classes=10, least=200, most=200, multi_label=False, side=375,
    symbols=False, pretrained=True, resizable=True, default_size=224, flops=8e7, activations=1e7,
    parameters=4_000_000, batch_norm=True,
    gpu=False, cores=4, memory=8e9,
)  # fmt: skip


def chosen(*words, **changes):
    given = checked("train", "config=auto", *words)
    return decide(dataclasses.replace(PHOTOS, **changes), given.config, given.typed)


def test_few_photographs_get_a_probe_then_mild_fine_tuning():
    made, reasons = chosen()
    assert made["finetune"]["name"] == "lp_ft"
    assert made["augmentation"]["name"] == "light"
    assert made["augmentation"]["horizontal_flip"] == 0.5
    assert (made["image_size"], made["batch_size"], made["epochs"]) == (224, 32, 12)
    assert made["loss"]["name"] == "cross_entropy"
    assert made["monitor"] == "auto"
    assert all(reasons.values())
    train_job(made)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"pretrained": False}, {"finetune": "full", "augmentation": "standard", "epochs": 96}),
        ({"images": 40, "least": 4, "most": 4},
         {"finetune": "linear_probe", "augmentation": "none", "epochs": 40, "batch_size": 8}),
        ({"flops": 4e11}, {"finetune": "linear_probe", "augmentation": "none"}),
        ({"flops": 4e11, "gpu": True}, {"finetune": "lp_ft", "augmentation": "light"}),
        ({"side": 32}, {"image_size": 128}),
        ({"side": 32, "resizable": False}, {"image_size": 224}),
        ({"side": 32, "default_size": 64}, {"image_size": 64}),
        ({"images": 50_000}, {"epochs": 8, "batch_size": 128, "augmentation": "standard"}),
        ({"images": 50_000, "gpu": True}, {"batch_size": 256}),
        # 3 x 1 GB an image of half of 32 GB: five.
        ({"activations": 1e9, "memory": 32e9}, {"batch_size": 5}),
        ({"least": 30}, {"monitor": "balanced_accuracy"}),
        ({"multi_label": True}, {"loss": "bce"}),
        ({"validation": 49}, {"monitor": "loss"}),
        ({"validation": 6, "least": 30}, {"monitor": "loss"}),
        ({"validation": 6, "multi_label": True}, {"monitor": "loss"}),
    ],
)  # fmt: skip
def test_facts_decide(facts, expected):
    made, reasons = chosen(**facts)
    found = {k: made[k]["name"] if isinstance(made[k], dict) else made[k] for k in expected}
    assert found == expected
    assert set(expected) <= set(reasons)
    train_job(made)


def test_shares_of_enough_validation_images_or_of_none_choose_the_epoch():
    for validation in (0, 50, 5_000):
        made, reasons = chosen(validation=validation)
        assert made["monitor"] == "auto"
        assert "monitor" not in reasons
    assert "shares of 6 validation images often tie" in chosen(validation=6)[1]["monitor"]
    made, reasons = chosen("monitor=macro_f1", validation=6)
    assert (made["monitor"], reasons["monitor"]) == ("macro_f1", "as you typed")


def test_details_that_facts_decide():
    assert chosen(symbols=True)[0]["augmentation"]["horizontal_flip"] == 0
    assert chosen(images=50_000)[0]["augmentation"]["mixup"] == 0.1
    assert chosen(images=50_000, multi_label=True)[0]["augmentation"]["mixup"] == 0
    assert chosen(least=20)[0]["loss"]["class_weight"] == "balanced"
    assert chosen(pretrained=False)[0]["finetune"]["rate"] == 3.0
    assert chosen(pretrained=False, batch_norm=False)[0]["finetune"]["rate"] == 1.0
    for parameters, rate in ((4_000_000, 1.0), (25_000_000, 0.3), (90_000_000, 0.1)):
        assert chosen(parameters=parameters)[0]["finetune"]["rate"] == rate


def test_running_statistics_follow_where_a_batch_tells_them():
    def mode(*words, **facts):
        return chosen(*words, **facts)[0]["backbone"]["batch_norm"]

    given = config("train")["backbone"]["batch_norm"]
    assert mode("backbone=mobilenet") == "train"
    assert mode("batch_size=8") == "frozen"
    assert mode("batch_size=8", pretrained=False) == "train"
    assert mode(images=40) == given  # a probe
    assert mode(batch_norm=False) == given
    assert mode("backbone.batch_norm=adapt") == "adapt"


def test_the_head_s_rate_is_that_of_32_images_and_follows_the_batch():
    for words, rate in (((), 0.001), (("batch_size=128",), 0.002)):
        made, _ = chosen(*words)
        assert train_job(made).optimizer.scaled_rate(made["batch_size"]) == pytest.approx(
            rate, rel=0.01
        )


def test_what_was_typed_wins_and_is_said():
    words = ("epochs=3", "finetune=full", "optimizer.learning_rate=0.5", "augmentation=standard",
             "augmentation.hue=0.1", "schedule.warmup=3steps")  # fmt: skip
    made, reasons = chosen(*words, symbols=True)
    given = config("train", "config=auto", *words)
    for group in ("finetune", "augmentation", "schedule"):
        assert made[group] == given[group]
    assert made["epochs"] == 3
    assert made["optimizer"] == {**given["optimizer"], "scaling": "sqrt"}
    yours = {key for key, reason in reasons.items() if reason.startswith("as you typed")}
    assert yours == {"epochs", "finetune", "augmentation", "optimizer", "schedule",
                     "optimizer.learning_rate"}  # fmt: skip


def test_later_rules_see_what_was_typed():
    made, _ = chosen("finetune=linear_probe")
    assert made["augmentation"]["name"] == "none"
    made, _ = chosen("optimizer=sgd")
    assert made["optimizer"] == config("train", "optimizer=sgd")["optimizer"]


def test_same_facts_same_recipe_and_nothing_given_is_changed():
    given, typed = config("train", "config=auto"), ("auto",)
    before = json.dumps(given)
    assert decide(PHOTOS, given, typed) == decide(PHOTOS, given, typed)
    assert json.dumps(given) == before


def test_a_budget_leaves_fewer_epochs_then_the_head_alone():
    # A pass over 2,000 images takes 20 s.
    def made(minutes):
        found, reasons = chosen(seconds=0.01, budget=60.0 * minutes)
        return found["finetune"]["name"], found["epochs"], reasons["epochs"]

    assert made(30)[:2] == ("lp_ft", 12)
    assert made(10)[:2] == ("lp_ft", 6)
    assert made(10)[2] == "12 would take longer than 10 min, estimated"
    assert made(3)[:2] == ("lp_ft", 3)
    strategy, epochs, _ = made(1)
    assert (strategy, epochs) == ("linear_probe", 12)
    assert "in 60 s not even" in chosen(seconds=0.01, budget=60.0)[1]["finetune"]


def test_what_was_settled_before_stays_with_its_reason():
    given = checked("train", "config=auto")
    config = {**given.config, "image_size": 96}
    made, reasons = decide(PHOTOS, config, given.typed, {"image_size": "small pictures"})
    assert made["image_size"] == 96
    assert reasons["image_size"] == "small pictures"
