"""Faults of FTGAN, of the warp, and of the exact flow."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/ftgan.py"
TEST = "tests/models/ftgan_test.py"
NETWORKS = f"{TEST} -k 'compute_the_tables and train-32x32'"
STEP = f"{TEST} -k 'by_hand and {{}}'"
WARP = "tfvideogan/layers/warp.py"
WARP_TEST = "tests/layers/warp_test.py"
SHAPES = "tfvideogan/data/sources/moving_shapes.py"
SHAPES_TEST = "tests/data/sources/moving_shapes_test.py -k flow"

MUTANTS = [
    Mutant(FILE, "EPSILON = 2e-5", "EPSILON = 1e-3", NETWORKS, "BN's epsilon is Keras'"),
    Mutant(FILE, "SLOPE = 0.2", "SLOPE = 0.01", NETWORKS, "LeakyReLU has PyTorch's own slope"),
    Mutant(FILE, "RandomNormal(0.0, 0.02)", "RandomNormal(0.0, 0.01)", f"{TEST} -k first_weights", "kernels start at VGAN's law"),
    Mutant(
        FILE,
        "self.unit_norm = BatchNorm(units, EPSILON, bias=True)",
        "self.unit_norm = BatchNorm(units, 2e-3, bias=True)",
        NETWORKS,
        "BN after the linear layer has another epsilon",
    ),
    Mutant(
        FILE,
        "units = rectified_norm(self.unit_norm, self.linear(z[:, None])[:, 0], self.slope, mode)",
        "units = tf.nn.relu(self.linear(z[:, None])[:, 0])",
        f"{TEST} -k 'compute_the_tables and train-32x32'",
        "no BN after the linear layer",
    ),
    Mutant(FILE, "(4, 4), width[::-1], SLOPE)", "(4, 4), width[::-1], 0.0)", NETWORKS, "ReLU after the background's linear layer"),
    Mutant(FILE, "width[-2::-1], SLOPE)", "width[-2::-1], 0.0)", NETWORKS, "ReLU after the seed's linear layer"),
    Mutant(
        FILE, "width, slope=0.0)\n        self.to_flow", "width, slope=SLOPE)\n        self.to_flow", NETWORKS, "LeakyReLU in FlowGAN's G"
    ),
    Mutant(
        FILE,
        "return mask * tf.tanh(head(self.to_flow, x)), mask",
        "return tf.tanh(head(self.to_flow, x)), mask",
        NETWORKS,
        "the flow is not masked",
    ),
    Mutant(
        FILE,
        "[self.e2(e1, mode=mode), self.seed(z, mode=mode)]",
        "[self.seed(z, mode=mode), self.e2(e1, mode=mode)]",
        NETWORKS,
        "the seed before e2",
    ),
    Mutant(
        FILE,
        "tf.concat([block(h, mode=mode), skips.pop()], -1)",
        "tf.concat([skips.pop(), block(h, mode=mode)], -1)",
        NETWORKS,
        "skips first",
    ),
    Mutant(FILE, "self.d4(tf.concat([h, e1], -1)", "self.d4(tf.concat([e1, h], -1)", NETWORKS, "e1 before h"),
    Mutant(
        FILE,
        "mask * foreground + (1.0 - mask) * background",
        "mask * background + (1.0 - mask) * foreground",
        NETWORKS,
        "foreground and background exchanged",
    ),
    Mutant(
        FILE,
        "e1 = tf.nn.leaky_relu(self.e1(flow), SLOPE)",
        "e1 = tf.nn.relu(self.e1(flow))",
        NETWORKS,
        "ReLU after the flow's first convolution",
    ),
    Mutant(
        FILE,
        "tf.concat([tf.nn.leaky_relu(first(x), SLOPE) for first, x in zip(self.first, inputs, strict=True)], -1)",
        "tf.concat([first(x) for first, x in zip(self.first, inputs, strict=True)], -1)",
        NETWORKS,
        "no LeakyReLU after D's first convolutions",
    ),
    Mutant(
        FILE,
        "self.texture(z_texture, flow, mode=mode)[0]",
        "self.texture(z_flow, flow, mode=mode)[0]",
        NETWORKS,
        "the texture reads z_flow",
    ),
    Mutant(FILE, "(video, flow))}", "(video, real_flow))}", STEP.format("joint"), "generated clips are judged beside real flows"),
    Mutant(
        FILE, "logistic_discriminator(real, fake)", "logistic_discriminator(fake, real)", STEP.format("flow"), "real and fake exchanged"
    ),
    Mutant(
        FILE,
        "logistic_generator(self._score(self.discriminator.flow",
        "-tf.reduce_mean(self._score(self.discriminator.flow",
        STEP.format("flow"),
        "FlowGAN's G has Wasserstein's loss",
    ),
    Mutant(FILE, 'weight * watched["flow_mask"]', "weight * tf.reduce_sum(mask)", STEP.format("flow"), "the mask's penalty is of its sum"),
    Mutant(
        FILE,
        'terms["g_texture_mask"] = weight * watched["texture_mask"]',
        'terms["g_texture_mask"] = 0.0 * watched["texture_mask"]',
        STEP.format("texture"),
        "no penalty of the texture's mask",
    ),
    Mutant(
        FILE,
        "read = scale_gradient(flow, share)",
        "read = flow",
        f"{TEST} -k textures_gradient",
        "the texture reaches the flow with weight 1",
    ),
    Mutant(
        FILE,
        "read = scale_gradient(flow, share)",
        "read = tf.stop_gradient(flow)",
        f"{TEST} -k textures_gradient",
        "the texture does not reach the flow",
    ),
    Mutant(
        FILE,
        "self.discriminator.texture, (video, read),",
        "self.discriminator.texture, (video, flow),",
        STEP.format("joint"),
        "D's flow with weight 1",
    ),
    Mutant(
        FILE, "rest = (1.0 - share) *", "rest = 0.0 *", f"{TEST} -k textures_gradient", "the texture's mask reaches the flow with weight C"
    ),
    Mutant(FILE, "flow / limit", "flow / 8.0", f"{TEST} -k units_of_the_limit", "the limit is not the flag's"),
    Mutant(
        FILE,
        '{"motion": slice(0, width), "content"',
        '{"content": slice(0, width), "motion"',
        f"{TEST} -k apart",
        "content and motion exchanged",
    ),
    Mutant(WARP, "tf.range(width, dtype=dtype) + dx", "tf.range(width, dtype=dtype) - dx", WARP_TEST, "a forward flow"),
    Mutant(WARP, "dx, dy = tf.unstack", "dy, dx = tf.unstack", WARP_TEST, "x and y exchanged"),
    Mutant(WARP, "tf.cast(length - 1, position.dtype)", "tf.cast(length - 2, position.dtype)", WARP_TEST, "the last pixel is left out"),
    Mutant(WARP, "tf.minimum(before + 1, length - 1)", "(before + 1) % length", WARP_TEST, "the border wraps"),
    Mutant(WARP, "return a + share * (b - a)", "return b + share * (a - b)", WARP_TEST, "neighbors exchanged"),
    Mutant(WARP, "tf.floor(position)", "tf.round(position)", WARP_TEST, "the nearest pixel, not the one before"),
    Mutant(WARP, "tf.float64 if frames.dtype == tf.float64 else tf.float32", "frames.dtype", WARP_TEST, "bfloat16 is computed in bfloat16"),
    Mutant(
        WARP,
        "tf.clip_by_value(tf.cast(tf.floor(position), tf.int32), 0, length - 1)",
        "tf.cast(tf.floor(position), tf.int32)",
        f"{WARP_TEST} -k no_number",
        "NaN reads elsewhere",
    ),
    Mutant(SHAPES, "(before - now) * size", "(now - before) * size", SHAPES_TEST, "the flow goes forward"),
    Mutant(
        SHAPES, "outside[..., None] < 0, back[t]", "outside[..., None] < 0.05, back[t]", SHAPES_TEST, "the flow is larger than the shape"
    ),
]
