"""A classifier as fast as is exact, and the one engine that scores it."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data.views import Views
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation import tta
from tlcli.evaluation.metrics import new_scores
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.evaluation.strangers import Strangers
from tlcli.models import fold
from tlcli.models.graph.embedding import with_embedding
from tlcli.system import console


def by_name(manifest: Manifest, names: tuple[str, ...]) -> Manifest:
    """The manifest with its labels in the order of the checkpoint's classes.

    Raises:
        DataError: It has a class that the checkpoint does not know.
    """
    from dataclasses import replace

    if manifest.class_names == names:
        return manifest
    known = {unicodedata.normalize("NFC", name): number for number, name in enumerate(names)}
    found = [unicodedata.normalize("NFC", name) for name in manifest.class_names]
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise DataError(
            manifest.root,
            f"has classes the checkpoint does not know: {', '.join(unknown[:8])} "
            f"(it knows {', '.join(names[:8])}{', …' if len(names) > 8 else ''})",
            "Rename or leave out these classes.",
        )
    if not manifest.class_names:
        return replace(manifest, class_names=names)
    places = np.array([known[name] for name in found])
    if manifest.multi_label:
        labels = np.zeros((len(manifest.ids), len(names)), np.uint8)
        labels[:, places] = manifest.labels
    else:
        labels = np.where(manifest.labels >= 0, places[manifest.labels], -1).astype(np.int32)
    return replace(manifest, labels=labels, class_names=names)


def rows_of(manifest: Manifest, split: str) -> Any:
    """Rows to measure; a folder without a test part is measured whole by `split=all`.

    Raises:
        ConfigError: The split is empty.
    """
    numbers = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    every = np.arange(len(manifest.ids))
    rows = every if split == "all" else manifest.rows(numbers[split])
    labels = manifest.labels[rows]
    rows = rows if labels.ndim == 2 else rows[labels >= 0]
    if not len(rows) and not sum(len(manifest.labelled(number)) for number in range(3)):
        raise ConfigError(
            "data", "no image has a label", "Give others: data=folder data.path=PATH."
        )
    if not len(rows):
        sizes = ", ".join(f"{len(manifest.rows(i))} {n}" for i, n in enumerate(SPLIT_NAMES))
        raise ConfigError("split", f"{split} has no labelled image ({sizes})", "Give split=all.")
    return rows


def classifier(model: Any, kind: tta.Kind = "none", many: bool = True) -> Any:
    """A function from uint8 images to logits float32 (batch, classes), as fast as is exact.

    With test-time augmentation the logits are logarithms of the mean probabilities.

    Args:
        model: uint8 images to logits.
        kind: Test-time augmentation.
        many: Whether there are so many images that half a second for folding pays.
    """
    inference = fold.folded(model) if many else None
    inference = inference or model

    shape = tuple(model.inputs[0].shape)

    # One trace serves batches of every size.
    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)
    def logits(images: Any) -> Any:
        found = inference(images, training=False)
        return tf.nest.map_structure(lambda one: tf.cast(one, tf.float32), found)

    def augmented(images: Any) -> Any:
        shown = [logits(tf.cast(v, tf.uint8)) for v in tta.views(images, kind)]
        return tf.math.log(tta.mean_probabilities([tf.nn.softmax(z) for z in shown]) + 1e-30)

    return logits if kind == "none" else augmented


def looker(model: Any, many: bool = True) -> Any:
    """A function from uint8 images to logits and embedding, float32 arrays of (batch, …)."""
    return _looker(with_embedding(model), many)


def _looker(embedded: Any, many: bool) -> Any:
    call = classifier(embedded, many=many)
    return lambda images: tuple(np.asarray(one) for one in call(images))


def watcher(model: Any, known: Strangers | None, kind: tta.Kind = "none", many: bool = True) -> Any:
    """A function from uint8 images to logits and how strange each image is.

    Args:
        model: uint8 images to logits.
        known: What tells strangers; without it no image has a score.
        kind: Test-time augmentation of the logits; strangers are told by the image as it is.
        many: Whether there are so many images that half a second for folding pays.

    Raises:
        DataError: What tells strangers is another network's.
    """
    if known is None:
        plain = classifier(model, kind, many)
        return lambda images: (np.asarray(plain(images)), None)
    embedded = with_embedding(model)
    look, channels = _looker(embedded, many), embedded.outputs[1].shape[-1]
    if known.bank.shape[1] != channels:
        problem = f"knows {known.bank.shape[1]} channels, and the network has {channels}"
        raise DataError("strangers.npz", problem, "Restore it or train again.")
    if kind == "none":
        return lambda images: _with_scores(known, *look(images))
    augmented = classifier(model, kind, many)
    return lambda images: (np.asarray(augmented(images)), known.scores(*look(images)))


def _with_scores(known: Strangers, logits: Any, embedding: Any) -> tuple[Any, Any]:
    return logits, known.scores(logits, embedding)


def scored(
    logits: Iterable[Any], manifest: Manifest, rows: Any, scaling: Scaling = PLAIN,
    thresholds: Any = 0.5,
) -> Any:  # fmt: skip
    """The counter that has seen each image once: validation, test, eval and predict count alike.

    Args:
        logits: Batches float32 (batch, classes), in the order of the rows.
        manifest: Of the images.
        rows: Manifest rows.
        scaling: What calibrates the logits.
        thresholds: Of a multi-label model.
    """
    scores, start = new_scores(manifest, thresholds), 0
    labels = manifest.labels[rows]
    for batch in logits:
        scores.update(scaling(batch), labels[start : start + len(batch)])
        start += len(batch)
    return scores


def logits_of(call: Any, views: Views, rows: Any, batch_size: int = 128) -> Iterator[Any]:
    """Logits of some rows in order, float32 (batch, classes) each.

    Args:
        call: What `classifier` gave; uint8 images to logits.
        views: Evaluation views.
        rows: Manifest rows.
        batch_size: Images at a time.
    """
    for found in answers(call, views, rows, batch_size):
        yield np.asarray(found)


def answers(
    call: Any, views: Views, rows: Any, batch_size: int = 128, what: str = "evaluating"
) -> Iterator[Any]:
    """What a function of uint8 images says of batches of some rows, in order.

    Args:
        call: The function.
        views: Evaluation views.
        rows: Manifest rows.
        batch_size: Images at a time.
        what: Is done, in words.
    """
    batches = views.batches(rows, np.zeros(len(rows)), batch_size)
    for images in console.staged(batches, what, len(rows), "images", len):
        yield call(images)
