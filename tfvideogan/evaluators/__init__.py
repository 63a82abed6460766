"""Evaluators: networks that turn clips into features and logits."""
