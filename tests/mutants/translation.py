"""Faults of translations' evaluation."""

from tests.mutants import Mutant

WARP_ERROR, NEAREST = "tfvideogan/metrics/warp_error.py", "tfvideogan/evaluation/nearest.py"

OF_WARP_ERROR, OF_NEAREST = "tests/metrics/warp_error_test.py", "tests/evaluation/nearest_test.py"

MUTANTS = [
    Mutant(WARP_ERROR, "video[:, 1:] - warped(video[:, :-1]", "video[:, :-1] - warped(video[:, 1:]", OF_WARP_ERROR, "warped forward"),
    Mutant(WARP_ERROR, "/ data_range**2", "/ data_range", OF_WARP_ERROR, "of another range of pixels"),
    Mutant(WARP_ERROR, "(error * seen)", "error", OF_WARP_ERROR, "all pixels are trusted"),
    Mutant(WARP_ERROR, "np.maximum(count, 1), np.nan)", "np.maximum(count, 1), 0.0)", OF_WARP_ERROR, "nothing trusted is no error"),
    Mutant(WARP_ERROR, "inside & same", "same", OF_WARP_ERROR, "what leads out of the frame is trusted"),
    Mutant(WARP_ERROR, "inside & same", "inside", OF_WARP_ERROR, "what comes out of hiding is trusted"),
    Mutant(WARP_ERROR, "2 * changes / data_range", "changes / data_range", OF_WARP_ERROR, "confidence by colors in [0,1]"),
    Mutant(
        WARP_ERROR,
        "(1 - of_right) * at(row, left) + of_right",
        "of_right * at(row, left) + (1 - of_right)",
        OF_WARP_ERROR,
        "shares exchanged",
    ),
    Mutant(
        NEAREST, "tf.one_hot(source, tf.reduce_max(source) + 1)", "tf.cast(source, tf.float32)[..., None]", OF_NEAREST, "labels as numbers"
    ),
    Mutant(NEAREST, 'inputs["source"][:, -frames:]', 'inputs["source"][:, :frames]', OF_NEAREST, "answers to the first frames"),
    Mutant(NEAREST, "BYTES // (height * width * 3)", "BYTES", OF_NEAREST, "memory grows with the frames' size"),
]
