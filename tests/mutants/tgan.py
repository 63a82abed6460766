"""Faults of TGAN."""

from tests.mutants import Mutant

FILE, SVC, RMSPROP = "tfvideogan/models/tgan.py", "tfvideogan/ops/singular_value_clipping.py", "tfvideogan/training/optimizers.py"
LATENT = "tfvideogan/ops/latent.py"
TEST = "tests/models/tgan_test.py"
LAYERS_SVC = "tests/layers/layers_test.py -k singular_value_decomposition"

MUTANTS = [
    Mutant(LATENT, "2.0 * noise.uniform(seeds, [width]) - 1.0", "2.0 * noise.uniform(seeds, [width])", f"{TEST} -k z0", "z0 ~ U[0,2]"),
    Mutant(FILE, "latent_distribution = UNIFORM", "latent_distribution = gan.NORMAL", f"{TEST} -k z0", "z0 is normal"),
    Mutant(
        FILE,
        "return tf.tanh(self.convolutions[-1](x))",
        "return self.convolutions[-1](x)",
        f"{TEST} -k 'compute and changes2'",
        "z1 without tanh",
    ),
    Mutant(
        FILE,
        "self.image([z[:, None], interpolate(z1, interpolate_frames)",
        "self.image([interpolate(z1, interpolate_frames), z[:, None]",
        f"{TEST} -k 'compute and changes2'",
        "G1's maps of z0 and z1 exchanged",
    ),
    Mutant(
        FILE,
        "x = fold(tf.concat(maps, -1))",
        "x = fold(tf.concat(maps[::-1], -1))",
        f"{TEST} -k 'compute and changes2'",
        "G1's maps stand in another order",
    ),
    Mutant(
        FILE,
        "maps[-1] = tf.repeat(maps[-1], frames // flat.shape[1], axis=1)",
        "maps[-1] = tf.repeat(maps[-1][:, :1], frames, axis=1)",
        f"{TEST} -k 'compute and changes2'",
        "every frame is the first one's",
    ),
    Mutant(
        FILE,
        "x = x if norm is None else norm(x, mode=mode)\n            if self.sigma",
        "x = norm(x, mode=mode) if norm is not None and self.sigma else x\n            if self.sigma",
        f"{TEST} -k 'compute and changes2'",
        "D without BN",
    ),
    Mutant(FILE, "SLOPE = 0.2", "SLOPE = 0.0", f"{TEST} -k 'compute and changes2'", "D's LeakyReLU is a ReLU"),
    Mutant(
        FILE,
        "plane = tf.one_hot(label, self.classes)",
        "plane = tf.zeros_like(tf.one_hot(label, self.classes))",
        f"{TEST} -k hears",
        "D does not hear the label",
    ),
    Mutant(
        FILE,
        "[tf.one_hot(label, self.classes)] if self.classes else []",
        "[tf.one_hot(label * 0, self.classes)] if self.classes else []",
        f"{TEST} -k hears",
        "G does not hear the label",
    ),
    Mutant(FILE, "loss(real_score, fake_score)", "loss(fake_score, real_score)", f"{TEST} -k scores", "real and fake exchanged"),
    Mutant(
        FILE,
        '(logistic_generator if self.config.loss == "vanilla" else wasserstein_generator)',
        "(wasserstein_generator)",
        f"{TEST} -k scores",
        "the vanilla G has the critic's loss",
    ),
    Mutant(
        "tfvideogan/losses.py",
        "return tf.reduce_mean(fake) - tf.reduce_mean(real)",
        "return tf.reduce_mean(real) - tf.reduce_mean(fake)",
        f"{TEST} -k losses",
        "the critic's loss with the other sign",
    ),
    Mutant(
        "tfvideogan/losses.py",
        "return tf.reduce_mean(tf.nn.softplus(-fake))",
        "return -tf.reduce_mean(tf.nn.softplus(fake))",
        f"{TEST} -k losses",
        "G's logistic loss saturates",
    ),
    Mutant(
        FILE,
        "step % self.config.clip_every_steps, 0)",
        "step % self.config.clip_every_steps, 1)",
        f"{TEST} -k fifth",
        "clips after step 1, 6, ...",
    ),
    Mutant(
        FILE,
        "for layer in gan.layers_of(self.discriminator, Conv):",
        "for layer in self.discriminator.convolutions:",
        f"{TEST} -k 'fifth or deviation'",
        "D's last layer is not clipped",
    ),
    Mutant(
        SVC,
        "excess = 1.0 - limit / tf.sqrt(",
        "excess = 1.0 - limit / (",
        f"{TEST} -k 'fifth or by_hand'",
        "singular values and their squares exchanged",
    ),
    Mutant(SVC, "tf.maximum(squares, limit * limit)", "squares", LAYERS_SVC, "small singular values are raised to 1"),
    Mutant(
        SVC,
        "tf.clip_by_value(gain, least * sigma, sigma)",
        "tf.clip_by_value(gain, -sigma, sigma)",
        f"{TEST} -k deviation",
        "gains may be negative",
    ),
    Mutant(
        SVC,
        "sigma = tf.sqrt(variance + epsilon)",
        "sigma = variance + epsilon",
        f"{TEST} -k deviation",
        "gains are bounded by the variance",
    ),
    Mutant(
        FILE,
        "self.variance.assign(DECAY * self.variance + (1 - DECAY)",
        "self.variance.assign((1 - DECAY) * self.variance + DECAY",
        f"{TEST} -k moving_variance",
        "the variance that bounds the gains moves by .9",
    ),
    Mutant(
        FILE, 'if self.sigma and mode == "train":', "if self.sigma:", f"{TEST} -k noise", "the vanilla D has noise when it does not train"
    ),
    Mutant(FILE, "noise.fork(seeds, 10 * number)", "noise.fork(seeds, 10)", f"{TEST} -k noise", "every layer has the same noise"),
    Mutant(
        FILE,
        "tf.clip_by_value(w, -self.config.weight_clip, self.config.weight_clip)",
        "tf.clip_by_value(w, 0.0, self.config.weight_clip)",
        f"{TEST} -k weight_clipping",
        "weights are clipped from one side only",
    ),
    Mutant(
        RMSPROP,
        "(tf.sqrt(tf.convert_to_tensor(square)) + self.epsilon)",
        "tf.sqrt(square + self.epsilon)",
        f"{TEST} -k rmsprop",
        "RMSProp's epsilon under the root",
    ),
    Mutant(
        FILE,
        "np.maximum(1 - abs(times[:, None] - np.arange(z.shape[1])), 0)",
        "(abs(times[:, None] - np.arange(z.shape[1])) <= 0.5)",
        f"{TEST} -k interpolated",
        "frames are repeated, not interpolated",
    ),
]
