"""Numbers that belong to an index, for data that is drawn from one: the same for ever and everywhere."""

import numpy as np


def uniforms(index: int, count: int) -> np.ndarray:
    """`count` numbers in [0,1) that belong to `index`: SplitMix64, because NumPy may change its own streams."""
    golden = 0x9E3779B97F4A7C15
    states = _mix(np.array([index], np.uint64)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(golden)
    return (_mix(states) >> np.uint64(11)) * 2.0**-53


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
