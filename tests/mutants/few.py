"""Faults of what helps with few videos: augmentation and regularizers."""

from tests.mutants import Mutant

AUGMENT, REGULARIZERS = "tfvideogan/layers/augment.py", "tfvideogan/training/regularizers.py"
GAN, STEP, LOSSES, RUN = (f"tfvideogan/{name}.py" for name in ("gan", "training/step", "losses", "training/run_folder"))
MOCOGAN, DVDGAN, TGANV2 = (f"tfvideogan/models/{name}.py" for name in ("mocogan", "dvdgan", "tganv2"))
OF_AUGMENT, OF_REGULARIZERS = "tests/layers/augment_test.py", "tests/training/regularizers_test.py"
SEES = "tests/models_test.py -k 'sees_clips and {}'"

MUTANTS = [
    Mutant(AUGMENT, "alone = frames if per_frame else 1", "alone = frames", f"{OF_AUGMENT} -k alike", "every frame has its own draws"),
    Mutant(AUGMENT, "draws[:, 7:] < probability", "draws[:, 7:] > probability", f"{OF_AUGMENT} -k probability", "applied with 1 - p"),
    Mutant(AUGMENT, "2.0 * places[:, i] - 1.0", "places[:, i]", f"{OF_AUGMENT} -k ranges", "only brighter: colors leak"),
    Mutant(
        AUGMENT, "[1, 2, 3, 4], keepdims=True", "[2, 3, 4], keepdims=True", f"{OF_AUGMENT} -k colors", "contrast about each frame's mean"
    ),
    Mutant(AUGMENT, "-1, keepdims=True", "[2, 3], keepdims=True", f"{OF_AUGMENT} -k colors", "saturation about the picture's mean"),
    Mutant(AUGMENT, "moved(dy, -places, axis)", "moved(dy, places, axis)", f"{OF_AUGMENT} -k differences", "the gradient moves on"),
    Mutant(AUGMENT, "found * _along(there, axis, rank)", "found", f"{OF_AUGMENT} -k zeros", "the edge is drawn out"),
    Mutant(AUGMENT, "(2 * farthest + 1)", "(2 * farthest)", f"{OF_AUGMENT} -k ranges", "never as far to one side as to the other"),
    Mutant(AUGMENT, "place * (size + 1)", "place * (size - length + 1)", f"{OF_AUGMENT} -k ranges", "what is cut out lies too far up"),
    Mutant(AUGMENT, "tf.where(inside, 0.0, x)", "tf.where(inside, x, 0.0)", f"{OF_AUGMENT} -k ranges", "all but the square is cut out"),
    Mutant(AUGMENT, "if video.shape[-1] == 3:", "if True:", f"{OF_AUGMENT} -k flows", "flows are colored"),
    Mutant(MOCOGAN, "self.augment(video, seeds)\n", "video\n", SEES.format("mocogan"), "D_V sees clips as they are"),
    Mutant(DVDGAN, "self.augment(video, seeds), label", "video, label", SEES.format("dvdgan"), "D's step without augmentation"),
    Mutant(
        DVDGAN,
        "self.augment(video, seeds), inputs",
        "video, inputs",
        SEES.format("dvdgan"),
        "G's step without augmentation: it leaks",
    ),
    Mutant(TGANV2, "[self.augment(video, seeds) for video in videos]", "videos", SEES.format("tganv2"), "no level is augmented"),
    Mutant(TGANV2, "own_penalty = True", "own_penalty = False", "tests/models_test.py -k 'penalty_of_its_own'", "penalized twice"),
    Mutant(GAN, "noise.fork(seeds, AUGMENT)", "seeds", f"{OF_REGULARIZERS} -k stream", "the draws of D's own noise"),
    Mutant(
        LOSSES,
        "tf.square(real - average_fake)",
        "tf.square(real - average_real)",
        f"{OF_REGULARIZERS} -k lecam_by",
        "to the own side's mean",
    ),
    Mutant(
        REGULARIZERS, "gan.config.r1_weight * gan.config.r1_every", "gan.config.r1_weight", f"{OF_REGULARIZERS} -k linear", "no interval"
    ),
    Mutant(REGULARIZERS, "tf.reduce_sum(watched[name])", "tf.reduce_mean(watched[name])", f"{OF_REGULARIZERS} -k linear", "1/N^2 of it"),
    Mutant(REGULARIZERS, "tf.sign(overfit - config", "-tf.sign(overfit - config", f"{OF_REGULARIZERS} -k rises", "p falls on overfitting"),
    Mutant(REGULARIZERS, "WINDOW * config.batch_size", "config.batch_size", f"{OF_REGULARIZERS} -k rises", "p takes four times as long"),
    Mutant(REGULARIZERS, "tf.where(due, 0.0, value)", "value", f"{OF_REGULARIZERS} -k rises", "signs of all updates add up"),
    Mutant(REGULARIZERS, "tf.clip_by_value(p + move, 0.0, 1.0)", "p + move", f"{OF_REGULARIZERS} -k probability", "p leaves [0,1]"),
    Mutant(
        REGULARIZERS,
        "tf.reduce_max(tf.stack",
        "tf.reduce_min(tf.stack",
        f"{OF_REGULARIZERS} -k overfits_most",
        "the last of the D's decides",
    ),
    Mutant(
        REGULARIZERS,
        "tf.where(tf.equal(update, 0), 0.0, config.lecam_decay)",
        "config.lecam_decay",
        f"{OF_REGULARIZERS} -k averages",
        "averages begin at 0",
    ),
    Mutant(
        REGULARIZERS,
        "tf.equal(update % gan.config.r1_every, 0)",
        "update > 0",
        f"{OF_REGULARIZERS} -k so_many",
        "R1 in every update but one",
    ),
    Mutant(
        STEP,
        "regularizers.follow(gan, over_replicas(scalars), before)",
        "pass",
        f"{OF_REGULARIZERS} -k so_many",
        "nothing follows the scores",
    ),
    Mutant(RUN, 'parts["adaptive"] = gan.adaptive', "pass", f"{OF_REGULARIZERS} -k resumed", "p and averages begin anew when resumed"),
]
