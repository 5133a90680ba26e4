"""`config=auto`: look at data, network and device, and let the rules choose."""

from dataclasses import replace

from tlcli.config.auto_rules import Facts, decide
from tlcli.config.job import TrainJob, train_job
from tlcli.contracts.data import TRAIN, VALIDATION, Manifest
from tlcli.data.labels import label_table
from tlcli.data.views import worker_count
from tlcli.lazy import keras, np, tf
from tlcli.models.frozen.place import activation_bytes
from tlcli.models.graph.cost import flops
from tlcli.system import memory
from tlcli.training.devices import start_devices


def resolved(job: TrainJob, typed: tuple[str, ...]) -> TrainJob:
    """The job with the recipe in it, each choice with its reason, which the plan tells.

    Args:
        job: With `auto`.
        typed: Dotted keys and groups that are a person's own.
    """
    config, reasons = decide(gather(job), job.config, typed)
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
        images=len(manifest.rows(TRAIN)), validation=len(manifest.rows(VALIDATION)),
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
    )  # fmt: skip


def median_side(manifest: Manifest, most: int = 64) -> int:
    """Median shorter side of some training pictures, pixels."""
    rows = manifest.rows(TRAIN)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))] if len(rows) else rows
    sides = []
    for row in rows:
        try:
            sides.append(min(manifest.images.image(tf.constant(row, tf.int64)).shape[:2]))
        except tf.errors.InvalidArgumentError:
            continue  # the training names the picture
    return int(np.median(sides)) if sides else 0
