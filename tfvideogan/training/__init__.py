"""Training: the loop, the step, optimizers, the strategy, the run folder, monitoring."""
