"""Seeds of random draws, as functions of what they are for."""

from typing import Any

from tlcli.lazy import Tensor, tf

# Keeps the draws of a batch apart from those of a sample whose view has the step's number.
_SAMPLE, _BATCH = 0, 1


def sample_seed(run_seed: Any, view: Any, uid: Any) -> Tensor:
    """Seed of one view of one sample.

    Args:
        run_seed: Whole number, 64 bits.
        view: Number of the view, 64 bits.
        uid: Id of the sample, 64 bits, all of which count.

    Returns:
        int32 (2,), for tf.random.stateless_*; no pattern is left of neighbouring ids.
    """
    return _folded(_SAMPLE, run_seed, view, uid)


def batch_seed(run_seed: Any, step: Any) -> Tensor:
    """Seed of the mixing of one global batch, int32 (2,), equal on all replicas."""
    return _folded(_BATCH, run_seed, step)


def _folded(*numbers: Any) -> Tensor:
    seed = tf.zeros([2], tf.int32)
    for number in numbers:
        halves = tf.bitcast(tf.cast(number, tf.int64), tf.int32)
        # The low half goes last: it is kept as it is, so ids that differ there never collide.
        for half in (halves[1], halves[0]):
            seed = tf.random.fold_in(seed, half)
    return tf.random.split(seed, 1)[0]


def unit(seed: Tensor, shape: Any) -> Tensor:
    """Uniform numbers in [0, 1), float32 of the shape."""
    return tf.random.stateless_uniform(shape, seed)
