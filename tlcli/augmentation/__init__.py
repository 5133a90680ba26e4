"""Augmentations: random views of one image, a pure function of (seed, view, sample).

Each option has `views: int | None` (a finite number of views per sample, or None for a new one each
epoch; `none` has exactly 1) and

    def apply(self, image, seed, size) -> image

        image: uint8 (height, width, 3), as decoded, before any resizing.
        seed: int32 (2,), already folded from (run seed, view, sample id); use only tf.random.stateless_*.
        size: pixels of a side of the result.
        returns: uint8 or float32 0-255 (size, size, 3).

and `mix: Mix | None` for batch-level mixing (mixup, cutmix).
"""
