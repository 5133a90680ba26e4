"""Training batches as tf.data datasets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from tlcli.contracts.data import StepBatch
from tlcli.data.order import Order
from tlcli.lazy import np, tf
from tlcli.system.array_file import check_whole, picker

Function = TypeVar("Function", bound=Callable[..., Any])


def as_written(function: Function) -> Function:
    """The function, which a graph is made of without looking through its source.

    None of ours has Python control flow on tensors; the search for it takes seconds a training.
    """
    return cast("Function", tf.autograph.experimental.do_not_convert(function))


def _places(order: Order, replicas: range) -> Any:
    """Places in a batch of the images of some replicas, replica by replica, int64 (local,)."""
    return np.concatenate([order.places(replica) for replica in replicas])


def _slices(order: Order, span: range, places: Any) -> tuple[Any, Any]:
    """Numbers of the steps, and the images at some places of each.

    Returns:
        Datasets of int64, and of rows and epochs, each (places,).
    """

    def plan(step: Any) -> Any:
        chosen = order.slice(int(step))
        return chosen.rows[places], chosen.epochs[places]

    @as_written
    def planned(step: Any) -> Any:
        found = tf.numpy_function(plan, [step], [tf.int64, tf.int64], stateful=False)
        return tuple(tf.ensure_shape(t, places.shape) for t in found)

    steps = tf.data.Dataset.range(span.start, span.stop)
    return steps, steps.map(planned)


def _cut(batches: Any, order: Order, replicas: range) -> Any:
    """Each batch as an element for each of the replicas that it is for."""
    if len(replicas) == 1:
        return batches
    ends = np.cumsum([len(order.places(replica)) for replica in replicas])
    bounds = np.concatenate([[0], ends[:-1]]), ends

    @as_written
    def parts(batch: Any) -> Any:
        @as_written
        def part(start: Any, stop: Any) -> Any:
            return tf.nest.map_structure(lambda t: t[start:stop] if t.shape.rank else t, batch)

        return tf.data.Dataset.from_tensor_slices(bounds).map(part)

    return batches.flat_map(parts)


def table_stream(  # noqa: PLR0913
    tables: Sequence[Any], extra: Mapping[str, Any], label_of: Callable[[Any], Any], order: Order,
    number: Callable[[Any], Any], span: range, replicas: range,
    add: Callable[[StepBatch], StepBatch] | None = None,
) -> Any:  # fmt: skip
    """Training batches gathered from tables that are too large for memory, as one dataset.

    Args:
        tables: Inputs of the trained part, arrays (views * samples, ...), memory-mapped perhaps.
        extra: Further tables by name.
        label_of: See label_lookup.
        order: Which images a step sees.
        number: Views of epochs.
        span: Steps.
        replicas: The replicas fed from here; each step gives one element for each of them.
        add: What adds signals that are stored elsewhere, or None.

    Returns:
        Elements: StepBatch with inputs and without images, and the further tables.
    """
    every = [*tables, *extra.values()]
    kinds = [tf.as_dtype(table.dtype) for table in every]

    pick = [picker(table) for table in every]

    def gather(places: Any) -> list[Any]:
        for table in every:
            check_whole(table)
        return [one(places) for one in pick]

    @as_written
    def batch(step: Any, chosen: tuple[Any, Any]) -> StepBatch:
        rows, epochs = chosen
        views = tf.cast(number(epochs), tf.int64)
        found = tf.numpy_function(gather, [rows + views * order.samples], kinds, stateful=False)
        found = [tf.ensure_shape(t, (rows.shape[0], *table.shape[1:]))
                 for t, table in zip(found, every, strict=True)]  # fmt: skip
        own: StepBatch = {
            "inputs": tuple(found[: len(tables)]), "labels": label_of(rows),
            "rows": rows, "views": views, "step": step,
        }  # fmt: skip
        further = dict(zip(extra, found[len(tables) :], strict=True))
        made = cast("StepBatch", {**own, **further})
        return made if add is None else add(made)

    both = tf.data.Dataset.zip(_slices(order, span, _places(order, replicas)))
    batches = both.map(batch, num_parallel_calls=2, deterministic=True)
    return _plain(_cut(batches, order, replicas).prefetch(4))


def _plain(dataset: Any) -> Any:
    options = tf.data.Options()
    # With autotune on, releasing an iterator may block for seconds.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
