import keras

from tlcli.models.image_dropout import use_image_dropout
from tlcli.models.student import leaf_layers
from tlcli.training.replica_notes import drawing_by_device


def test_only_layers_whose_draws_depend_on_the_devices_are_named():
    model = keras.Sequential([
        keras.Input((5, 4)), keras.layers.Dropout(0.1), keras.layers.GaussianNoise(0.1),
        keras.Sequential([keras.layers.SpatialDropout1D(0.1), keras.layers.GaussianNoise(0.2)]),
        keras.layers.Dense(2),
    ])  # fmt: skip
    assert drawing_by_device(leaf_layers(model)) == ["GaussianNoise", "SpatialDropout1D"]
    use_image_dropout(model)
    assert drawing_by_device(leaf_layers(model)) == ["GaussianNoise", "SpatialDropout1D"]
