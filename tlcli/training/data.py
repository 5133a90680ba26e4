"""The data of a training."""

import dataclasses

import numpy as np

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN, Manifest
from tlcli.data.decoded import DecodedImages
from tlcli.data.resize import Resize
from tlcli.data.unlabelled import READING, joined, photos, with_classes
from tlcli.data.views import Views, worker_count
from tlcli.distill.pieces import Pieces
from tlcli.errors import ConfigError
from tlcli.runs.seen import earlier_run, kept_out
from tlcli.system.files import expanded
from tlcli.training.checks import check_data

NO_SPLIT = 9
# Options of the data by which unlabelled photos are read too.
READ_ALIKE = ("max_pixels", "on_error", "damaged")


def without_validation(pieces: Pieces) -> Pieces:
    """The pieces with training images alone, for trials: nothing is computed for the others."""
    manifest = pieces.manifest
    splits = np.where(manifest.splits == TRAIN, TRAIN, NO_SPLIT).astype(np.int8)
    return pieces.with_data(dataclasses.replace(manifest, splits=splits))


def without(pieces: Pieces, ids: list[str]) -> Pieces:
    """The pieces without some images, in no split any more."""
    manifest = pieces.manifest
    splits = np.where(np.isin(manifest.ids.astype(str), ids), NO_SPLIT, manifest.splits)
    return pieces.with_data(dataclasses.replace(manifest, splits=splits.astype(np.int8)))


def train_views(job: TrainJob, manifest: Manifest, resize: Resize, room: int) -> Views:
    """Training views; where they never repeat, pictures stay decoded as far as memory allows.

    Args:
        job: The training.
        manifest: Its data.
        resize: Decides the size of a view.
        room: Bytes for decoded pictures.
    """
    settings = job.settings
    workers = worker_count(settings.workers)
    views = Views(manifest, resize, job.augmentation, settings.seed, workers)
    in_memory = settings.cache in ("auto", "ram", True)
    if not in_memory or views.finite is not None or manifest.images.array is not None:
        return views
    kept = dataclasses.replace(manifest, images=DecodedImages(manifest.images, room))
    return Views(kept, resize, job.augmentation, settings.seed, workers)


def with_room(pieces: Pieces, room: int) -> Pieces:
    """The pieces whose decoded pictures take so many bytes; those that are kept stay."""
    views, images = pieces.train_views, pieces.train_views.manifest.images
    if not isinstance(images, DecodedImages):
        return pieces
    kept = dataclasses.replace(views.manifest, images=images.with_room(room))
    made = Views(kept, views.resize, views.augmentation, views.seed, views.workers)
    return dataclasses.replace(pieces, train_views=made)


def data_of(job: TrainJob) -> Manifest:
    """The data, with the classes of the teacher where it has none, and with unlabelled photos.

    What the run that it goes on from was trained on is no validation or test image.

    Raises:
        ConfigError: Contradictions.
        DataError: Data that cannot train a classifier.
    """
    settings = job.settings
    manifest: Manifest = job.data.manifest(settings.seed, settings.cache_folder)
    if not manifest.class_names:
        manifest = with_classes(manifest, teacher_classes(job))
    if (run := earlier_run(job.config)) is not None:
        manifest = kept_out(manifest, run)
    if settings.unlabelled is not None:
        folder = expanded(settings.unlabelled, "unlabelled")
        given = {key: job.config["data"].get(key, getattr(READING, key)) for key in READ_ALIKE}
        reading = dataclasses.replace(READING, **given)
        manifest = joined(manifest, photos(folder, settings.cache_folder, reading=reading))
    check_data(job, manifest)
    return manifest


def teacher_classes(job: TrainJob) -> tuple[str, ...]:
    """Names of the classes that the job's teacher knows.

    Raises:
        ConfigError: There is no teacher, or it does not tell.
    """
    names = job.teacher.known_classes()
    if not names:
        name = job.config["teacher"]["name"]
        raise ConfigError(
            "data.class_names", f"the photos have no classes, and teacher={name} does not tell any",
            "List them in the order of the teacher's outputs, as [cat,dog].",
        )  # fmt: skip
    return tuple(names)


def resize_of(job: TrainJob) -> Resize:
    """How pictures become squares in validation, and the side of training views."""
    settings = job.settings
    side = settings.image_size or job.backbone.default_image_size
    return Resize(side, settings.resize, settings.crop_fraction, True)
