"""The images of a replica among those of all, for relations between images."""

from dataclasses import dataclass

import tensorflow as tf

from tlcli.lazy import Tensor


@dataclass(frozen=True)
class Share:
    """Where the images of a replica lie in the piece of a batch that is computed at once.

    Attributes:
        before, own, after: Numbers of images: of replicas before it, its own, of those behind.
    """

    before: int
    own: int
    after: int

    def all(self, values: Tensor) -> Tensor:
        """Values of all images in order, (piece, ...), from each replica's own (own, ...).

        Gradients come back to the replica whose values they are of.
        """
        padding = [[self.before, self.after], *[[0, 0]] * (len(values.shape) - 1)]
        padded = tf.pad(values, padding)
        context = tf.distribute.get_replica_context()
        # A step that is only traced, to learn its size, runs on no replica.
        if context is None:
            return padded
        return context.all_reduce(tf.distribute.ReduceOp.SUM, padded)

    def mine(self, values: Tensor) -> Tensor:
        """Values of this replica's images, from those of all."""
        return values[self.before : self.before + self.own]
