"""Loads an exported generator and makes four clips: `python examples/load.py EXPORT`."""

import sys

import tensorflow as tf
import tensorflow_hub as hub

generator = hub.load(sys.argv[1])
clips = generator.sample(tf.constant([0, 1, 2, 3]), seed=tf.constant([0, 0]), truncation=tf.constant(1.0))
print(f"{sys.argv[1]}: clips of shape {clips.shape}, values {float(tf.reduce_min(clips)):.3f} to {float(tf.reduce_max(clips)):.3f}")
