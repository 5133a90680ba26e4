"""Small networks."""

import keras


def network(width=4, dense="top"):
    images = keras.Input((8, 8, 3), name="images")
    features = keras.layers.Conv2D(width, 3, name="conv")(images)
    features = keras.layers.BatchNormalization(name="bn")(features)
    tokens = keras.layers.Reshape((-1, width), name="tokens")(features)
    tokens = keras.layers.MultiHeadAttention(2, 2, name="attention")(tokens, tokens)
    tokens = keras.layers.Dropout(0.5, name="drop")(tokens)
    block = keras.Sequential([keras.layers.Dense(5, name="inner")], name="block")
    pooled = keras.layers.GlobalAveragePooling1D(name="pool")(block(tokens))
    return keras.Model(images, keras.layers.Dense(2, name=dense)(pooled))
