"""Faults of MoCoGAN."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/mocogan.py"
TEST = "tests/models/mocogan_test.py"

MUTANTS = [
    Mutant(FILE, "EPSILON = 1e-5", "EPSILON = 1e-3", f"{TEST} -k 'table'", "BN's epsilon is Keras'"),
    Mutant(FILE, "SLOPE = 0.2", "SLOPE = 0.01", f"{TEST} -k 'discriminators_compute'", "LeakyReLU has PyTorch's own slope"),
    Mutant(FILE, "(1.0 - u) * tf.tanh(", "u * tf.tanh(", f"{TEST} -k 'generator_computes or update_gate'", "GRU: the candidate is weighted by u"),
    Mutant(
        FILE,
        "h_r, h_u, h_n = tf.split(",
        "h_u, h_r, h_n = tf.split(",
        f"{TEST} -k generator_computes",
        "GRU: Keras' order of the state's gates",
    ),
    Mutant(FILE, "+ u * h\n", "+ (1.0 - u) * h\n", f"{TEST} -k 'generator_computes or update_gate'", "GRU: the update gate forgets"),
    Mutant(FILE, "tf.sigmoid(x_r + h_r) * h_n)", "h_n)", f"{TEST} -k generator_computes", "GRU without its reset gate"),
    Mutant(FILE, "h, *inputs = tf.split(z", "*inputs, h = tf.split(z", f"{TEST} -k 'generator_computes or longer'", "h_0 is the last draw, not the first"),
    Mutant(
        FILE,
        "outputs.append(self.norm(x, mode=mode))",
        "outputs.append(x)",
        f"{TEST} -k 'self_fed_motion or generator_computes'",
        "self_feed: motion is not normalized",
    ),
    Mutant(FILE, "tf.constant([0.0, 1.0, 0.0])", "tf.constant([1.0, 0.0, 0.0])", f"{TEST} -k starts_out", "self_feed: the reset gate is open, not the update gate"),
    Mutant(FILE, "[z[:, : self.content], category]", "[category, z[:, : self.content]]", f"{TEST} -k 'generator_computes or content_stays'", "z_A before z_C"),
    Mutant(FILE, "[category] if self.to_motion else []", "[]", f"{TEST} -k 'generator_computes and changes1 or motion_alone'", "R_M does not read the category"),
    Mutant(FILE, "return tf.tanh(tf.cast(self.convolutions[-1](x), tf.float32))", "return tf.cast(self.convolutions[-1](x), tf.float32)", f"{TEST} -k generator_computes", "G_I without tanh"),
    Mutant(FILE, "noise.added(x, seeds, self.noise)", "x", f"{TEST} -k discriminators_compute", "no noise before D's convolutions"),
    Mutant(FILE, "config.noise, bn=i > 0, head=False) for i in range(body)]\n    if patch:", "config.noise, bn=True, head=False) for i in range(body)]\n    if patch:", f"{TEST} -k 'discriminators_compute or official'", "D_I normalizes its first layer"),
    Mutant(FILE, '[0, 0], [0, 0], [1, 1], [1, 1], [0, 0]', '[0, 0], [1, 1], [1, 1], [1, 1], [0, 0]', f"{TEST} -k discriminators_compute", "D_V pads time"),
    Mutant(FILE, "noise.fork(seeds, NOISE_LAYER * number)", "noise.fork(seeds, NOISE_LAYER)", f"{TEST} -k discriminators_compute", "every layer has the same noise"),
    Mutant(FILE, 'fake = self.discriminator(frame, video, noise.fork(batch["seed"], FAKE_NOISE), mode="train")\n        terms, watched', 'fake = self.discriminator(frame, batch["video"], noise.fork(batch["seed"], FAKE_NOISE), mode="train")\n        terms, watched', f"{TEST} -k by_hand", "D_V is shown real clips as generated ones"),
    Mutant(FILE, "logistic_discriminator(real[name], fake[name], self.config.real_target)", "logistic_discriminator(fake[name], real[name], self.config.real_target)", f"{TEST} -k by_hand", "real and fake exchanged"),
    Mutant(FILE, "real[name], fake[name], self.config.real_target)", "real[name], fake[name])", f"{TEST} -k by_hand", "no label smoothing"),
    Mutant(FILE, 'for name in ("image", "video")}\n        if self.config.use_infogan:', 'for name in ("video",)}\n        if self.config.use_infogan:', f"{TEST} -k 'the_terms or by_hand'", "G's loss without D_I"),
    Mutant(FILE, 'cross_entropy(real["category"], batch["label"])', 'cross_entropy(fake["category"], batch["label"])', f"{TEST} -k 'the_terms or by_hand'", "labels are learned from generated clips"),
    Mutant(FILE, 'terms["d_infogan"] = cross_entropy(fake["category"], category)', "pass", f"{TEST} -k 'the_terms or by_hand or infogan'", "Q learns nothing from generated clips"),
    Mutant(FILE, 'terms["d_infogan"] = cross_entropy(fake["category"], category)', 'terms["d_infogan"] = cross_entropy(real["category"], category)', f"{TEST} -k 'the_terms or by_hand or infogan'", "Q learns the drawn categories from real clips"),
    Mutant(FILE, 'terms["g_category"] = cross_entropy(fake["category"], category)', 'terms["g_category"] = cross_entropy(fake["category"], batch["label"])', f"{TEST} -k 'the_terms or by_hand'", "G is asked for the labels of the real clips"),
    Mutant(FILE, 'self._draw(noise.fork(batch["seed"], IMAGES))', "self._draw(batch[\"seed\"])", f"{TEST} -k 'clips_of_its_own or by_hand'", "D_I's frames come from D_V's clips"),
    Mutant(FILE, 'noise.fork(batch["seed"], gan.REAL_FRAMES))', 'noise.fork(batch["seed"], gan.REAL_FRAMES)) * 0', f"{TEST} -k by_hand", "D_I sees first frames only"),
    Mutant(FILE, "draws * max(self.config.classes, 1)", "draws * max(self.config.classes - 1, 1)", f"{TEST} -k uniform", "the last category is never drawn"),
]
