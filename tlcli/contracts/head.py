"""Heads: from a backbone's features to logits.

Each option has `pooling: Literal["avg", "max", "avgmax", "gem"]`, `dropout: float` in [0, 1) and

    def build(self, features, num_classes) -> (embedding, logits)
        features: KerasTensor (batch, height, width, channels), (batch, tokens, channels) or
            (batch, channels).
        embedding: KerasTensor (batch, dim), pooled.
        logits: KerasTensor float32 (batch, num_classes).

Layer names start with "head_". A head that must see data first (kernel's bandwidth) has
`fit(model, embeddings)`, called once with float32 (samples, dim) of training images.
"""
