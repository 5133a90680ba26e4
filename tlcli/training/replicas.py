"""What code inside a replica needs: its number, its part of a batch, assignments alike on all."""

from typing import Any

import tensorflow as tf


def replica_number() -> int:
    """Which replica this is, the first where none runs; each is traced on its own."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else int(tf.get_static_value(context.replica_id_in_sync_group))


def sized(tensor: Any, size: int) -> Any:
    """The tensor with its first dimension known; scalars stay."""
    return tf.ensure_shape(tensor, (size, *tensor.shape[1:])) if tensor.shape.rank else tensor


def part_of_batch(batch: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """Some images of a batch; scalars stay."""

    def cut(tensor: Any) -> Any:
        return tensor[start:stop] if tensor.shape.rank else tensor

    return {k: tf.nest.map_structure(cut, v) for k, v in batch.items()}


def label_mass(labels: Any, multi_label: bool) -> Any:
    """How much of each image is labelled, float32 (batch,): 0, 1, or between where images mix."""
    return tf.ones_like(labels[:, 0]) if multi_label else tf.reduce_sum(labels, axis=-1)


def assign_alike(variables: list[Any], values: list[Any], function: Any) -> None:
    """Assign to variables from inside a replica, the same on all of them."""

    def apply(strategy: Any, new: list[Any]) -> None:
        for variable, value in zip(variables, new, strict=True):
            strategy.extended.update(variable, function, args=(value,), group=False)

    context = tf.distribute.get_replica_context()
    if (
        context.strategy.num_replicas_in_sync == 1
        and not context.strategy.extended._use_merge_call()
    ):
        apply(context.strategy, values)
    else:
        context.merge_call(apply, args=(values,))


def average(variables: list[Any]) -> None:
    """Let what each replica moved alone be the mean of all."""
    context = tf.distribute.get_replica_context()
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(v) for v in variables])
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def as_taken(tensors: Any, suffix: Any) -> list[Any]:
    """Cut tensors as a suffix takes them: tables may hold float16 of float32."""
    return [
        tf.cast(t, w.dtype) if t.dtype == tf.float16 else t
        for t, w in zip(tensors, suffix.inputs, strict=True)
    ]
