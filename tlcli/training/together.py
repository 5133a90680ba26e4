"""What several workers find out at different times: all of them stop for it at the same place."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tlcli.contracts.data import Manifest
from tlcli.errors import DataError
from tlcli.system import complaints
from tlcli.system.cluster import Alone


@contextlib.contextmanager
def together(member: Alone, manifest: Callable[[], Manifest]) -> Iterator[None]:
    """Inside, data that one worker cannot use stops all of them, at the end of what is inside.

    Args:
        member: This worker.
        manifest: Gives the data; asked where another worker found what this one did not.

    Raises:
        DataError: What was found, here or elsewhere.
    """
    fault = None
    try:
        yield
    except DataError as error:
        fault = error
    if member.any(fault is not None):
        raise fault or _elsewhere(manifest())


@contextlib.contextmanager
def listening(
    member: Alone, manifest: Manifest, failed: list[Exception], since: int | None = None
) -> Iterator[None]:
    """Inside, steps run in which workers wait for each other.

    What one could not decode, or libjpeg warned it of, is looked for by all of them at once, so
    that none waits for another's search.

    Args:
        member: This worker.
        manifest: The data.
        failed: Gets what stopped the batches of this worker, see `unbroken`.
        since: See complaints.listening.

    Raises:
        DataError: A picture that cannot be used, here or elsewhere.
    """
    with complaints.listening(since) as heard:
        yield
        found = bool(failed) or (manifest.images.heeds_warnings and heard())
    if not member.any(found):
        return
    fault = manifest.images.first_broken(range(len(manifest.ids)))
    if member.any(fault is not None or bool(failed)):
        raise fault or (failed[0] if failed else _other(manifest))


def _elsewhere(manifest: Manifest) -> DataError:
    """What another worker found: a faulty picture is faulty here too."""
    return manifest.images.first_broken(range(len(manifest.ids))) or _other(manifest)


def _other(manifest: Manifest) -> DataError:
    problem = "holds what another worker cannot use"
    return DataError(manifest.root, problem, "See what that worker says.")


def agree_on_pictures(member: Alone, manifest: Manifest, rows: Any) -> None:
    """Refuse workers that read other pictures, as soon as all of them have read some rows.

    Raises:
        ConfigError: Their contents differ.
    """
    if member.size == 1:
        return
    known = manifest.images.known()
    if not member.any(known is None or not known[rows].all()):
        member.agree("data", manifest.content(rows))


def unbroken(dataset: Any, failed: list[Exception], sizes: Sequence[int]) -> Any:
    """A dataset that never fails, for steps in which workers wait for each other.

    After a fault it gives zeros, which are thrown away: who uses it asks `failed` after each call.

    Args:
        dataset: A tf.data dataset.
        failed: Gets the fault.
        sizes: Images of its elements, in turn, where its shapes do not tell.
    """
    spec = dataset.element_spec

    def elements() -> Iterator[Any]:
        iterator, number = iter(dataset), 0
        while not failed:
            try:
                element = next(iterator)
            except StopIteration:
                return
            except tf.errors.OpError as error:
                failed.append(error)
            else:
                number += 1
                yield element
        while True:
            images = sizes[number % len(sizes)]
            number += 1
            yield tf.nest.map_structure(lambda s, n=images: _zeros(s, n), spec)

    made = tf.data.Dataset.from_generator(elements, output_signature=spec).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    return made.with_options(options)


def _zeros(spec: Any, images: int) -> Any:
    sides = [images if side is None else side for side in spec.shape]
    return tf.zeros(sides, spec.dtype)
