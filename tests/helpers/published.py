"""Files that stand for published weights, in a cache of Keras' own."""

import h5py
import keras
import numpy as np

from tlcli.config.published import weight_files

# A file that Keras has no hash of.
MOBILENET = "mobilenet_2_5_224_tf_no_top.h5"


def numbers(path, count=None, seed=0):
    """An HDF5 file that holds as many numbers as a published one of its name."""
    count = weight_files()[path.name].parameters if count is None else count
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["weights"] = np.random.default_rng(seed).normal(size=count).astype("float32")
    return path


def as_published(path, model):
    """The weights of a model as Keras writes published ones."""
    from keras.src.legacy.saving import legacy_h5_format

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


def random_mobilenet(path, alpha=0.25, seed=0):
    """Random weights of a MobileNet in a published file."""
    keras.utils.set_random_seed(seed)
    model = keras.applications.MobileNet(
        alpha=alpha, weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    return as_published(path, model)
