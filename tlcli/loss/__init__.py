"""Losses of labels.

Each option has `multi_label: bool | None` property (True: sigmoid; False: softmax; None: follows the
data) and

    def loss(self, labels, logits) -> float32 (batch,), in nats
        labels: float32 (batch, classes): one-hot, soft or multi-hot.
        logits: float32 (batch, classes).

    def prepared(self, class_counts) -> the option with what it needs of the training set
        class_counts: images of each class, int64 (classes,).
"""
