"""Learning-rate schedules as tables.

Each option has `warmup`, and

    def values(self, total_steps, steps_per_epoch) -> float64 (total_steps,)
        Multiplier of the base learning rate at each optimizer step.
"""
