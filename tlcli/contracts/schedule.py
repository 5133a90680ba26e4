"""Learning-rate schedules as tables.

Each option has `warmup`, `warmup_kind`, `warmup_start`, its own fields, and

    def values(self, total_steps, steps_per_epoch, batch_size=1) -> float64 (total_steps,)
        Multiplier of the base learning rate at each optimizer step; `steps_per_epoch` may be a
        fraction. `batch_size` (images per optimizer step) is read by lengths in examples only.

    def momentum(self, total_steps, steps_per_epoch, batch_size=1) -> float64 (total_steps,) | None
        Momentum at each step; None keeps the optimizer's own.

Lengths are "100steps", "2epochs", "5%" of the training, "1000examples", or a number of epochs.
"""
