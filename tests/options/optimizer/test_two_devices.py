"""Two logical CPU devices give the updates of one; in a process of its own, as devices must be."""

import subprocess
import sys

CODE = """
import sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
from omegaconf import OmegaConf
from tlcli.config import registry
from tlcli.training.rates import TableSchedule, evaluation_weights, with_rates

random = np.random.default_rng(0)
shapes = [(4, 3), (5,), (2, 2, 3, 4)]
starts = [random.normal(size=s).astype("float32") for s in shapes]
# Two halves of a batch, for five steps.
halves = [[[random.normal(size=s).astype("float32") for s in shapes] for _ in range(2)]
          for _ in range(5)]

def train(name, devices, momentum):
    strategy = tf.distribute.get_strategy()
    if devices == 2:
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    values = OmegaConf.to_container(
        OmegaConf.load(registry.config_root() / "optimizer" / f"{name}.yaml"))
    with strategy.scope():
        weights = [keras.Variable(w, name=f"w{i}") for i, w in enumerate(starts)]
        factor = keras.Variable(1.0, trainable=False, aggregation="only_first_replica")
        table = TableSchedule(np.linspace(0.01, 0.02, 5), factor)
        optimizer = with_rates(registry.build("optimizer", values).build(table), weights,
                               (1.0, 0.5, 2.0), (0.3, 0.0, 0.1), np.linspace(1, 0.5, 5), momentum)

    @tf.function
    def step(parts):
        def replica():
            context = tf.distribute.get_replica_context()
            which = context.replica_id_in_sync_group
            own = [tf.gather(p, which) if devices == 2 else tf.reduce_mean(p, 0) for p in parts]
            return optimizer.apply(context.all_reduce("MEAN", own))
        strategy.run(replica)

    for index, (first, second) in enumerate(halves):
        factor.assign(0.5 if index > 2 else 1.0)
        step([tf.constant(np.stack(pair)) for pair in zip(first, second)])
    copies = [[v.numpy() for v in strategy.experimental_local_results(w.value)] for w in weights]
    for copy in copies:
        assert all(np.array_equal(copy[0], c) for c in copy), name
    evaluated = evaluation_weights(optimizer) or []
    state = [np.asarray(v.numpy(), "float64") for v in optimizer.variables]
    return [c[0] for c in copies] + [np.asarray(e) for e in evaluated] + state

names = sys.argv[1].split(",")
for name in names:
    momentum = np.linspace(0.95, 0.85, 5) if name in ("sgd", "adamw") else None
    one, two = train(name, 1, momentum), train(name, 2, momentum)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=name)
    assert not np.allclose(two[0], starts[0], atol=1e-3)
print("same", len(names))
"""


def test_two_devices_equal_one_for_every_kind_of_state():
    names = "sgd,adamw,muon,nadam,adafactor,schedule_free_adamw"
    done = subprocess.run(
        [sys.executable, "-c", CODE, names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["same", "6"]
