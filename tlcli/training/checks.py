"""Data that options do not fit is refused."""

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN, VALIDATION, Manifest
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation.monitor import monitored


def check_data(job: TrainJob, manifest: Manifest) -> None:
    """Refuse data that cannot train a classifier, or that an option does not fit.

    Raises:
        DataError: Too few classes or images.
        ConfigError: Contradictions.
    """
    names = manifest.class_names
    if len(names) < 2:
        raise DataError("data", f"has one class, {names}", "A classifier needs two or more.")
    if not len(manifest.rows(TRAIN)):
        raise DataError("data", "has no training images", "Give some, or smaller fractions.")
    validation = len(manifest.labelled(VALIDATION))
    if not validation and job.schedule.watches_validation:
        raise ConfigError(
            "schedule", "plateau watches validation, and there is no labelled validation image",
            "Give data.validation_fraction above 0, or another schedule.",
        )  # fmt: skip
    if not validation and job.settings.early_stopping:
        raise ConfigError(
            "early_stopping", "there is no labelled validation image",
            "Give data.validation_fraction above 0, or early_stopping=null.",
        )  # fmt: skip
    check_sets(job, manifest)
    check_monitor(job, manifest)
    check_labels(job, manifest)
    wanted = job.loss.multi_label
    if wanted is not None and wanted != manifest.multi_label:
        kinds = {True: "several labels an image", False: "one label an image"}
        raise ConfigError(
            "loss", f"is for {kinds[wanted]}, and the data has {kinds[manifest.multi_label]}",
            "Give loss=bce or asymmetric." if manifest.multi_label else "Give loss=cross_entropy.",
        )  # fmt: skip
    mix = job.augmentation.mix
    if mix is not None and manifest.multi_label and not mix.multi_label_ok:
        raise ConfigError(
            "augmentation.cutmix", "a cut box may hold none of several labels",
            "Give augmentation.cutmix=0, for mixup is right for several labels, or "
            "augmentation.cutmix_multi_label=true.",
        )  # fmt: skip
    if job.settings.sampler == "balanced" and manifest.multi_label:
        raise ConfigError("sampler", "several labels an image have no one class", "Give uniform.")


def check_sets(job: TrainJob, manifest: Manifest) -> None:
    """Refuse sets of classes where nothing tells how large they must be.

    Raises:
        ConfigError: An image has several labels, or none of validation has any.
    """
    if job.settings.conformal is None:
        return
    if manifest.multi_label:
        raise ConfigError(
            "conformal", "is for one label an image, and the data has several labels an image",
            "Give conformal=null; each class has its threshold.",
        )  # fmt: skip
    if not len(manifest.labelled(VALIDATION)):
        raise ConfigError(
            "conformal", "there is no labelled validation image to fit it to",
            "Give data.validation_fraction above 0, or conformal=null.",
        )  # fmt: skip


def check_labels(job: TrainJob, manifest: Manifest) -> None:
    """Refuse what needs a label of every training image where some have none.

    Raises:
        ConfigError: The sampler, or a loss of labels without any.
    """
    bare = job.settings.unlabelled is not None
    if bare and manifest.multi_label and job.distillation.hard_weight:
        raise ConfigError(
            "unlabelled", "of several labels an image, none at all says that no class is there",
            "Give distillation.hard_weight=0, so that labels do not count.",
        )  # fmt: skip
    labelled, rows = (len(found(TRAIN)) for found in (manifest.labelled, manifest.rows))
    if labelled == rows:
        return
    if job.settings.sampler == "balanced":
        raise ConfigError(
            "sampler", f"{rows - labelled} of {rows} training images have no class",
            "Give uniform.",
        )  # fmt: skip
    if not labelled and not job.distillation.distils:
        raise ConfigError(
            "distillation", "no training image has a label, and nothing else is learnt from",
            "Give teacher=run teacher.path=RUN distillation=kd distillation.hard_weight=0.",
        )  # fmt: skip
    if not labelled and job.distillation.hard_weight:
        raise ConfigError(
            "distillation.hard_weight",
            f"got {job.distillation.hard_weight}, and no training image has a label", "Give 0.",
        )  # fmt: skip


def check_monitor(job: TrainJob, manifest: Manifest) -> None:
    """Refuse to choose the best epoch by a figure that the data cannot have.

    Raises:
        ConfigError: The figure is one of several labels an image.
    """
    if monitored(job, manifest) == "mean_average_precision" and not manifest.multi_label:
        raise ConfigError(
            "monitor", "mean_average_precision is for several labels an image, the data has one",
            "Give accuracy, macro_f1, balanced_accuracy or loss.",
        )  # fmt: skip
