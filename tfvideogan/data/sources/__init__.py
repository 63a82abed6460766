"""One data set a file, named as in --dataset; each has `source(config, variant, split)`."""
