"""Augmentations: random views of one image, a pure function of (seed, view, sample).

Each option has `views: int | None` (a finite number of views per sample, or None for a new one each
epoch; `none` has exactly 1) and

    def region(self, sides, seed) -> box

        sides: height and width of an image as decoded, int32 (2,).
        returns: the part of it that the view shows: top, left, height, width, int32 (4,).

    def apply(self, part, seed, size) -> image

        part: uint8 (height, width, 3), that part, before any resizing.
        seed: int32 (2,), `_seeds.sample_seed(run seed, view, sample id)`; all draws come from
            tf.random.stateless_* on seeds split from it.
        size: pixels of a side of the result.
        returns: uint8 (size, size, 3).

    def short_side(self, size) -> pixels that a picture's shorter side must have for it; a large
        JPEG is decoded at a half, a quarter or an eighth of its size while it has.

and `mix: Mix | None` for batch-level mixing (mixup, cutmix). `none` has no `apply`: a sample's only
view is what `resize.Resize` makes of it for validation. Where `mix` is not None the images of a
batch are mixed by

    def apply(self, images, labels, seed, epoch, pairs=None) -> images, labels

whose seed is `_seeds.batch_seed(run seed, step)`; see `_mix.Mix`.
"""
