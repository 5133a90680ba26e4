"""Samples: listed, split, read, decoded, resized, put into batches."""
