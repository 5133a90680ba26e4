"""Optimizers: Keras' own, each wrapped so that variables can have rates of their own.

Each option has `learning_rate` (per 256 images when `scaling` is linear or sqrt), `weight_decay`
(decoupled, multiplied by the current learning rate) and

    def build(self) -> keras.optimizers.Optimizer
        Without weight decay, clipping or EMA: the loop does those.
"""
