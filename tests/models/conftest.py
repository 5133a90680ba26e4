import numpy as np
import pytest

from tests.helpers.networks import network
from tlcli.models.weights import save_weights


@pytest.fixture
def saved(tmp_path):
    model = network()
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0, 1, w.shape).astype("float32") for w in model.weights])
    path = tmp_path / "model.weights.h5"
    save_weights(model, path)
    return model, path
