import tfvideogan  # noqa: F401  # before TensorFlow: it sets what that reads
