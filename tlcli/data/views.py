"""From a manifest to tensors: views of samples, streamed by tf.data or gathered from tables."""

import contextlib
import copy
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tlcli.contracts.augmentation import Augmentation, RandomAugmentation
from tlcli.contracts.data import Manifest, Region, StepBatch
from tlcli.data.labels import held_tensor, label_lookup
from tlcli.data.order import Order
from tlcli.data.resize import Resize
from tlcli.data.streams import _cut, _places, _plain, _slices, as_written
from tlcli.lazy import np, tf
from tlcli.system import complaints
from tlcli.system.seeds import batch_seed, sample_seed


def worker_count(given: int | str) -> int:
    """Decoding threads: as given, or one for each core this process may use."""
    return len(os.sched_getaffinity(0)) if given == "auto" else int(given)


def sample_uids(ids: Sequence[str]) -> Any:
    """A 64-bit number of each sample id, which depends on nothing but the id, int64 (samples,)."""
    found = bytearray()
    for name in ids:
        found += hashlib.blake2b(str(name).encode(), digest_size=8).digest()
    return np.frombuffer(found, np.int64)


class Views:
    """Views of a manifest's samples as the student sees them.

    Attributes:
        manifest: Where samples come from.
        resize: The evaluation view; also the size of random views.
        augmentation: Draws random views, or None for the evaluation view alone.
        seed: Of the run.
        workers: Threads that decode.
    """

    def __init__(
        self, manifest: Manifest, resize: Resize, augmentation: Augmentation | None, seed: int,
        workers: int,
    ) -> None:  # fmt: skip
        self.manifest, self.resize, self.seed, self.workers = manifest, resize, seed, workers
        self.augmentation, self._uids = None, None
        self._least = resize.short_side
        if isinstance(augmentation, RandomAugmentation):
            self.augmentation = augmentation
            self._uids = held_tensor(sample_uids(manifest.ids))
            self._least = augmentation.short_side(resize.size)
        # A training makes a dozen datasets; tracing the same decoding for each takes seconds.
        self._traced = tf.function(
            self.image, input_signature=[tf.TensorSpec((), tf.int64)] * 2,
            autograph=False,  # to look through our source for control flow takes seconds
        )  # fmt: skip

    def of(self, manifest: Manifest) -> "Views":
        """The same views where the same pictures have other labels or splits."""
        made = copy.copy(self)
        made.manifest = replace(manifest, images=self.manifest.images)
        return made

    def like(self, other: "Views") -> bool:
        """Whether both show the same views of the same pictures."""
        mine, theirs = (
            (id(v.manifest.images), v.resize, v.augmentation, v.seed) for v in (self, other)
        )
        return mine == theirs

    @property
    def finite(self) -> int | None:
        """Views per sample, or None when each epoch has a new one or images are mixed."""
        if self.augmentation is None:
            return 1
        if self.augmentation.mix is not None:
            return None
        return self.augmentation.views

    def number(self, epochs: Any) -> Any:
        """The view shown in an epoch."""
        views = 1 if self.augmentation is None else self.augmentation.views
        return epochs if views is None else epochs % views

    def image(self, row: Any, view: Any) -> Any:
        """One view, uint8 (side, side, 3), inside tf.data."""
        source, side, augmentation = self.manifest.images, self.resize.size, self.augmentation
        if augmentation is None:
            return self.resize.fit(source.image(row, self._least, self.resize.region))
        seed = sample_seed(self.seed, view, tf.gather(self._uids, row))
        region = Region(lambda sides: augmentation.region(sides, seed), False)
        part = source.image(row, self._least, region)
        return tf.ensure_shape(augmentation.apply(part, seed, side), (side, side, 3))

    def batches(self, rows: Any, views: Any, batch_size: int) -> Iterator[Any]:
        """Images of rows and views in order, uint8 (batch, side, side, 3); the last is short."""
        with self.watched(rows) as check:
            yield from self.dataset(rows, views, batch_size)
            check()

    @contextlib.contextmanager
    def watched(self, rows: Any, since: int | None = None) -> Iterator[Callable[[], None]]:
        """Inside, a picture that does not decode is told by name.

        Gives a function to call when pictures were decoded: it raises where libjpeg warned of one.

        Args:
            rows: Of the pictures.
            since: See complaints.listening.
        """
        with complaints.listening(since) as heard:
            told = False

            def check() -> None:
                nonlocal told
                images = self.manifest.images
                if images.heeds_warnings and heard() and not told:
                    told = True
                    if (fault := images.first_broken(rows)) is not None:
                        raise fault

            try:
                yield check
            except tf.errors.OpError as error:
                raise self.explained(error, rows) from error

    def dataset(self, rows: Any, views: Any, batch_size: int) -> Any:
        """The dataset behind `batches`."""
        pairs = tf.data.Dataset.from_tensor_slices(
            (np.asarray(rows, np.int64), np.asarray(views, np.int64))
        )
        images = pairs.map(self._traced, num_parallel_calls=self.workers, deterministic=True)
        return _plain(images.batch(batch_size).prefetch(2))

    def explained(self, error: Exception, rows: Any) -> Exception:
        """The picture that could not be decoded, by name; TensorFlow's message has none."""
        return self.manifest.images.first_broken(rows) or error

    def stream(
        self, rows: Any, labels: Any, order: Order, span: range, replicas: range,
        add: Callable[[StepBatch], StepBatch] | None = None,
    ) -> Any:  # fmt: skip
        """Training batches of some steps, for some replicas, as one dataset.

        Args:
            rows: Manifest rows of the training split, int64 (samples,).
            labels: Class indices (samples,) or a table (samples, classes), see label_lookup.
            order: Which images a step sees.
            span: Steps.
            replicas: The replicas fed from here; each step gives one element for each of them.
            add: What puts the teacher's signals into a batch, or None.

        Returns:
            Elements: StepBatch with images (local, side, side, 3) and without inputs.
        """
        held = held_tensor(np.asarray(rows, np.int64))
        places = _places(order, replicas)
        label_of = label_lookup(labels, len(self.manifest.class_names))

        @as_written
        def one(chosen: Any, epoch: Any) -> StepBatch:
            row = tf.gather(held, chosen)
            return {
                "images": self._traced(row, self.number(epoch)),
                "labels": label_of(chosen),
                "rows": chosen,
                "views": self.number(epoch),
            }

        @as_written
        def finish(step: Any, batch: StepBatch) -> StepBatch:
            batch = self._mixed({**batch, "step": step}, order, places[::2] // 2)
            return batch if add is None else add(batch)

        steps, slices = _slices(order, span, places)
        batches = slices.unbatch().map(one, num_parallel_calls=self.workers, deterministic=True)
        batches = tf.data.Dataset.zip((steps, batches.batch(len(places), drop_remainder=True)))
        batches = batches.map(finish, num_parallel_calls=2, deterministic=True)
        return _plain(_cut(batches, order, replicas).prefetch(4))

    def _mixed(self, batch: StepBatch, order: Order, pairs: Any) -> StepBatch:
        mix = None if self.augmentation is None else self.augmentation.mix
        if mix is not None:
            epoch = tf.cast(batch["step"], tf.float32) / order.steps_per_epoch
            batch["images"], batch["labels"] = mix.apply(
                batch["images"], tf.cast(batch["labels"], tf.float32),
                batch_seed(self.seed, batch["step"]), epoch, tf.constant(pairs, tf.int32),
            )  # fmt: skip
        return batch
