"""The graph of a functional Keras model: read, rerun, cut, measured."""
