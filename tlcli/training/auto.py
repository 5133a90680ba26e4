"""`config=auto`: look at data, network and device, and let the rules choose."""

from dataclasses import replace

from tlcli.config.auto_rules import Facts, decide
from tlcli.config.backbone_rules import relative_time
from tlcli.config.job import TrainJob, train_job
from tlcli.config.published import networks
from tlcli.config.recipe import shown, value_at
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.data.labels import label_table
from tlcli.data.views import worker_count
from tlcli.lazy import keras, tf
from tlcli.models.frozen.place import activation_bytes
from tlcli.models.graph.cost import flops
from tlcli.system import console, memory
from tlcli.system.notes import EXPERT
from tlcli.training.auto_backbone import reference_seconds
from tlcli.training.devices import start_devices
from tlcli.training.looks import median_side


def resolved(job: TrainJob, typed: tuple[str, ...]) -> TrainJob:
    """The job with the recipe in it, each choice said with its reason.

    Args:
        job: With `auto`.
        typed: Dotted keys and groups that are a person's own.
    """
    config, reasons = decide(gather(job), job.config, typed, job.reasons)
    if "auto" not in typed:
        console.say("auto       chooses what you did not type; auto=false takes the defaults:")
    for key, reason in reasons.items():
        if key in job.reasons:
            continue  # said when it was chosen
        # The plan shows what came of it.
        console.say(f"auto       {key}={shown(value_at(config, key))}: {reason}", EXPERT)
    return replace(train_job(config), reasons=reasons)


def gather(job: TrainJob) -> Facts:
    """Look at data, network and device.

    Raises:
        ConfigError: Options that do not fit each other.
        DataError: Data that cannot be used.
    """
    start_devices(job)
    settings, backbone = job.settings, job.backbone
    manifest = job.data.manifest(settings.seed, settings.cache_folder)
    counts = label_table(manifest, manifest.rows(TRAIN)).sum(0)
    size = backbone.default_image_size
    network = backbone.build(keras.Input((size, size, 3)))
    layers = network._flatten_layers()
    return Facts(
        images=len(manifest.rows(TRAIN)), validation=len(manifest.labelled(VALIDATION)),
        classes=len(manifest.class_names), least=int(counts.min()), most=int(counts.max()),
        multi_label=manifest.multi_label, side=median_side(manifest),
        symbols=all(len(name) == 1 for name in manifest.class_names),
        pretrained=backbone.weights not in (None, "none"),
        resizable=backbone.resizable, default_size=size,
        flops=flops(network, size), activations=activation_bytes(network),
        parameters=network.count_params(),
        batch_norm=any(isinstance(x, keras.layers.BatchNormalization) for x in layers),
        gpu=bool(tf.config.list_logical_devices("GPU")), cores=worker_count("auto"),
        memory=memory.total(),
        budget=settings.budget_seconds, seconds=forward_seconds(job, flops(network, size)),
    )  # fmt: skip


def forward_seconds(job: TrainJob, operations: float) -> float:
    """Of an image at the network's own pixels, measured where a budget asks for it."""
    constructor = job.config["backbone"].get("constructor")
    alpha = job.config["backbone"].get("alpha")
    known = [n for n in networks() if (n.constructor, n.alpha) == (constructor, alpha)]
    on_cpu = known[0].relative_time if known else None
    gpu = bool(tf.config.list_logical_devices("GPU"))
    relative = relative_time(operations / 1e9, on_cpu, gpu)
    return relative * reference_seconds(job.settings.budget_seconds is not None)
