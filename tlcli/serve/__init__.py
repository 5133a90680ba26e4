"""Models behind HTTP: batched, bounded, replaced while they answer."""
