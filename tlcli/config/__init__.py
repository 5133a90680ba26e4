"""From words to a checked configuration, without TensorFlow."""
