"""Losses of labels.

Each option has the properties

    activation: "softmax" or "sigmoid"
        What turns its logits into probabilities.
    multi_label: True, False or None
        True: labels are multi-hot. False: one class per image, or soft labels that sum to 1. None:
        either, as the data has it.

and the methods

    def prepared(self, class_counts, class_names) -> what the loop calls
        The same properties and `loss`, with what the option needs of the training set.
        class_counts: images of each class, int64 (classes,). class_names: in the same order.

    def loss(self, labels, logits) -> float32 (batch,), in nats
        labels: float32 (batch, classes): one-hot, soft or multi-hot.
        logits: float (batch, classes).
        On the option itself only when it needs nothing of the training set.
"""
