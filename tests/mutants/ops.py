"""Faults of the layers, and of how they are computed."""

from tests.mutants import Mutant

NOISE, NOISE_TESTS = "tfvideogan/ops/noise.py", "tests/ops/noise_test.py"
CONVOLUTION, CONVOLUTION_TESTS = "tfvideogan/ops/convolution.py", "tests/ops/convolution_test.py"
FUSED, FUSED_TESTS = "tfvideogan/ops/fused.py", "tests/ops/fused_test.py"
RESAMPLE, SPECTRAL, NORM = "tfvideogan/ops/resample.py", "tfvideogan/layers/spectral.py", "tfvideogan/layers/norm.py"
SECOND, LAYERS = "tests/ops/second_derivatives_test.py", "tests/layers/layers_test.py"

MUTANTS = [
    # Draws
    Mutant(NOISE, "(13, 15, 26, 6)", "(13, 15, 26, 7)", f"{NOISE_TESTS} -k published", "one rotation of Threefry"),
    Mutant(NOISE, "0x1BD11BDA", "0x1BD11BDB", f"{NOISE_TESTS} -k published", "the key's parity"),
    Mutant(NOISE, "(four + 2) % 3] + np.uint32(four + 1)", "(four + 2) % 3]", f"{NOISE_TESTS} -k published", "rounds that are not counted"),
    Mutant(NOISE, "_right(words, np.uint32(8))", "_right(words, np.uint32(7))", f"{NOISE_TESTS} -k laws", "U[0,2)"),
    Mutant(NOISE, "np.sqrt(2 * np.mean(", "np.sqrt(np.mean(", f"{NOISE_TESTS} -k laws", "normal draws of variance 2"),
    Mutant(NOISE, "_right(words, np.uint32(16)))", "words & 0xFFFF)", f"{NOISE_TESTS} -k laws", "the same half of a word added to itself"),
    Mutant(NOISE, "stream * 1_000_003", "0 * stream", f"{NOISE_TESTS} -k independent", "all streams the same"),
    Mutant(
        NOISE, "keys[:, :1], keys[:, 1:]", "keys[:1, :1], keys[:1, 1:]", f"{NOISE_TESTS} -k alone", "all examples the first one's draws"
    ),
    Mutant(NOISE, "+ deviation * tf", "+ tf", f"{NOISE_TESTS} -k deviation", "noise of deviation 1"),
    # Convolution
    Mutant(
        CONVOLUTION,
        "tf.reduce_sum(tf.reshape(dy, [-1, dy.shape[-1]]), 0)",
        "tf.raw_ops.BiasAddGrad(out_backprop=dy)",
        f"{CONVOLUTION_TESTS} -k bias",
        "a bias's gradient by TensorFlow's sum, which stops growing in bfloat16",
    ),
    Mutant(CONVOLUTION, "/ 2**axes,", "/ 2,", f"{CONVOLUTION_TESTS} -k both_in_turn", "pooling that adds"),
    Mutant(
        CONVOLUTION,
        "tf.reverse(kernel, [0, 1])",
        "kernel",
        f"{CONVOLUTION_TESTS} -k both_in_turn",
        "a doubled kernel that is not turned round",
    ),
    Mutant(CONVOLUTION, "before = missing // 2 if", "before = 0 if", f"{CONVOLUTION_TESTS} -k their_gradients", "padding after alone"),
    Mutant(CONVOLUTION, "lambda dy: relu_gradient(dy, y)", "lambda dy: dy", f"{CONVOLUTION_TESTS} -k formula", "a ReLU without its mask"),
    Mutant(
        CONVOLUTION,
        "_transposed(dy, kernel, tf.shape(x), strides, padding), kernel_gradient",
        "tf.stop_gradient(_transposed(dy, kernel, tf.shape(x), strides, padding)), kernel_gradient",
        f"{SECOND} -k products",
        "a gradient that is not differentiated again",
    ),
    Mutant(CONVOLUTION, "offset = tap - before", "offset = tap", f"{CONVOLUTION_TESTS} -k 16_bits", "frames that are met too late"),
    # Batch normalization and ConvGRU
    Mutant(FUSED, "tf.maximum(square - mean * mean, 0.0)", "square", f"{FUSED_TESTS} -k formula", "the square's mean for the variance"),
    Mutant(
        FUSED, "offset = -inverse * a - mean * slope", "offset = -mean * slope", f"{FUSED_TESTS} -k formula", "the mean's gradient left out"
    ),
    Mutant(
        FUSED, "(dx - d * mean) * inverse", "dx * inverse", f"{FUSED_TESTS} -k formula", "the gain's gradient of x, not of x less its mean"
    ),
    Mutant(
        FUSED,
        "[0, 2] if per_frame else [0, 1, 2]",
        "[0, 1, 2]",
        f"{SECOND} -k normalize",
        "plain moments over all frames where each has its own",
    ),
    Mutant(FUSED, "c + u * (h_ - c)", "h_ + u * (c - h_)", f"{FUSED_TESTS} -k gru", "an update gate that keeps the new state"),
    Mutant(FUSED, "d * (before - c) *", "d * (c - before) *", f"{FUSED_TESTS} -k gru", "the update gate's gradient turned round"),
    Mutant(
        FUSED, "h = u * h + (1 - u) * c", "h = u * c + (1 - u) * h", f"{SECOND} -k gru", "the plain recurrence with its gate turned round"
    ),
    # Resampling
    Mutant(RESAMPLE, "4 * tf.nn.avg_pool2d", "tf.nn.avg_pool2d", f"{LAYERS} -k copies", "the mean of four copies' gradients"),
    Mutant(
        RESAMPLE, "0.75 * x + 0.25 * after", "0.75 * x + 0.25 * before", f"{LAYERS} -k bilinear", "bilinear doubling that looks back alone"
    ),
    Mutant(
        RESAMPLE, "x = tf.concat([x, x[:, -1:]], 1)", "x = tf.concat([x, 0 * x[:, -1:]], 1)", f"{LAYERS} -k odd", "an odd last frame halved"
    ),
    # Layers
    Mutant(SPECTRAL, "2.0 * tf.nn.l2_loss(row)", "tf.nn.l2_loss(row)", f"{LAYERS} -k ones_is", "vectors of length sqrt(2)"),
    Mutant(
        SPECTRAL,
        "kernel / tf.matmul(s, u, transpose_b=True)",
        "kernel / tf.stop_gradient(tf.matmul(s, u, transpose_b=True))",
        f"{LAYERS} -k orthogonal_to",
        "no gradient through sigma",
    ),
    Mutant(SPECTRAL, 'mode == "train" and _held is None', "_held is None", f"{LAYERS} -k only_training", "sampling that changes u"),
    Mutant(NORM, "1.0 + self.gain(condition", "self.gain(condition", f"{LAYERS} -k new_norm", "a gain around 0"),
    Mutant(
        NORM,
        "share * (moment - standing)",
        "moment - standing",
        f"{LAYERS} -k calibration",
        "standing statistics of the last batch alone",
    ),
    Mutant(
        "tfvideogan/layers/attention.py",
        "return x + tf.cast(",
        "return tf.cast(",
        f"{LAYERS} -k attention",
        "attention without its identity",
    ),
    Mutant(
        "tfvideogan/layers/residual.py",
        "inputs == outputs and not down",
        "inputs == outputs",
        f"{LAYERS} -k identity",
        "no convolution beside a halving",
    ),
    Mutant(
        "tfvideogan/ops/pieces.py", "numbers) >= LARGE", "numbers) > LARGE", "tests/ops/pieces_test.py", "a limit that is not itself large"
    ),
    Mutant("tfvideogan/ops/forms.py", '!= "CPU"', '== "TPU"', f"{FUSED_TESTS} -k another_device", "a CPU's forms on GPUs"),
    Mutant(
        "tfvideogan/__init__.py",
        '"TF_ENABLE_ONEDNN_OPTS", "1"',
        '"TF_ENABLE_ONEDNN_OPTS", "0"',
        "tests/command_test.py -k onednn",
        "Eigen's convolutions, on some CPUs",
    ),
]
