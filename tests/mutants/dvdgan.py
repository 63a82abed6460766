"""Faults of DVD-GAN and its layers."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/dvdgan.py"
ATTENTION = "tfvideogan/layers/attention.py"
GRU = "tfvideogan/layers/conv_gru.py"
NORM = "tfvideogan/layers/norm.py"
RESIDUAL = "tfvideogan/layers/residual.py"
RESAMPLE = "tfvideogan/ops/resample.py"
SPECTRAL = "tfvideogan/layers/spectral.py"

TEST = "tests/models/dvdgan_test.py"
SAMPLE_G, SAMPLE_D = (f"{TEST} -k '{name} and sample'" for name in ("generator_computes and nearest", "discriminators_compute and 2x2"))
G = f"{TEST} -k 'generator_computes and nearest and train'"
BILINEAR = f"{TEST} -k 'generator_computes and bilinear and train'"
MIXTURE = f"{TEST} -k 'generator_computes and mixture and train'"
D = f"{TEST} -k 'discriminators_compute and 2x2 and train'"
CROP = f"{TEST} -k 'discriminators_compute and crop and train'"
STEP = f"{TEST} -k by_hand"

MUTANTS = [
    # Losses
    Mutant(FILE, "hinge_discriminator(real, fake)", "hinge_discriminator(fake, real)", STEP, "hinge with real and fake exchanged"),
    Mutant(
        FILE,
        "hinge_generator(score) for name, score in scores.items()}",
        'hinge_generator(score) for name, score in scores.items() if name == "spatial"}',
        STEP,
        "G's loss without D_T",
    ),
    Mutant(
        FILE,
        '(self.augment(video, seeds), inputs.get("label")',
        '(video, 0 * inputs["label"], noise.fork',
        STEP,
        "G's fakes are judged as of the first class",
    ),
    Mutant(
        FILE, '[batch["label"], inputs["label"]], 0', '[batch["label"]] * 2, 0', STEP, "D judges generated clips by the real ones' labels"
    ),
    Mutant(
        FILE, "(gan.REAL_FRAMES, gan.FAKE_FRAMES)", "(gan.REAL_FRAMES, gan.REAL_FRAMES)", STEP, "the same frames of real clips and fakes"
    ),
    Mutant(
        FILE,
        "gram - tf.linalg.diag(tf.linalg.diag_part(gram))",
        "gram - tf.eye(gram.shape[0])",
        STEP,
        "orthogonal regularization of the norms too",
    ),
    # D
    Mutant(
        FILE,
        'self._phi(self.views["temporal"], video, draws[:, :2])',
        'self._phi(self.views["temporal"], tf.repeat(video[:, :1], video.shape[1], 1), draws[:, :2])',
        D,
        "D_T is shown one frame repeated",
    ),
    Mutant(FILE, "self.embedding(label, mode=mode)", "self.embedding(0 * label, mode=mode)", D, "D ignores the label"),
    Mutant(FILE, "[..., 0] + projection, 1)", "[..., 0] - projection, 1)", D, "the projection's sign turned"),
    Mutant(FILE, "relu(tf.cast(x, tf.float32)), [1, 2])", "tf.cast(x, tf.float32), [1, 2])", D, "no ReLU before the sum pooling"),
    Mutant(FILE, "h = tf.reduce_sum(relu(", "h = tf.reduce_mean(relu(", D, "mean pooling for sum pooling"),
    Mutant(
        FILE,
        "return tf.reduce_sum(unfold(self.linear(",
        "return tf.reduce_mean(unfold(self.linear(",
        D,
        "the mean of the frames' scores, not their sum",
    ),
    Mutant(FILE, "down = i < len(width) - 2", "down = i < len(width) - 1", D, "D's last block halves"),
    Mutant(FILE, "factor = int(phi[0])", "factor = 2", f"{TEST} -k 'discriminators_compute and 4x4 and train'", "phi 4x4 pools 2x2"),
    Mutant(
        FILE,
        "draws[:, 2:], self.k",
        "draws[:1, 2:] + 0 * draws[:, 2:], self.k",
        f"{TEST} -k evenly",
        "the same frames of every clip of a batch",
    ),
    Mutant(RESIDUAL, "x if self.first else relu(x)", "relu(x)", D, "a leading ReLU in D's first block"),
    Mutant(
        RESIDUAL, "y = self.conv1(y, mode=mode, relu=True)", "y = self.conv1(y, mode=mode)", D, "no ReLU between a D block's convolutions"
    ),
    Mutant(
        RESIDUAL,
        "shortcut=x if self.shortcut is None else self.shortcut(x, mode=mode))",
        "shortcut=0 * (x if self.shortcut is None else self.shortcut(x, mode=mode)))",
        D,
        "D's shortcut zeroed",
    ),
    Mutant(
        RESIDUAL, "downsample(x) if self.down else x", "downsample(relu(x)) if self.down else x", D, "D's shortcut reads the rectified map"
    ),
    Mutant(RESAMPLE, "[x, x[:, -1:]], 1)", "[x, 0 * x[:, -1:]], 1)", CROP, "an odd last frame averaged with zeros"),
    # G
    Mutant(
        RESIDUAL,
        "shortcut=x if self.upsample is None else self.upsample(x))",
        "shortcut=0 * (x if self.upsample is None else self.upsample(x)))",
        G,
        "G's shortcut zeroed",
    ),
    Mutant(RESIDUAL, "self.norm1(x, condition, mode=mode, relu=True)", "self.norm1(x, condition, mode=mode)", G, "norm1 without ReLU"),
    Mutant(RESIDUAL, "self.norm2(y, condition, mode=mode, relu=True)", "self.norm2(y, condition, mode=mode)", G, "norm2 without ReLU"),
    Mutant(
        FILE,
        "self.norm(fold(x), condition, mode=mode, relu=True)",
        "self.norm(fold(x), condition, mode=mode)",
        G,
        "the head's norm without ReLU",
    ),
    Mutant(
        FILE,
        "self.stage(layers, x, condition, *states[i : i + 1], mode=mode)",
        "self.stage(layers, x, tf.pad(z, [[0, 0], [0, condition.shape[1] - z.shape[1]]]), *states[i : i + 1], mode=mode)",
        G,
        "block norms conditioned on z alone",
    ),
    Mutant(
        FILE,
        "self.stage(layers, x, condition, *states[i : i + 1], mode=mode)",
        "self.stage(layers, x, condition - tf.pad(z, [[0, 0], [0, condition.shape[1] - z.shape[1]]]), *states[i : i + 1], mode=mode)",
        G,
        "block norms conditioned on e(y) alone",
    ),
    Mutant(
        FILE,
        "tf.tanh(tf.cast(self.to_rgb(x, mode=mode), tf.float32))",
        "tf.clip_by_value(tf.cast(self.to_rgb(x, mode=mode), tf.float32), -1.0, 1.0)",
        G,
        "tanh replaced by clipping",
    ),
    Mutant(
        FILE,
        "else tf.matmul(label, embedding)",
        "else tf.gather(embedding, tf.argmax(label, 1))",
        MIXTURE,
        "a mixture of classes is its largest",
    ),
    Mutant(
        FILE, 'config.bn_statistics == "per_frame")', 'config.bn_statistics != "per_frame")', G, "the two kinds of BN statistics exchanged"
    ),
    Mutant(FILE, "== 8 << stage", "== 4 << stage", G, "G's attention a stage too late"),
    Mutant(
        RESAMPLE,
        "np.stack([before, after], 1)",
        "np.stack([after, before], 1)",
        BILINEAR,
        "bilinear: the two new pixels exchanged",
    ),
    Mutant(RESAMPLE, "4 * tf.nn.avg_pool2d(g", "tf.nn.avg_pool2d(g", G, "nearest: the gradient is a mean, not a sum"),
    # Conditional BN
    Mutant(NORM, "1.0 + self.gain(condition", "self.gain(condition", G, "the gain without 1"),
    Mutant(NORM, "EPSILON = 1e-5", "EPSILON = 1e-3", G, "BN's epsilon is Keras'"),
    Mutant(NORM, 'if mode == "sample":', 'if mode == "never":', SAMPLE_G, "sampling normalizes by the batch"),
    Mutant(NORM, "share * (moment - standing)", "(moment - standing)", f"{TEST} -k standing", "standing statistics are the last batch's"),
    # ConvGRU
    Mutant(GRU, "tf.concat([h_r, h_u], -1)", "tf.concat([h_u, h_r], -1)", G, "ConvGRU: the state's gates exchanged"),
    Mutant(GRU, "(h_r, x_r), (h_u, x_u), (h_c, x_c) =", "(x_r, h_r), (x_u, h_u), (x_c, h_c) =", G, "ConvGRU: input and state exchanged"),
    Mutant(GRU, "tf.cast(bias, x.dtype)", "0 * tf.cast(bias, x.dtype)", G, "ConvGRU without biases"),
    # Self-attention
    Mutant(ATTENTION, "phi, transpose_b=True))", "phi, transpose_b=True), axis=1)", G, "attention's softmax over the wrong axis"),
    Mutant(ATTENTION, "tf.nn.max_pool2d(y", "tf.nn.avg_pool2d(y", G, "attention with average pooling"),
    Mutant(ATTENTION, "phi, transpose_b=True))", "phi, transpose_b=True) * theta.shape[-1] ** -0.5)", G, "attention's logits scaled"),
    Mutant(ATTENTION, "return x + tf.cast(self.gamma", "return tf.cast(self.gamma", G, "attention without its input"),
    # Spectral normalization
    Mutant(
        SPECTRAL,
        "kernel / tf.matmul(s, u, transpose_b=True), u",
        "kernel + 0.0 * tf.matmul(s, u, transpose_b=True), u",
        D,
        "kernels are not normalized",
    ),
    Mutant(SPECTRAL, "s = tf.matmul(v, matrix)", "s = tf.matmul(v, tf.stop_gradient(matrix))", D, "no gradient through sigma"),
    Mutant(SPECTRAL, "self.u.assign(u)", "self.u.assign(0 * u + self.u)", D, "u is not kept"),
    Mutant(SPECTRAL, 'if mode == "train" and _held is None:', "if _held is None:", SAMPLE_D, "sampling moves u"),
]
