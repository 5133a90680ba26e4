"""Which network backbone=auto takes, by images, sizes, devices, budgets and caches, and why."""

import dataclasses

import pytest

from tlcli.config.backbone_rules import (
    CORE_SECONDS,
    GPU_REFERENCE,
    Situation,
    choose,
    image_sizes,
    spoken,
)
from tlcli.config.published import network_of, networks

# 2,000 photographs of ten classes on a laptop of four cores that has a network.
LAPTOP = Situation(
    images=2000, classes=10, side=375, gpu=False, memory=16e9, seconds=CORE_SECONDS / 4, epochs=24,
)  # fmt: skip
GPU = {"gpu": True, "seconds": GPU_REFERENCE, "memory": 64e9}
MOBILENET = frozenset({"mobilenet 0.25"})


def chosen(table=None, **changes):
    return choose(dataclasses.replace(LAPTOP, **changes), networks() if table is None else table)


@pytest.mark.parametrize(
    ("changes", "title", "size", "reason"),
    [
        # A CPU: small and fast.
        ({}, "efficientnet_v2_b0", 224, "78.7 % on ImageNet with 1.4 GFLOPs an image, about"),
        ({"side": 32}, "efficientnet_v2_b0", 128, "on this CPU; its weights are fetched"),
        ({"images": 40, "epochs": 40}, "efficientnet_v2_b0", 224, "78.7 % on ImageNet"),
        # Many images: something faster, then fewer pixels, then the head alone.
        ({"images": 8000, "epochs": 15}, "mobilenet_v3_large 1.0", 224, "75.6 %"),
        # A GPU: large ones, and larger for more images.
        (GPU, "efficientnet_v2_s", 384, "83.9 % on ImageNet with 17 GFLOPs an image, about"),
        ({**GPU, "side": 32}, "convnext_small", 128, "on a GPU"),
        ({**GPU, "images": 50_000, "epochs": 8}, "convnext_base", 224, "85.3 %"),
        # Weights that are here are taken where they are nearly as good, or where nothing else is.
        ({"cached": frozenset({"mobilenet_v3_large 1.0"})}, "mobilenet_v3_large 1.0", 224,
         "its weights are here, efficientnet_v2_b0 would have to be fetched"),
        ({"cached": MOBILENET}, "efficientnet_v2_b0", 224, "its weights are fetched"),
        ({"cached": MOBILENET, "online": False}, "mobilenet 0.25", 224,
         "the best of 1 whose weights are here, for there is no network"),
        ({"cached": MOBILENET, "online": False, "offline": "offline=true"}, "mobilenet 0.25", 224,
         "whose weights are here, for offline=true"),
        ({"cached": frozenset({"vgg16", "mobilenet_v2 1.0"}), "online": False},
         "mobilenet_v2 1.0", 224, "the best of 2"),
        ({"cached": frozenset({"resnet50"}), "online": False, "side": 32}, "resnet50", 96,
         "the best of 1"),
        # Nothing here and no network: what is wanted, which the command then tells to fetch.
        ({"online": False}, "efficientnet_v2_b0", 224, "78.7 %"),
        # Random weights.
        ({"pretrained": False}, "mobilenet 0.25", 224, "the smallest network"),
        ({"pretrained": False, "side": 32}, "mobilenet 0.25", 128, "weights=none"),
        # Little memory: a step of eight images must fit.
        ({"memory": 2.5e9}, "efficientnet_v2_b0", 160, "78.7 %"),
        # A size that was typed is kept.
        ({"image_size": 96}, "efficientnet_v2_b0", 96, "78.7 %"),
    ],
)  # fmt: skip
def test_the_network_of_a_situation(changes, title, size, reason):
    found = chosen(**changes)
    assert (found.candidate.network.title, found.candidate.image_size) == (title, size)
    assert reason in found.network_reason
    assert found.size_reason
    assert found.cut == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"side": 32}, "pictures of 32 px, enlarged: a pretrained network sees more in 128"),
        ({}, "what the network is made for; pictures have 375 px"),
        ({"image_size": 96}, "as you typed"),
    ],
)
def test_the_size_has_a_reason_too(changes, reason):
    assert chosen(**changes).size_reason == reason


@pytest.mark.parametrize(
    ("minutes", "changes", "cut"),
    [
        (600, {}, ""),
        (10, {}, "for 10 min: "),
        (1, {"cached": MOBILENET, "online": False}, "for 60 s: 6 epochs instead of 24"),
        (0.1, {"cached": MOBILENET, "online": False}, "for 6 s: the head alone is trained"),
        (0.01, {"cached": MOBILENET, "online": False},
         "for 1 s: 1 s do not suffice, it takes about"),
        (0.05, {"flexible": False}, "for 3 s: 3 s do not suffice, it takes about"),
    ],
)  # fmt: skip
def test_a_budget_says_what_it_costs(minutes, changes, cut):
    found = chosen(budget=60 * minutes, **changes)
    assert found.cut.startswith(cut) if cut else found.cut == ""


def test_a_larger_budget_is_never_worse_and_is_kept():
    budgets = [2**power for power in range(2, 20)]
    found = [chosen(budget=float(seconds), memory=256e9).candidate for seconds in budgets]
    scores = [one.score for one, s in zip(found, budgets, strict=True) if one.seconds <= 0.8 * s]
    assert scores == sorted(scores)
    assert len(scores) > 12
    kept = [one.seconds <= 0.8 * s for one, s in zip(found, budgets, strict=True)]
    assert kept == sorted(kept)  # once it can be kept, it always can
    assert found[-1].network.top1 > 83  # days: the device says nothing any more


def test_without_freedom_epochs_stay():
    for budget in (None, 60.0, 6000.0):
        assert chosen(flexible=False, epochs=7, budget=budget).candidate.epochs == 7


def test_small_pictures_are_never_shrunk_below_what_was_measured():
    small = dataclasses.replace(LAPTOP, side=32)
    for network in networks():
        assert image_sizes(network, small) == [128, 96]
        sizes = image_sizes(network, LAPTOP)
        assert sizes[0] == network.pixels
        assert sizes == sorted(sizes, reverse=True)
        assert all(size % 32 == 0 for size in sizes[1:])


@pytest.mark.parametrize("images", [2, 50, 3000, 10**6])
@pytest.mark.parametrize("side", [0, 16, 95, 96, 4000])
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("memory", [1e8, 1e12])
@pytest.mark.parametrize("budget", [None, 1.0, 1e9])
@pytest.mark.parametrize("cached", [frozenset(), MOBILENET])
def test_every_situation_has_an_answer(images, side, gpu, memory, budget, cached):
    for online in (True, False):
        found = chosen(
            images=images, side=side, gpu=gpu, memory=memory, budget=budget, cached=cached,
            online=online,
        )  # fmt: skip
        assert found.network_reason
        assert found.candidate.image_size >= 96
        if cached and not online:
            assert found.candidate.network == network_of("mobilenet", 0.25)


def test_the_same_situation_gives_the_same_answer_in_whatever_order_the_table_is():
    assert chosen() == chosen(table=networks()[::-1])


def test_times_are_spoken():
    assert [spoken(s) for s in (0.1, 45, 600, 9000)] == ["1 s", "45 s", "10 min", "2.5 h"]
