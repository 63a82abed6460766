"""Faults of CartoonGAN, of what the translations share, and of films."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/cartoongan.py"
TEST = "tests/models/cartoongan_test.py"
SHARED = "tests/layers/translation_test.py"
FILMS, OF_FILMS = "tfvideogan/generation/films.py", "tests/generation/films_test.py"

MUTANTS = [
    Mutant(
        FILE, 'self.adversarial(score, name == "real")', 'self.adversarial(score, name != "fake")', f"{TEST} -k losses", "smoothed are real"
    ),
    Mutant(
        FILE, 'batch["video"], "smoothed": batch["smoothed"]', 'batch["video"], "smoothed": batch["video"]', f"{TEST} -k losses", "plain"
    ),
    Mutant(
        FILE,
        'terms["g_loss"] = self.adversarial(self.discriminator(fake, mode="train"), True)',
        'terms["g_loss"] = self.adversarial(self.discriminator(fake, mode="train"), False)',
        f"{TEST} -k losses",
        "G is to be found out",
    ),
    Mutant(FILE, "scores if real else -scores", "-scores if real else scores", f"{TEST} -k losses", "the log loss turned round"),
    Mutant(
        FILE,
        'if self.config.phase == "adversarial":\n            terms',
        "if True:\n            terms",
        f"{TEST} -k initialization",
        "initialization asks D",
    ),
    Mutant(FILE, "rectified=False", "rectified=True", f"{TEST} -k content", "features after the ReLU"),
    Mutant(FILE, '"conv4_4", (224, 224)', '"conv4_3", (224, 224)', f"{TEST} -k content", "the layer before"),
    Mutant(FILE, '"conv4_4", (224, 224)', '"conv4_4", (256, 256)', f"{TEST} -k content", "pictures as they are"),
    Mutant(FILE, "        0.078,", "        10.0,", f"{TEST} -k default", "the paper's letter: content drowns style"),
    Mutant(
        FILE,
        "convolution(channels, channels, reflect=True)) for _ in range(2)",
        "convolution(channels, channels)) for _ in range(2)",
        f"{TEST} -k figure",
        "zeros around residual convolutions",
    ),
    Mutant(
        FILE,
        "return x + self.stages[1](tf.nn.relu(self.stages[0](x)))",
        "return tf.nn.relu(x + self.stages[1](tf.nn.relu(self.stages[0](x))))",
        f"{TEST} -k figure",
        "a ReLU after the sum",
    ),
    Mutant(
        FILE,
        "        for convolve in self.convolutions:\n            x = convolve(x)\n        return",
        "        for convolve in self.convolutions:\n            x = tf.nn.relu(convolve(x))\n        return",
        f"{TEST} -k figure",
        "a ReLU between the two convolutions of a stage",
    ),
    Mutant(
        FILE, "NORMALIZED = False, False, True", "NORMALIZED = False, True, True", f"{TEST} -k 'figure or counts'", "D normalizes too early"
    ),
    Mutant(FILE, "strides = (1, 2, 1, 2, 1, 1)", "strides = (2, 1, 1, 2, 1, 1)", f"{TEST} -k figure", "D halves a layer too early"),
    Mutant(FILE, "RandomUniform(0.0, 1.0)", "RandomUniform(1.0, 1.02)", f"{TEST} -k first", "gains start near 1"),
    Mutant(FILE, "weight = weight[:, :, ::-1]", "weight = weight[:, :, ::1]", f"{TEST} -k published", "reads blue, green, red"),
    Mutant(FILE, "weight[..., ::-1], bias[::-1]", "weight, bias", f"{TEST} -k published", "gives blue, green, red"),
    Mutant(FILE, "weight.transpose(2, 3, 1, 0)", "weight.transpose(3, 2, 1, 0)", f"{TEST} -k published", "kernels lie on their side"),
    Mutant(
        "tfvideogan/layers/padded_conv.py",
        "super().call(x)[:, 1:, 1:]",
        "super().call(x)[:, :-1, :-1]",
        f"{SHARED} -k line",
        "the other end is cut off, as Keras does",
    ),
    Mutant(
        "tfvideogan/layers/padded_conv.py",
        "kernel == 2 * padding + 1\n",
        "kernel == 2 * padding + 1 or stride == 2\n",
        f"{SHARED} -k pytorchs",
        "TensorFlow's padding where the stride is 2",
    ),
    Mutant("tfvideogan/layers/instance_norm.py", "- y * along", "- along", f"{SHARED} -k gradient", "the gradient of the variance"),
    Mutant("tfvideogan/layers/vgg19.py", "[..., ::-1] * 127.5", " * 127.5", f"{SHARED} -k applications", "red, green, blue for VGG19"),
    Mutant("tfvideogan/layers/vgg19.py", "* 127.5 - tf.constant(MEAN)", "* 127.5", f"{SHARED} -k applications", "the mean color stays"),
    Mutant(
        "tfvideogan/layers/vgg19.py",
        "key=_numbers",
        "key=str",
        f"{SHARED} -k applications",
        "the tenth convolution is read as the second",
    ),
    Mutant(
        "tfvideogan/losses.py",
        "(4.0 / len(terms))",
        "(1.0 / len(terms))",
        f"{SHARED} -k scores",
        "a quarter of the weight",
    ),
    Mutant(
        "tfvideogan/losses.py",
        "mean_distance(tf.stop_gradient(r), f, weight)",
        "mean_distance(r, f, weight)",
        f"{SHARED} -k scores",
        "D's maps of real pictures are pulled too",
    ),
    Mutant(
        "tfvideogan/ops/resample.py",
        "np.minimum(centers + 1, length - 1) - np.maximum(centers - 1, 0) + 1",
        "np.full(len(centers), 3)",
        f"{SHARED} -k pytorchs",
        "zeros around count in the mean",
    ),
    Mutant(
        "tfvideogan/layers/patch_discriminator.py",
        "x = average_pool_overlapping(x) if number else x",
        "x = average_pool_overlapping(x)",
        f"{SHARED} -k scale",
        "no D reads the picture at its full size",
    ),
    Mutant(
        "tfvideogan/layers/pix2pix_hd.py",
        "x = self.down(self.first(x)) + features",
        "x = self.down(self.first(x))",
        f"{SHARED} -k generators",
        "the enhancer reads nothing of the trunk",
    ),
    Mutant(
        "tfvideogan/data/preparation/cartoon.py",
        "np.where(around[..., None] != 0, blurred, picture)",
        "blurred",
        "tests/data/preparation/cartoon_test.py -k smoothed",
        "all is blurred",
    ),
    Mutant(FILMS, "number if even else", "number if True else", f"{OF_FILMS} -k uneven", "frames come at even times"),
    Mutant(FILMS, 'sound.mux_until(float("inf"))', "pass", f"{OF_FILMS} -k keeps", "the end of the sound is lost"),
    Mutant(
        "tfvideogan/training/step.py",
        "        if not player.network.trainable_variables:\n            return {}\n",
        "",
        f"{TEST} -k initialization",
        "a player without weights is asked for its loss",
    ),
    Mutant(
        "tfvideogan/data/source.py",
        "index_shuffle(n % size, epoch,",
        "index_shuffle(index % size, epoch,",
        "tests/data/sources/renderings_test.py -k another",
        "a stream follows the photos' order",
    ),
]
