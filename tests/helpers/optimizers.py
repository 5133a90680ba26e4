"""Optimizers by the values of their YAML, and weights to move."""

import json

import keras
import numpy as np
from omegaconf import OmegaConf

from tlcli.config import registry

SHAPES = ((4, 3), (5,), (2, 2, 3, 4))


def option(name, **changes):
    path = registry.config_root() / "optimizer" / f"{name}.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    return registry.build("optimizer", json.loads(json.dumps(values | changes)))


def arrays(seed):
    random = np.random.default_rng(seed)
    return [np.float64(np.float32(random.normal(size=s))) for s in SHAPES]


WEIGHTS = arrays(0)


def variables():
    return [keras.Variable(w.astype(np.float32), name=f"w{i}") for i, w in enumerate(WEIGHTS)]
