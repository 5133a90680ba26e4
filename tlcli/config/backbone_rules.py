"""`backbone=auto`: which published network fits the data, the machine and the time.

A pure function of a few facts and of the table of published networks: of all that may be had, at a
few image sizes and with all or fewer epochs, the one whose expected accuracy is highest among those
that memory and time allow. What is said for it is made from the same figures.

What a smaller image costs is taken from the accuracies of MobileNet at 224 and 128 pixels (70.6 and
64.4 %, arXiv:1704.04861), 7.7 points a halving; that small pictures are worth enlarging to 128
pixels was measured (docs/figures.md). What fewer epochs and a frozen network cost are estimates.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tlcli.config.published import Network

# Pictures below this many pixels are enlarged to those.
SMALL, ENLARGED = 96, (128, 96)
# Parts of a network's own pixels that larger pictures are tried at too.
PARTS = (0.75, 0.5)
# Operations of an image, 1e9, that a network for a device has at most; more from MANY images on.
CPU_MOST, GPU_MOST, GPU_MOST_MANY, MANY = 2.0, 20.0, 60.0, 20_000
# Seconds that a training takes at most where no budget is given.
CPU_SECONDS, GPU_SECONDS = 1800.0, 3600.0
# Part of a budget for the training; the rest is for reading, start and test.
SHARE = 0.8
# Points of accuracy on ImageNet that are lost.
HALF_SIZE, HALF_EPOCHS, PROBE = 7.7, 1.5, 6.0
# Points that a network must be better for each doubling of the time; nothing within a budget.
CPU_DOUBLED, GPU_DOUBLED = 1.5, 0.5
# Points that a network which lies in the cache may be worse than one that would be fetched.
NEAR = 4.0
# Passes of a step together, a forward pass being one; and the part of lp_ft's epochs that has them.
PASSES, TUNED = 3.0, 0.75
# Operations of the network that times are told beside, 1e9: MobileNetV2's at 224 pixels.
REFERENCE_GFLOPS = 0.6
# Seconds of its forward pass an image: on one CPU core, from trainings of MobileNet 0.25 (12 epochs
# of 1,700 images at 128 pixels in 20 s on two cores); and on a GPU of 1e13 operations a second.
CORE_SECONDS, GPU_REFERENCE = 0.02, 6e-5
# Part of the memory for activations of a step of eight images, forward and backward.
MEMORY, LEAST_BATCH = 0.5, 8
# Fractions of the planned epochs that are tried.
FEWER = (1.0, 0.5, 0.25, 0.125)
LEAST_EPOCHS = 3


@dataclass(frozen=True)
class Situation:
    """What the rule knows.

    Attributes:
        images: Of the training split.
        classes: Number of classes.
        side: Median shorter side of the pictures, pixels; 0 where none could be read.
        gpu: Whether the training runs on one.
        memory: Bytes of the machine.
        seconds: Of a forward pass of MobileNetV2 at 224 pixels, an image, on this machine.
        epochs: That are planned.
        budget: Seconds that the training may take; None where nobody said.
        flexible: Whether epochs and strategy may be chosen too.
        image_size: As typed, or None.
        pretrained: Whether published weights are wanted.
        cached: Titles of networks whose weights are at hand.
        online: Whether others can be fetched.
        offline: Why nothing can be fetched, half a sentence.
    """

    images: int
    classes: int
    side: int
    gpu: bool
    memory: float
    seconds: float
    epochs: float
    budget: float | None = None
    flexible: bool = True
    image_size: int | None = None
    pretrained: bool = True
    cached: frozenset[str] = frozenset()
    online: bool = True
    offline: str = "there is no network"

    @property
    def limit(self) -> float:
        """Seconds that the training itself may take."""
        if self.budget is not None:
            return SHARE * self.budget
        return GPU_SECONDS if self.gpu else CPU_SECONDS


@dataclass(frozen=True)
class Candidate:
    """A network in a certain way of training.

    Attributes:
        network: The network.
        image_size: Pixels of a side.
        epochs: Of fine-tuning; 0 trains the head alone on features that are computed once.
        seconds: That it takes, estimated.
        score: Expected accuracy less what the time is worth, in points of ImageNet; only
            differences mean something.
    """

    network: Network
    image_size: int
    epochs: float
    seconds: float
    score: float


@dataclass(frozen=True)
class Chosen:
    """What the rule says.

    Attributes:
        candidate: The network and how it is trained.
        network_reason: Why this network, half a sentence or several.
        size_reason: Why this image size.
        cut: What is done to meet a budget, half a sentence; empty where nothing is.
    """

    candidate: Candidate
    network_reason: str
    size_reason: str
    cut: str


def choose(situation: Situation, table: Iterable[Network]) -> Chosen:
    """The network for a situation; where nothing is at hand or can be fetched, the wanted one."""
    table = list(table)
    if not situation.pretrained:
        return _untrained(situation, table)
    at_hand = [one for one in table if one.title in situation.cached]
    best = _best(situation, table) if situation.online or not at_hand else None
    cached = _best(situation, at_hand) if at_hand else None
    found = cached if cached and _serves(cached, best) else best
    assert found is not None
    return _told(situation, found, best, at_hand)


def _serves(cached: Candidate, best: Candidate | None) -> bool:
    """Whether what is at hand is taken instead of the best."""
    return best is None or cached.score >= best.score - NEAR


def _best(situation: Situation, table: list[Network]) -> Candidate:
    """The highest score within the limit of time; the fastest of all where none is."""
    found = list(_candidates(situation, table))
    within = [one for one in found if one.seconds <= situation.limit]
    if within:
        return max(within, key=lambda one: (one.score, -one.seconds))
    return min(found, key=lambda one: (one.seconds, -one.score))


def _candidates(situation: Situation, table: list[Network]) -> Iterator[Candidate]:
    """Networks that the device and its memory are for, in all ways of training."""
    suited = [one for one in table if one.gflops <= most_gflops(situation)]
    sized = [(one, size) for one in suited or table for size in image_sizes(one, situation)]
    # That of a GPU is asked by batch_size.
    fitting = [one for one in sized if _step_bytes(*one) <= MEMORY * situation.memory]
    smallest = min(sized, key=lambda one: _step_bytes(*one))
    for network, size in fitting or [smallest]:
        for epochs in ways(situation):
            seconds = training_seconds(network, size, epochs, situation)
            score = network.top1 - _lost(network, size, epochs, situation)
            yield Candidate(network, size, epochs, seconds, score)


def most_gflops(situation: Situation) -> float:
    """What a network may cost; a budget says that itself."""
    if situation.budget is not None:
        return math.inf
    if not situation.gpu:
        return CPU_MOST
    return GPU_MOST_MANY if situation.images >= MANY else GPU_MOST


def _step_bytes(network: Network, size: int) -> float:
    """What a step of a few images takes: activations; weights, gradients and two moments."""
    image = network.activation_mb * 1e6 * (size / network.pixels) ** 2
    return PASSES * image * LEAST_BATCH + 16 * network.backbone_parameters


def image_sizes(network: Network, situation: Situation) -> list[int]:
    """Sizes that are tried, the best one first; smaller ones are multiples of 32."""
    if situation.image_size is not None:
        return [situation.image_size]
    if situation.side and situation.side < SMALL:
        return list(ENLARGED)
    return [network.pixels, *(round(network.pixels * part / 32) * 32 for part in PARTS)]


def ways(situation: Situation) -> list[float]:
    """Epochs that are tried, the head alone last."""
    if not situation.flexible:
        return [situation.epochs]
    return [situation.epochs, 0] if situation.budget is None else fewer(situation.epochs)


def fewer(epochs: float) -> list[float]:
    """Epochs that a budget may leave of those planned, most first; 0 is the head alone."""
    parts = {min(epochs, max(LEAST_EPOCHS, round(epochs * part))) for part in FEWER}
    return [*sorted(parts, reverse=True), 0]


def training_seconds(network: Network, size: int, epochs: float, situation: Situation) -> float:
    """What a training takes."""
    image = situation.seconds * _image_time(network, size, situation)
    return passes(epochs) * image * situation.images


def _image_time(network: Network, size: int, situation: Situation) -> float:
    """Of a forward pass, an image, beside MobileNetV2's at 224 pixels."""
    relative = relative_time(network.gflops, network.relative_time, situation.gpu)
    return relative * (size / network.pixels) ** 2


def relative_time(gflops: float, on_cpu: float | None, gpu: bool) -> float:
    """Of a forward pass beside MobileNetV2's; by operations on a GPU and where it is unknown."""
    return gflops / REFERENCE_GFLOPS if gpu or on_cpu is None else on_cpu


def passes(epochs: float) -> float:
    """Forward passes that each image costs; of the head alone one, its features are kept."""
    return PASSES * TUNED * epochs or 1.0


def _lost(network: Network, size: int, epochs: float, situation: Situation) -> float:
    """Points that fewer pixels than a network was made for, fewer epochs and its time cost."""
    lost = HALF_SIZE * max(0.0, math.log2(network.pixels / size))
    lost += HALF_EPOCHS * max(0.0, math.log2(situation.epochs / epochs)) if epochs else PROBE
    if situation.budget is None:
        doubled = GPU_DOUBLED if situation.gpu else CPU_DOUBLED
        lost += doubled * math.log2(_image_time(network, size, situation))
    return lost


def _untrained(situation: Situation, table: list[Network]) -> Chosen:
    """Random weights: the smallest network, for all its numbers come from these images alone."""
    network = min(table, key=lambda one: one.backbone_parameters)
    size = image_sizes(network, situation)[0]
    seconds = training_seconds(network, size, situation.epochs, situation)
    found = Candidate(network, size, situation.epochs, seconds, 0.0)
    reason = "weights=none: the smallest network, all its numbers are learnt from these images"
    return Chosen(found, reason, _size_reason(situation, found), "")


def _told(
    situation: Situation, found: Candidate, best: Candidate | None, at_hand: list[Network]
) -> Chosen:
    """The choice in words."""
    network, device = found.network, "a GPU" if situation.gpu else "this CPU"
    reason = (
        f"{network.top1:g} % on ImageNet with {network.gflops:.2g} GFLOPs an image, about "
        f"{spoken(found.seconds)} on {device}{'' if found.epochs else ' for the head alone'}"
    )
    if best is None:
        reason += f"; the best of {len(at_hand)} whose weights are here, for {situation.offline}"
    elif found is not best:
        reason += f"; its weights are here, {best.network.title} would have to be fetched"
    elif network.title not in situation.cached:
        reason += "; its weights are fetched"
    return Chosen(found, reason, _size_reason(situation, found), _cut(situation, found))


def _size_reason(situation: Situation, found: Candidate) -> str:
    """Why this image size."""
    size, side = found.image_size, situation.side
    if situation.image_size is not None:
        return "as you typed"
    if side and side < SMALL:
        return f"pictures of {side} px, enlarged: a pretrained network sees more in {size}"
    full = image_sizes(found.network, situation)[0]
    if size < full:
        return f"{full} px would take longer or more memory than there is"
    return f"what the network is made for; pictures have {side} px"


def _cut(situation: Situation, found: Candidate) -> str:
    """What is given up for the budget."""
    if situation.budget is None:
        return ""
    given = []
    if found.epochs == 0:
        given.append("the head alone is trained")
    elif found.epochs < situation.epochs:
        given.append(f"{found.epochs:g} epochs instead of {situation.epochs:g}")
    budget = spoken(situation.budget)
    if found.seconds > situation.limit:
        given.insert(0, f"{budget} do not suffice, it takes about {spoken(found.seconds)}")
    return f"for {budget}: {', '.join(given)}" if given else ""


def spoken(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
