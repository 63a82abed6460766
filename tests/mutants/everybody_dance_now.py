"""Faults of Everybody Dance Now."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/everybody_dance_now.py"
TEST = "tests/models/everybody_dance_now_test.py"

MUTANTS = [
    Mutant(FILE, "poses, frames = 0.5 * source + 0.5, [", "poses, frames = source, [", f"{TEST} -k turn", "G reads poses in [-1,1]"),
    Mutant(
        FILE, "tf.concat([poses[:, t], frames[-1]], -1)", "tf.concat([poses[:, t], frames[0]], -1)", f"{TEST} -k turn", "no frame before"
    ),
    Mutant(
        FILE,
        "tf.concat([poses[:, t], frames[-1]], -1)",
        "tf.concat([poses[:, t], tf.stop_gradient(frames[-1])], -1)",
        f"{TEST} -k 'through or hand'",
        "no gradient through the frame before",
    ),
    Mutant(
        FILE, "self.trunk(average_pool_overlapping(x))", "self.trunk(x[:, ::2, ::2])", f"{TEST} -k turn", "half the size by leaving out"
    ),
    Mutant(FILE, "return frame + tf.einsum(", "return frame - tf.einsum(", f"{TEST} -k turn", "the residual is taken away"),
    Mutant("tfvideogan/layers/box.py", "center - size // 2, 0,", "center, 0,", f"{TEST} -k turn", "the box begins at the face's center"),
    Mutant(
        FILE,
        "[cut(pose, rows, columns), cut(frame, rows, columns)]",
        "[cut(frame, rows, columns), cut(pose, rows, columns)]",
        f"{TEST} -k turn",
        "pose and frame exchanged",
    ),
    Mutant(
        FILE,
        "[poses[:, :-1], poses[:, 1:], video[:, :-1], video[:, 1:]]",
        "[poses[:, :-1], video[:, :-1], poses[:, 1:], video[:, 1:]]",
        f"{TEST} -k losses",
        "D reads its channels in another order",
    ),
    Mutant(FILE, 'terms[f"d_{name}"] = 0.5 * tf.add_n', 'terms[f"d_{name}"] = tf.add_n', f"{TEST} -k losses", "D's terms are whole"),
    Mutant(FILE, 'terms[f"d_face_{name}"] = 0.5 * 0.5 *', 'terms[f"d_face_{name}"] = 0.5 *', f"{TEST} -k losses", "the face's D twice"),
    Mutant(FILE, 'terms["g_face"] = 0.5 * tf.add_n', 'terms["g_face"] = tf.add_n', f"{TEST} -k losses", "the face's loss twice"),
    Mutant(
        FILE,
        '(0.5 if config.phase == "global" else 1.0)',
        "1.0",
        f"{TEST} -k perceptual",
        "the perceptual distance is not halved in phase global",
    ),
    Mutant(FILE, "config.perceptual_weight * config.frames *", "config.perceptual_weight *", f"{TEST} -k perceptual", "a mean over frames"),
    Mutant(
        FILE,
        "0.5 * config.perceptual_weight * tf.add_n(distances)",
        "config.perceptual_weight * tf.add_n(distances)",
        f"{TEST} -k perceptual",
        "the face's perceptual distance twice",
    ),
    Mutant(FILE, "self.enhancer, self.local_painter):\n", "self.local_painter):\n", f"{TEST} -k begin", "phase face trains the enhancer"),
    Mutant(FILE, "self.main.trainable = config.train_main_d", "self.main.trainable = True", f"{TEST} -k begin", "both D are trained"),
    Mutant(FILE, '(2 if self.phase == "global" else 3)', "2", f"{TEST} -k default", "two scales in every phase"),
    Mutant(
        "tfvideogan/data/sources/pairs.py",
        "given = shape(config, given, seed, training, nearest=True)",
        "given = shape(config, given, seed, training)",
        "tests/data/sources/pairs_test.py -k random",
        "colors of labels are mixed",
    ),
    Mutant(
        "tfvideogan/data/sources/pairs.py",
        "range(first, first + length - span + 1)",
        "range(first, first + length)",
        "tests/data/sources/pairs_test.py -k 'begin or reaches'",
        "clips run over the end",
    ),
    Mutant(
        "tfvideogan/data/sources/pairs.py",
        "middles * scale - left_over",
        "middles * scale",
        "tests/data/sources/pairs_test.py -k faces",
        "the crop is forgotten",
    ),
]
