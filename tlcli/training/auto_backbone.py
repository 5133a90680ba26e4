"""`backbone=auto`: look at data, machine and cache, and let the rule choose a published network."""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.config import registry
from tlcli.config.auto_rules import epochs_of
from tlcli.config.backbone_rules import (
    CORE_SECONDS,
    GPU_REFERENCE,
    Chosen,
    Situation,
    choose,
)
from tlcli.config.job import TrainJob, train_job
from tlcli.config.published import Network, files_of, networks
from tlcli.config.recipe import shown
from tlcli.contracts.data import TRAIN
from tlcli.data.views import worker_count
from tlcli.errors import ConfigError
from tlcli.models import weight_cache
from tlcli.runs import checkpoint
from tlcli.system import cluster, console, download, memory
from tlcli.system.notes import EXPERT, MUST
from tlcli.training.data import data_of
from tlcli.training.devices import has_gpu, start_devices
from tlcli.training.looks import median_side

# Of the network that the machine is measured with: MobileNetV2 at fewer pixels, to be done soon.
TRIAL_PIXELS, TRIAL_BATCH, TRIALS = 128, 8, 4


def resolved(job: TrainJob, typed: Sequence[str] = (), run_dir: Path | None = None) -> TrainJob:
    """The job with a published network in the place of `auto`, said with its reasons.

    Args:
        job: A checked training.
        typed: Dotted keys and groups that are a person's own.
        run_dir: Its folder; a run that was begun there keeps its network.

    Raises:
        ConfigError: No weights are at hand, or a time budget that nothing heeds.
        DataError: Data that cannot be used.
    """
    settings = job.settings
    if not job.backbone.chosen_later:
        if settings.time_budget and not settings.auto:
            raise ConfigError(
                "time_budget", "nothing is chosen that could heed it",
                "Give backbone=auto or auto=true too, or fewer epochs.",
            )  # fmt: skip
        return job
    kept = begun(run_dir)
    if kept is not None:
        size = settings.image_size or kept["image_size"]
        return train_job({**job.config, "backbone": kept["backbone"], "image_size": size})
    # Machines may be unlike, and all must train the same.
    member = cluster.join(job.hardware)
    config, reasons = json.loads(member.from_chief(json.dumps(decided(job, typed))))
    for key, reason in reasons.items():
        value = config["backbone"]["name"] if key == "backbone" else config[key]
        named = told_name(config["backbone"]) if key == "backbone" else shown(value)
        kind = MUST if key == "backbone" else EXPERT
        console.say(f"auto       {key}={named}: {reason}", kind)
    return replace(train_job(config), reasons=reasons)


def begun(run_dir: Path | None) -> Mapping[str, Any] | None:
    """The configuration that a run was begun with, or None."""
    if run_dir is None or not (run_dir / "config.json").is_file():
        return None
    return checkpoint.read_config(run_dir)


def told_name(values: Mapping[str, Any]) -> str:
    """A chosen backbone as it would be typed."""
    name = next(n.name for n in networks() if n.constructor == values["constructor"])
    return name if values["alpha"] is None else f"{name} backbone.alpha={values['alpha']:g}"


def decided(job: TrainJob, typed: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration with the chosen network, and why, by key."""
    situation = gathered(job, typed)
    found = choose(situation, networks())
    network = found.candidate.network
    if situation.pretrained and not situation.online and network.title not in situation.cached:
        files = files_of(network.name, network.alpha, False, found.candidate.image_size)
        raise weight_cache.missing(files[0], "", situation.offline)
    backbone = {
        **registry.defaults("backbone", network.name),
        "alpha": network.alpha, "weights": job.backbone.weights,
        "batch_norm": job.backbone.batch_norm,
    }  # fmt: skip
    size = found.candidate.image_size
    config = {**job.config, "backbone": backbone, "image_size": size}
    return config, reasons_of(found, job.settings.image_size is not None)


def reasons_of(found: Chosen, typed_size: bool) -> dict[str, str]:
    """Why, by key."""
    reason = f"{found.network_reason}{f' ({found.cut})' if found.cut else ''}"
    return {"backbone": reason} | ({} if typed_size else {"image_size": found.size_reason})


def gathered(job: TrainJob, typed: Sequence[str]) -> Situation:
    """Look at data, machine and cache; the network is asked for only where it decides.

    Raises:
        ConfigError: Options that do not fit each other.
        DataError: Data that cannot be used.
    """
    start_devices(job)
    settings, manifest = job.settings, data_of(job)
    images, pretrained = len(manifest.rows(TRAIN)), job.backbone.weights != "none"
    flexible = settings.auto and not {"epochs", "finetune"} & {key.split(".")[0] for key in typed}
    found = Situation(
        images=images, classes=len(manifest.class_names), side=median_side(manifest),
        gpu=has_gpu(), memory=memory.total(),
        seconds=reference_seconds(settings.budget_seconds is not None),
        epochs=epochs_of(images, pretrained) if flexible else settings.epochs,
        budget=settings.budget_seconds, flexible=flexible, image_size=settings.image_size,
        pretrained=pretrained, cached=cached_titles(),
    )  # fmt: skip
    return replace(found, **connection(found)) if pretrained else found


def cached_titles() -> frozenset[str]:
    """Networks whose weights lie in the cache."""
    found = {(one.name, one.alpha) for one in weight_cache.present() if not one.top}
    return frozenset(one.title for one in networks() if (one.name, one.alpha) in found)


def connection(situation: Situation) -> dict[str, Any]:
    """Whether what the rule would like can be fetched, if it is not there."""
    if download.is_offline():
        return {"online": False, "offline": "offline=true"}
    wanted: Network = choose(situation, networks()).candidate.network
    if wanted.title in situation.cached:
        return {}
    url = files_of(wanted.name, wanted.alpha, False, wanted.pixels)[0].url
    return {"online": download.reachable(url)}


def reference_seconds(measure: bool) -> float:
    """Seconds of a forward pass of MobileNetV2 at 224 pixels, an image.

    Args:
        measure: Time this machine; else what such machines take, the same each time.
    """
    if measure:
        return measured_seconds()
    return GPU_REFERENCE if has_gpu() else CORE_SECONDS / worker_count("auto")


@functools.cache
def measured_seconds() -> float:
    """The best of a few forward passes on this machine, in a few seconds."""
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(TRIAL_PIXELS, TRIAL_PIXELS, 3)
    )
    step = tf.function(lambda images: network(images, training=False))
    images = tf.constant(np.zeros((TRIAL_BATCH, TRIAL_PIXELS, TRIAL_PIXELS, 3), "float32"))
    step(images)
    found = []
    for _ in range(TRIALS):
        started = time.perf_counter()
        step(images).numpy()
        found.append(time.perf_counter() - started)
    keras.utils.clear_session()
    return min(found) / TRIAL_BATCH * (224 / TRIAL_PIXELS) ** 2
