"""Transfer learning and knowledge distillation for image classifiers, driven by YAML."""

import os

# Keras reads it at import; TensorFlow's start-up chatter would bury a plan or an error.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# On CPUs without AVX-512, TensorFlow leaves oneDNN off, and convolutions run at half the speed.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
