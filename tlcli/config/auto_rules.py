"""`config=auto`: rules that choose a recipe from the data, the network and the device.

In the manner of BiT's HyperRule (Kolesnikov et al. 2020, arXiv:1912.11370): few facts decide, and
everybody can see how. A rule is a function (facts, configuration so far) -> choices; `RULES` are
applied in turn, each sees what those before it chose. What a person typed is never changed. The
recipe is a pure function of facts and typed words.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tlcli.config import registry
from tlcli.config.backbone_rules import SHARE, fewer, passes, spoken
from tlcli.contracts import GROUPS

# Epochs of fine-tuning by the most training images they are for, as steps in BiT's rule. On 1,700
# images 24 are no better than 12 (MobileNet 0.25 at 128 px: 0.743 +- 0.010 and 0.748 +- 0.005).
EPOCHS = ((500, 40), (1_000, 24), (5_000, 12), (20_000, 10), (500_000, 8), (math.inf, 4))
# Random weights see everything for the first time.
SCRATCH_EPOCHS = ((1_000, 160), (5_000, 96), (20_000, 60), (500_000, 32), (math.inf, 16))
# Below this many images a class, moving a pretrained network does more harm than good.
FEW = 5
# Hours that fine-tuning may take on a CPU before the head alone is trained.
CPU_HOURS = 3
# Measured with MobileNets: multiply-adds a second of one core, all passes of a step together.
CORE_SPEED = 4e9
# Steps an epoch that a batch should leave.
STEPS = 50
# Numbers of a network up to which its multiple of the head's rate is safe, small networks' first;
# with MobileNet 0.25 and running statistics 1.0 is better than 0.3 and as good as 3.0.
RATES = ((5e6, 1.0), (5e7, 0.3), (math.inf, 0.1))
# The same for random weights. With batch normalisation 3 is better than 1 and 0.3: 99, 96 and 80 %
# of digits (tiny, 40 epochs), 37, 34 and 24 % of CIFAR-10 (2,000 pictures at 64 pixels, MobileNet
# 0.25, 24 epochs), one seed each. Without it a high rate may diverge.
SCRATCH_NORMED, SCRATCH = 3.0, 1.0
# Images a step from which their mean and variance are worth following.
STATISTICS = 16
# Labelled validation images below which shares of them tie in many epochs; the loss does not.
HANDFUL = 50
# Part of the memory for the activations of a step, three times those of a forward pass.
MEMORY = 0.5


@dataclass(frozen=True)
class Facts:
    """What the rules know.

    Attributes:
        images: Of the training split.
        validation: Labelled images of the validation split.
        classes: Number of classes.
        least, most: Training images of the rarest and of the most frequent class.
        multi_label: Whether an image may have several classes.
        side: Median shorter side of the pictures, pixels.
        symbols: Whether every class is called by one character, as digits and letters are.
        pretrained: Whether the backbone's weights are.
        resizable: Whether the backbone takes any image size.
        default_size: Pixels of a side that the backbone is made for.
        flops: Of one image of that size, forward.
        activations: Bytes of all layers' outputs for it.
        parameters: Numbers of the backbone.
        batch_norm: Whether it has batch normalisation.
        gpu: Whether the training runs on one.
        cores: Of the CPU.
        memory: Bytes of the machine or of its container.
        budget: Seconds that the training may take; None where nobody said.
        seconds: Of a forward pass of an image of the default size.
    """

    images: int
    validation: int
    classes: int
    least: int
    most: int
    multi_label: bool
    side: int
    symbols: bool
    pretrained: bool
    resizable: bool
    default_size: int
    flops: float
    activations: float
    parameters: int
    batch_norm: bool
    gpu: bool
    cores: int
    memory: float
    budget: float | None = None
    seconds: float = 0.0

    def at(self, figure: float, config: Mapping[str, Any]) -> float:
        """A figure of one image at the configured image size; it grows with the area."""
        side = config["image_size"] or self.default_size
        return float(figure * (side / self.default_size) ** 2)


@dataclass(frozen=True)
class Choice:
    """A value that a rule wants.

    Attributes:
        key: A group or a dotted key.
        value: Option of the group, or plain value.
        reason: Half a sentence.
    """

    key: str
    value: Any
    reason: str


Choices = Iterator[Choice]


def image_size(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """Small pictures gain nothing from many pixels; BiT trains them at 128."""
    size, side = facts.default_size, facts.side
    if facts.resizable and side < 96 and size > 128:
        yield Choice("image_size", 128, f"pictures of {side} px hold no more detail")
    else:
        yield Choice("image_size", size, f"what the network is made for; pictures have {side} px")


def batch_size(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """Enough steps an epoch, within memory."""
    most = 256 if facts.gpu else 128
    size = 2 ** int(math.log2(max(facts.images / STEPS, 1)))
    size = max(8, min(size, most, facts.images))
    reason = f"{facts.images / size:.0f} steps an epoch of {facts.images:,} images"
    needed = 3 * facts.at(facts.activations, config)
    if not facts.gpu and size * needed > MEMORY * facts.memory:
        size = max(1, int(MEMORY * facts.memory / needed))
        reason = f"{needed * size / 2**30:.1f} GB, and {facts.memory / 2**30:.1f} GB is there"
    yield Choice("batch_size", size, reason)


def strategy(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """Head first, then everything; the head alone where that is too little or takes too long."""
    hours = cpu_hours(facts, config)
    if not facts.pretrained:
        yield Choice("finetune", "full", "random weights must all be trained")
        rate = SCRATCH_NORMED if facts.batch_norm else SCRATCH
        yield Choice("finetune.rate", rate, "there is nothing to keep")
        yield Choice("finetune.head_rate", 1.0, "the head is no newer than the rest")
    elif facts.images < FEW * facts.classes:
        yield Choice("finetune", "linear_probe", f"fewer than {FEW} images a class")
    elif facts.budget is not None and not affordable_epochs(facts, config):
        reason = f"in {spoken(facts.budget)} not even a few epochs of fine-tuning can be done"
        yield Choice("finetune", "linear_probe", reason)
    elif facts.budget is None and not facts.gpu and hours > CPU_HOURS:
        reason = f"fine-tuning would take about {hours:.0f} hours on {facts.cores} cores"
        yield Choice("finetune", "linear_probe", reason)
    else:
        time = "" if facts.gpu else f", about {max(1, round(hours * 60))} min on this CPU"
        yield Choice("finetune", "lp_ft", f"pretrained weights keep best this way{time}")
        rate = next(rate for limit, rate in RATES if facts.parameters < limit)
        reason = f"of the head's, for a network of {facts.parameters / 1e6:.1f} million numbers"
        yield Choice("finetune.rate", rate, reason)


def normalisation(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """Running statistics follow the new pictures when all layers do."""
    if not facts.batch_norm or config["finetune"]["name"] == "linear_probe":
        return
    size = config["batch_size"]
    if size >= STATISTICS or not facts.pretrained:
        reason = f"{size} images a step tell their mean and variance"
        yield Choice("backbone.batch_norm", "train", reason)
    else:
        yield Choice("backbone.batch_norm", "frozen", f"{size} images a step tell too little")


def cpu_hours(facts: Facts, config: Mapping[str, Any]) -> float:
    """What fine-tuning everything takes on the CPU; a step is three forward passes."""
    work = 3 * facts.at(facts.flops, config) / 2 * facts.images * planned_epochs(facts)
    return work / (CORE_SPEED * facts.cores) / 3600


def planned_epochs(facts: Facts) -> int:
    """By the number of images."""
    return epochs_of(facts.images, facts.pretrained)


def epochs_of(images: int, pretrained: bool) -> int:
    """By the number of images; more for random weights."""
    steps = EPOCHS if pretrained else SCRATCH_EPOCHS
    return next(epochs for limit, epochs in steps if images < limit)


def affordable_epochs(facts: Facts, config: Mapping[str, Any]) -> float:
    """Of the planned ones what a budget leaves; 0 where it leaves too few to fine-tune."""
    planned = planned_epochs(facts)
    if facts.budget is None:
        return planned
    image = facts.at(facts.seconds, config) * facts.images
    within = (e for e in fewer(planned) if passes(e) * image <= SHARE * facts.budget)
    return next(within, 0)


def epochs(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """Fewer for more images."""
    kind = "pretrained" if facts.pretrained else "random"
    reason = f"{facts.images:,} images, {kind} weights; the best epoch is kept"
    planned, left = planned_epochs(facts), affordable_epochs(facts, config)
    if left and left < planned and config["finetune"]["name"] != "linear_probe":
        reason = f"{planned} would take longer than {spoken(facts.budget or 0)}, estimated"
        yield Choice("epochs", left, reason)
    else:
        yield Choice("epochs", planned, reason)


def augmentation(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """None for a head alone, mild for little data, more for much."""
    if config["finetune"]["name"] == "linear_probe":
        yield Choice("augmentation", "none", "features of the frozen network are computed once")
        return
    if facts.images < 20_000 and facts.pretrained:
        yield Choice("augmentation", "light", "mild crops for fewer than 20,000 images")
    else:
        yield Choice("augmentation", "standard", "long training sees each image often")
    if facts.symbols:
        yield Choice("augmentation.horizontal_flip", 0.0, "classes are digits or letters")
    if facts.images >= 20_000 and not facts.multi_label:
        yield Choice("augmentation.mixup", 0.1, "BiT's from 20,000 images on")


def rates(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """AdamW's 0.001 for a head at 32 images a step, and safe multiples of it."""
    yield Choice("optimizer", "adamw", "one rate does for all these networks")
    if config["optimizer"]["name"] == "adamw":
        base = 0.001 * math.sqrt(256 / 32)
        yield Choice("optimizer.learning_rate", round(base, 5), "of 256 images; 0.001 of 32")
        yield Choice("optimizer.scaling", "sqrt", "another batch_size takes the right rate with it")
    yield Choice("schedule", "cosine", "warm-up, then down to 0")


def regularisation(facts: Facts, config: Mapping[str, Any]) -> Choices:
    """What labels and imbalance ask for."""
    if few := 0 < facts.validation < HANDFUL:
        yield Choice("monitor", "loss", f"shares of {facts.validation} validation images often tie")
    if facts.multi_label:
        yield Choice("loss", "bce", "images have several labels")
        return
    yield Choice("loss", "cross_entropy", "one label an image, smoothed by 0.1")
    if facts.most >= 10 * max(facts.least, 1):
        yield Choice("loss.class_weight", "balanced", f"classes have {facts.least} to {facts.most}")
    if facts.most >= 5 * max(facts.least, 1) and not few:
        yield Choice("monitor", "balanced_accuracy", "so that rare classes count")


Rule = Callable[[Facts, Mapping[str, Any]], Choices]
RULES: tuple[Rule, ...] = (
    image_size, batch_size, strategy, normalisation, epochs, augmentation, rates, regularisation,
)  # fmt: skip


def decide(
    facts: Facts,
    config: Mapping[str, Any],
    typed: tuple[str, ...],
    settled: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration that all rules make, and why, by key.

    Args:
        facts: Of data, network and device.
        config: Composed configuration of a training.
        typed: Dotted keys and groups that are a person's own.
        settled: Why what was chosen before was chosen, by key; it stays.
    """
    made, reasons = dict(config), dict(settled or {})
    for rule in RULES:
        for choice in rule(facts, made):
            if choice.key not in (settled or {}):
                _apply(choice, made, reasons, typed)
    return made, reasons


def _apply(
    choice: Choice, made: dict[str, Any], reasons: dict[str, str], typed: tuple[str, ...]
) -> None:
    """Put a choice into the configuration that is being made, unless a person typed another."""
    group, _, key = choice.key.partition(".")
    if choice.key in typed:
        reasons[choice.key] = "as you typed"
    # A typed backbone says which network, not how it is trained.
    elif key and group in typed and group != "backbone":
        reasons[group] = "as you typed"
    elif key and key in made[group]:
        made[group] = {**made[group], key: choice.value}
        reasons[choice.key] = choice.reason
    elif not key and any(word.startswith(f"{group}.") for word in typed):
        reasons[group] = "as you typed some of its keys"
    elif not key:
        is_group = group in GROUPS
        made[group] = registry.defaults(group, choice.value) if is_group else choice.value
        reasons[group] = choice.reason
