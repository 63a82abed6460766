"""Generation: the sampler, exported modules, and the files that clips are shown in."""
