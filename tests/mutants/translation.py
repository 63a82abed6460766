"""Faults of translations' evaluation."""

from tests.mutants import Mutant

WARP_ERROR, NEAREST = "tfvideogan/metrics/warp_error.py", "tfvideogan/evaluation/nearest.py"

TRANSLATION, MODULE = "tfvideogan/evaluation/translation.py", "tfvideogan/generation/module.py"
LABEL_COLOR, POSES = "tfvideogan/ops/label_color.py", "tfvideogan/evaluation/poses.py"

OF_WARP_ERROR, OF_NEAREST = "tests/metrics/warp_error_test.py", "tests/evaluation/nearest_test.py"
OF_TRANSLATION, OF_LABEL_COLOR = "tests/evaluation/translation_test.py", "tests/ops/label_color_test.py"
OF_POSES = "tests/evaluation/poses_test.py"

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
    Mutant(MODULE, "state = after if history else state", "state = after", f"{OF_TRANSLATION} -k given_first", "history is kept"),
    Mutant(
        MODULE, "first = begin == 1 and not history", "first = False", f"{OF_TRANSLATION} -k scores_of_frames", "the first frame is kept"
    ),
    Mutant(
        MODULE, 'if name == "video" else value', "if True else value", f"{OF_TRANSLATION} -k phases", "no more frames than a generator's"
    ),
    Mutant(TRANSLATION, "x[:, self.start :]", "x", f"{OF_TRANSLATION} -k given_first", "the warp error of given frames"),
    Mutant(
        TRANSLATION,
        "warp_error(clips, flow, trusted, RANGE)",
        "warp_error(clips, flow, np.ones_like(trusted), RANGE)",
        f"{OF_TRANSLATION} -k true_clips_flow",
        "every flow is trusted",
    ),
    Mutant(
        TRANSLATION, "if dataset.source.paired and", "if", f"{OF_TRANSLATION} -k protocol", "a flow for any set", "no unpaired set has flow"
    ),
    Mutant(
        TRANSLATION,
        'video = batch["video" if dataset.source.paired else "source"]',
        'video = batch["video"]',
        f"{OF_TRANSLATION} -k unpaired",
        "the warp error by the style's flow",
    ),
    Mutant(TRANSLATION, "first, rule(", "0 * first, rule(", f"{OF_TRANSLATION} -k given_first", "baselines without the given frames"),
    Mutant(
        TRANSLATION,
        " and dataset.source.paired:\n        nearest",
        ":\n        nearest",
        f"{OF_TRANSLATION} -k unpaired",
        "the nearest frame of another clip",
    ),
    Mutant(
        TRANSLATION,
        "FrameScores(of_frames, 1, given)",
        "FrameScores(of_frames, 1, 0)",
        f"{OF_TRANSLATION} -k given_first",
        "given frames are scored",
    ),
    Mutant(POSES, "videos[:, self.start :]", "videos", f"{OF_POSES} -k followed", "poses of given frames"),
    Mutant(
        POSES,
        "tracker = pose_estimation.Tracker()\n    return np.stack([tracker(frame)",
        "return np.stack([pose_estimation.Tracker()(frame)",
        f"{OF_POSES} -k followed",
        "a person is looked for anew in each frame",
    ),
    Mutant(POSES, "missed_points(real, made)", "missed_points(made, real)", f"{OF_POSES} -k followed", "points that the true clip misses"),
    Mutant(POSES, "if not paired:", "if False:", f"{OF_POSES} -k asked_for", "poses of clips that are no one's truth"),
    Mutant(
        "tfvideogan/evaluation/scores.py", "values = values[np.isfinite(values)]", "", f"{OF_POSES} -k in_common", "clips without a joint"
    ),
    Mutant(
        "tfvideogan/evaluation/evaluation.py",
        "for metric in set(metrics) - set(OF_SETS):",
        "for metric in ():",
        "tests/evaluation/evaluation_test.py -k no_translation",
        "the pose distance of clips without a truth",
    ),
    Mutant(LABEL_COLOR, "source[..., :1], 3, -1", "source[..., -1:], 3, -1", OF_LABEL_COLOR, "the last channel"),
    Mutant(LABEL_COLOR, 'if "source" in batch', "if True", OF_LABEL_COLOR, "a source where there is a flow alone"),
    Mutant(LABEL_COLOR, "* TURN, 1.0", "* 0.5, 1.0", OF_LABEL_COLOR, "labels of the same color"),
]
