"""Train the weights that come with the `tiny` backbone, on the handwritten digits 0 to 4.

Classes are digit and quarter-turn together (5 x 4), so that the features tell more apart than
five digits need. Prints the accuracy of a linear probe on digits 5 to 9, which the weights never
saw, with ten images a class, and the same with random weights.

    python scripts/make/tiny_weights.py
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from tlcli.models.weights import save_weights
from tlcli.options.backbone.tiny import FILE, Backbone
from tlcli.options.data.digits import FILE as DIGITS

SIDE, BATCH, EPOCHS, PEAK_RATE = 32, 128, 60, 3e-3


def digits():
    """Float32 (samples, 32, 32, 3) in 0-255, and labels 0 to 9."""
    with np.load(DIGITS, allow_pickle=False) as file:
        scans, labels = file["images"], file["labels"]
    images = np.round(scans.astype("float32") * 255 / 16)[..., None]
    images = tf.image.resize(images, (SIDE, SIDE)).numpy()
    return np.repeat(images, 3, axis=-1), labels.astype("int32")


def build():
    """The backbone with random weights."""
    backbone = Backbone(SIDE, "none", None, "train")
    return backbone.build(keras.Input((SIDE, SIDE, 3), name="images"))


def views(images, labels):
    """Batches of moved, scaled, turned copies, for ever; the class is digit and quarter-turn."""
    move = keras.Sequential(
        [
            keras.layers.RandomTranslation(0.12, 0.12, fill_mode="constant", seed=1),
            keras.layers.RandomZoom((-0.2, 0.2), (-0.2, 0.2), fill_mode="constant", seed=2),
            keras.layers.RandomRotation(0.05, fill_mode="constant", seed=3),
        ]
    )

    def view(images, labels):
        turns = tf.random.uniform([], 0, 4, tf.int32, seed=4)
        moved = move(images, training=True)
        contrast = tf.random.uniform([tf.shape(images)[0], 1, 1, 1], 0.6, 1.0, seed=5)
        return tf.image.rot90(moved, turns) * contrast, labels * 4 + turns

    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=6)
    return data.repeat().batch(BATCH // 4).map(view).unbatch().batch(BATCH).prefetch(2)


def train(images, labels):
    """The backbone, trained."""
    backbone = build()
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    logits = keras.layers.Dense(20)(keras.layers.Dropout(0.2, seed=7)(pooled))
    model = keras.Model(backbone.input, logits)
    steps = 4 * len(images) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, EPOCHS * steps, warmup_target=PEAK_RATE, warmup_steps=2 * steps
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(views(images, labels), steps_per_epoch=steps, epochs=EPOCHS, verbose=2)
    return backbone


def probe(backbone, images, labels, per_class=10, repeats=10):
    """Mean test accuracy of logistic regression on pooled features, over random choices."""
    features = backbone.predict(images, verbose=0).mean(axis=(1, 2)).astype("float64")
    classes, index = np.unique(labels, return_inverse=True)
    scores = []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(index))
        ranks = np.zeros(len(index), int)
        for c in range(len(classes)):
            members = order[index[order] == c]
            ranks[members] = np.arange(len(members))
        chosen = ranks < per_class
        mean, deviation = features[chosen].mean(0), features[chosen].std(0) + 1e-6
        inputs = (features - mean) / deviation
        weights = logistic_regression(inputs[chosen], index[chosen], len(classes))
        predicted = (inputs[~chosen] @ weights[:-1] + weights[-1]).argmax(1)
        scores.append(np.mean(predicted == index[~chosen]))
    return float(np.mean(scores))


def logistic_regression(inputs, index, num_classes, penalty=1e-2, rate=0.1, steps=500):
    """Weights (dim + 1, classes), by gradient descent; the last row is the bias."""
    inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    weights = np.zeros((inputs.shape[1], num_classes))
    truth = np.eye(num_classes)[index]
    for _ in range(steps):
        logits = inputs @ weights
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        weights -= rate * (inputs.T @ (chances - truth) / len(inputs) + penalty * weights)
    return weights


def main():
    """Train, measure, write."""
    keras.utils.set_random_seed(0)
    images, labels = digits()
    source, target = labels < 5, labels >= 5
    untrained = probe(build(), images[target], labels[target])
    backbone = train(images[source], labels[source])
    trained = probe(backbone, images[target], labels[target])
    print(f"digits 5-9, 10 images a class: {trained:.3f} trained, {untrained:.3f} random")
    save_weights(backbone, FILE)
    print(f"{backbone.count_params()} parameters, {FILE.stat().st_size} bytes in {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
