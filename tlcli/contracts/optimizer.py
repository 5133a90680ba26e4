"""Optimizers: Keras' own, each wrapped so that variables can have rates of their own.

Each option has `learning_rate` (per 256 images when `scaling` is linear or sqrt), `weight_decay`
(decoupled, multiplied by the current learning rate), what the loop does before and after an update
(`clip_norm`, `clip_value`, `agc`, `sam`, `ema`, `swa`), its method's own fields, and

    def build(self, learning_rate=None) -> keras.optimizers.Optimizer
        Without weight decay, clipping or EMA. `learning_rate` is a number or a Keras schedule, None
        for the field. `_rates.with_rates` makes it one with rates and decays per variable.

    def scaled_rate(self, batch_size) -> float
        Learning rate of batches of so many images.

    def weight_decay_values(self, total_steps) -> float64 (total_steps,)
        Weight decay at each step.
"""
