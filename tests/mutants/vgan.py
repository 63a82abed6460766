"""Faults of VGAN."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/vgan.py"
TEST = "tests/models/vgan_test.py"

MUTANTS = [
    Mutant(
        FILE,
        "mask * video + (1.0 - mask) * background, mask",
        "(1.0 - mask) * video + mask * background, mask",
        f"{TEST} -k still",
        "the mask opens the background",
    ),
    Mutant(
        FILE,
        "mask * video + (1.0 - mask) * background, mask",
        "mask * video + background, mask",
        f"{TEST} -k 'compute and changes3'",
        "the background is not masked",
    ),
    Mutant(
        FILE,
        "tf.sigmoid(foreground[1])",
        "(tf.tanh(foreground[1]) + 1.0) / 2.0",
        f"{TEST} -k 'compute and changes3'",
        "the mask is twice as steep",
    ),
    Mutant(
        FILE,
        "background = tf.tanh(self.background(x, mode=mode)[0])[:, None]",
        "background = self.background(x, mode=mode)[0][:, None]",
        f"{TEST} -k 'compute and changes3'",
        "background without tanh",
    ),
    Mutant(
        FILE,
        "video = tf.tanh(foreground[0])\n            return",
        "video = foreground[0]\n            return",
        f"{TEST} -k 'compute and changes1'",
        "one stream without tanh",
    ),
    Mutant(
        FILE,
        "EPSILON, D_EPSILON = 1e-5, 1e-3",
        "EPSILON, D_EPSILON = 1e-5, 1e-5",
        f"{TEST} -k 'compute and changes3'",
        "D's BN has the generator's epsilon",
    ),
    Mutant(FILE, "SLOPE = 0.2", "SLOPE = 0.0", f"{TEST} -k 'compute and changes3'", "D's LeakyReLU is a ReLU"),
    Mutant(
        FILE,
        "Down(width[::-1], 2, slope=0.0)",
        "Down(width[::-1], 2, slope=0.2)",
        f"{TEST} -k 'compute and changes2'",
        "the encoder has D's LeakyReLU",
    ),
    Mutant(
        FILE,
        "x = norm(convolution(x), mode=mode, relu=True)\n        return [",
        "x = norm(convolution(x), mode=mode)\n        return [",
        f"{TEST} -k 'compute and changes3'",
        "G without ReLU",
    ),
    Mutant(FILE, "REAL_CLASS, FAKE_CLASS = 0, 1", "REAL_CLASS, FAKE_CLASS = 1, 0", f"{TEST} -k losses", "the classes of D exchanged"),
    Mutant(
        FILE,
        '"d_fake": cross_entropy(fake_logits, FAKE_CLASS)',
        '"d_fake": cross_entropy(fake_logits, REAL_CLASS)',
        f"{TEST} -k losses",
        "D takes generated clips for real",
    ),
    Mutant(
        FILE,
        "cross_entropy(self._logits(video, batch, gan.FAKE_FRAMES), REAL_CLASS)",
        "-cross_entropy(self._logits(video, batch, gan.FAKE_FRAMES), FAKE_CLASS)",
        f"{TEST} -k losses",
        "G's loss saturates",
    ),
    Mutant(
        FILE,
        "self.config.mask_penalty * tf.reduce_mean(mask)",
        "self.config.mask_penalty * tf.reduce_sum(mask)",
        f"{TEST} -k losses",
        "the mask's penalty is a sum",
    ),
    Mutant(
        FILE,
        "self.config.mask_penalty * tf.reduce_mean(mask)",
        "-self.config.mask_penalty * tf.reduce_mean(mask)",
        f"{TEST} -k losses",
        "the mask is rewarded",
    ),
    Mutant(
        FILE,
        "elif self.config.streams == 2:\n            terms",
        "if self.config.streams == 2:\n            terms",
        f"{TEST} -k losses",
        "the conditional model has the mask's penalty",
    ),
    Mutant(
        FILE,
        'tf.reduce_mean(abs(video[:, 0] - batch["video"][:, 0]))',
        'tf.reduce_mean(tf.square(video[:, 0] - batch["video"][:, 0]))',
        f"{TEST} -k losses",
        "the first frame's distance is squared",
    ),
    Mutant(
        FILE,
        'abs(video[:, 0] - batch["video"][:, 0])',
        'abs(video[:, -1] - batch["video"][:, 0])',
        f"{TEST} -k losses",
        "the last frame is held to the given one",
    ),
    Mutant(
        FILE,
        "keras.initializers.RandomNormal(0.0, 0.01)",
        "keras.initializers.RandomNormal(0.0, 0.02)",
        f"{TEST} -k first_weights",
        "kernels start twice as wide",
    ),
]
