"""Video GANs under one trainer, one evaluator and one exporter, on TensorFlow and Keras 3."""

__version__ = "0.1.0"
