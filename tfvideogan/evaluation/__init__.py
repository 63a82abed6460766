"""Evaluation: protocol, scores with standard errors, cache, memorization audit, report."""
