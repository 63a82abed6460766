"""DVD-GAN (arXiv 1907.06571 v2) written from its paper in plain float64: what the model is compared with.

Of the model it reads the weights, by their names, and nothing else. Where the paper is silent it takes what BigGAN or DGMR do.
It is differentiable, also with respect to the model's own variables, which it casts. Maps are [N,T,H,W,C] throughout.
"""

import dataclasses

import tensorflow as tf

G_ATTENTION, D_ATTENTION = "g_attention", "d_attention"  # fields of Config with the map sizes of self-attention

NORM_EPSILON = 1e-5  # BigGAN's
TINY = 1e-12  # added to lengths of which only the direction counts
VOLUMETRIC_BLOCKS = 2  # "the first two residual blocks" of D_T are 3-D


@dataclasses.dataclass
class Pass:
    """One pass through a network: how it normalizes, and what it finds on the way.

    Attributes:
        mode: "train" and "calibrate" normalize by the batch's moments, "sample" by the model's standing statistics.
        moments: by the norm's id, mean and variance [T or 1,C] of what the pass gave it.
        u: by the layer's id, u [outputs] after the pass's power iteration.
        kernels: likewise, its kernel over its norm: a pass iterates once.
    """

    mode: str
    moments: dict[int, tuple[tf.Tensor, tf.Tensor]] = dataclasses.field(default_factory=dict)
    u: dict[int, tf.Tensor] = dataclasses.field(default_factory=dict)
    kernels: dict[int, tf.Tensor] = dataclasses.field(default_factory=dict)


def double(variable) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(variable.value), tf.float64)


def unit(x: tf.Tensor) -> tf.Tensor:
    return x / (tf.sqrt(tf.reduce_sum(x * x)) + TINY)


def relu(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, tf.zeros_like(x))


def spectral(layer, run: Pass) -> tf.Tensor:
    """W / sigma(W) by one power iteration from u (Miyato et al. 2018, algorithm 1); u and v are constants of the gradient."""
    if id(layer) in run.kernels:
        return run.kernels[id(layer)]
    kernel = double(layer.kernel)
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])  # [inputs,outputs]
    v = unit(tf.linalg.matvec(matrix, double(layer.u)[0]))
    u = unit(tf.linalg.matvec(matrix, v, transpose_a=True))
    run.u[id(layer)] = u
    u, v = tf.stop_gradient(u), tf.stop_gradient(v)
    run.kernels[id(layer)] = kernel / tf.reduce_sum(v * tf.linalg.matvec(matrix, u))
    return run.kernels[id(layer)]


def dense(x: tf.Tensor, layer, run: Pass) -> tf.Tensor:
    y = x @ spectral(layer, run)
    return y if layer.bias is None else y + double(layer.bias)


def convolve(x: tf.Tensor, layer, run: Pass) -> tf.Tensor:
    """Stride 1, zeros around, of each frame; or of the clip, if the kernel is 3-D."""
    kernel = spectral(layer, run)
    axes = len(kernel.shape) - 2
    shape = x.shape if axes == 3 else [x.shape[0] * x.shape[1], *x.shape[2:]]
    y = tf.pad(tf.reshape(x, shape), [[0, 0], *([k // 2, k // 2] for k in kernel.shape[:axes]), [0, 0]])
    y = tf.nn.convolution(y, kernel, padding="VALID", data_format="NDHWC" if axes == 3 else "NHWC")
    y = tf.reshape(y, [*x.shape[:4], kernel.shape[-1]])
    return y if layer.bias is None else y + double(layer.bias)


def conditional_norm(x: tf.Tensor, norm, condition: tf.Tensor, per_frame: bool, run: Pass) -> tf.Tensor:
    """(1 + L_g(c)) * (x - mean) / sqrt(variance + epsilon) + L_b(c), L_g and L_b without biases."""
    mean = tf.reduce_mean(x, [0, 2, 3] if per_frame else [0, 1, 2, 3])
    variance = tf.reduce_mean(x * x, [0, 2, 3] if per_frame else [0, 1, 2, 3]) - mean * mean
    mean, variance = (tf.reshape(moment, [-1, x.shape[-1]]) for moment in (mean, variance))
    run.moments[id(norm)] = mean, variance
    if run.mode == "sample":
        mean, variance = (tf.cast(statistic[0], x.dtype) for statistic in norm.standing[:2])
    x = (x - mean[None, :, None, None]) / tf.sqrt(variance + NORM_EPSILON)[None, :, None, None]
    gain, shift = (dense(condition, layer, run)[:, None, None, None] for layer in (norm.gain, norm.shift))
    return (1 + gain) * x + shift


def upsample(x: tf.Tensor, axis: int, kind: str) -> tf.Tensor:
    """Doubles one axis. Bilinear: each new pixel lies a quarter from its own, and three quarters from the next, edges repeated."""
    before = after = x
    if kind == "bilinear":
        first, last = (tf.gather(x, [i], axis=axis) for i in (0, x.shape[axis] - 1))
        before = 0.75 * x + 0.25 * tf.concat([first, tf.gather(x, range(x.shape[axis] - 1), axis=axis)], axis)
        after = 0.75 * x + 0.25 * tf.concat([tf.gather(x, range(1, x.shape[axis]), axis=axis), last], axis)
    shape = [*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :]]
    return tf.reshape(tf.stack([before, after], axis + 1), shape)


def average(x: tf.Tensor, axis: int, factor: int = 2) -> tf.Tensor:
    """Means of each `factor` along one axis; of the rest, if it does not divide."""
    whole = x.shape[axis] // factor
    parts, rest = tf.split(x, [whole * factor, x.shape[axis] - whole * factor], axis)
    means = tf.reduce_mean(tf.reshape(parts, [*x.shape[:axis], whole, factor, *x.shape[axis + 1 :]]), axis + 1)
    return tf.concat([means, tf.reduce_mean(rest, axis, keepdims=True)], axis) if rest.shape[axis] else means


# Blocks


def conv_gru(xs: list[tf.Tensor], h: tf.Tensor, gru, run: Pass) -> list[tf.Tensor]:
    """The paper's equations, from a state h on; [N,1,h,w,C] frames."""
    states = []
    for x in xs:
        both = tf.concat([h, x], -1)
        r = 1 / (1 + tf.exp(-convolve(both, gru.reset_gate, run)))
        u = 1 / (1 + tf.exp(-convolve(both, gru.update_gate, run)))
        c = relu(convolve(tf.concat([r * h, x], -1), gru.candidate, run))
        h = u * h + (1 - u) * c
        states.append(h)
    return states


def generator_block(x: tf.Tensor, block, condition: tf.Tensor, up: str, per_frame: bool, run: Pass) -> tf.Tensor:
    """Figure 2. The shortcut is the identity where neither size nor width changes."""

    def resample(y: tf.Tensor) -> tf.Tensor:
        return upsample(upsample(y, 2, up), 3, up) if up else y

    y = relu(conditional_norm(x, block.norm1, condition, per_frame, run))
    y = convolve(resample(y), block.conv1, run)
    y = relu(conditional_norm(y, block.norm2, condition, per_frame, run))
    y = convolve(y, block.conv2, run)
    changes = up or x.shape[-1] != y.shape[-1]
    return y + (convolve(resample(x), block.shortcut, run) if changes else x)


def discriminator_block(x: tf.Tensor, block, first: bool, down: bool, run: Pass) -> tf.Tensor:
    """Figure 2; BigGAN: no ReLU before the first block, whose shortcut pools first."""

    def pool(y: tf.Tensor) -> tf.Tensor:
        axes = (1, 2, 3) if len(block.conv1.kernel.shape) == 5 else (2, 3)
        for axis in axes if down else ():
            y = average(y, axis)
        return y

    y = convolve(x if first else relu(x), block.conv1, run)
    y = pool(convolve(relu(y), block.conv2, run))
    if x.shape[-1] == y.shape[-1] and not down:
        return x + y
    return y + (convolve(pool(x), block.shortcut, run) if first else pool(convolve(x, block.shortcut, run)))


def self_attention(x: tf.Tensor, layer, run: Pass) -> tf.Tensor:
    """BigGAN's: x + gamma * o(softmax(theta^T phi) g) of each frame, phi and g max-pooled, no scaling of the softmax's argument."""

    def max_pooled(y: tf.Tensor) -> tf.Tensor:
        n, t, h, w, c = y.shape
        return tf.reduce_max(tf.reshape(y, [n, t, h // 2, 2, w // 2, 2, c]), [3, 5])

    def pixels(y: tf.Tensor) -> tf.Tensor:
        return tf.reshape(y, [*y.shape[:2], -1, y.shape[-1]])  # [N,T,positions,C]

    theta, phi, g = convolve(x, layer.theta, run), max_pooled(convolve(x, layer.phi, run)), max_pooled(convolve(x, layer.g, run))
    logits = tf.einsum("ntqc,ntkc->ntqk", pixels(theta), pixels(phi))
    weights = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
    weights /= tf.reduce_sum(weights, -1, keepdims=True)  # over the keys
    y = tf.einsum("ntqk,ntkc->ntqc", weights, pixels(g))
    return x + double(layer.gamma) * convolve(tf.reshape(y, [*x.shape[:4], -1]), layer.out, run)


# Networks


def generator(network, config, z: tf.Tensor, classes: tf.Tensor, run: Pass, initial: list[tf.Tensor] | None = None) -> tf.Tensor:
    """z [N,latent] and weights of the classes [N,classes] (of one label, one-hot) -> [N,T,H,W,3]; of a predictor without the given
    frames. Figure 2. `initial`: the ConvGRUs' first states [N,1,h,w,C], from 4x4 on; 0 if None."""
    t = config.frames - getattr(config, "given_frames", 0)
    condition = tf.concat([z, classes @ double(network.embedding)], 1)
    per_frame, attention = config.bn_statistics == "per_frame", getattr(config, G_ATTENTION)
    x = tf.reshape(dense(condition, network.affine, run), [z.shape[0], 1, 4, 4, -1])
    frames = [x] * t  # the same at every time
    for stage, gru in enumerate(network.grus):
        h = tf.zeros_like(frames[0]) if initial is None else initial[stage]
        x = tf.concat(conv_gru(frames, h, gru, run), 1)
        x = generator_block(x, network.blocks[2 * stage], condition, "", per_frame, run)
        x = generator_block(x, network.blocks[2 * stage + 1], condition, config.upsampling, per_frame, run)
        if x.shape[2] == attention:
            x = self_attention(x, network.attentions[stage], run)
        frames = tf.split(x, t, 1)
    x = relu(conditional_norm(x, network.norm, condition, per_frame, run))
    return tf.tanh(convolve(x, network.to_rgb, run))


def encoder(network, frames: tf.Tensor, run: Pass) -> list[tf.Tensor]:
    """DVD-GAN-FP's: given frames [N,C,H,W,3] -> the ConvGRUs' first states [N,1,h,w,c], from 4x4 on."""
    x, states = frames, []
    for number, (block, to_state) in enumerate(zip(network.blocks, network.to_states, strict=True)):
        x = discriminator_block(x, block, number == 0, True, run)  # each frame alone
        n, given, h, w, c = x.shape
        side_by_side = tf.reshape(tf.transpose(x, [0, 2, 3, 1, 4]), [n, 1, h, w, given * c])
        states.append(relu(convolve(side_by_side, to_state, run)))
    assert x.shape[2] == 4
    return states[::-1]


def predictor(network, config, z: tf.Tensor, first: tf.Tensor, classes: tf.Tensor, run: Pass) -> tf.Tensor:
    """DVD-GAN-FP's generator: the given frames [N,C,H,W,3] and those that follow, [N,T,H,W,3]."""
    return tf.concat([first, generator(network, config, z, classes, run, encoder(network.encoder, first, run))], 1)


def frame_scores(trunk, config, video: tf.Tensor, label: tf.Tensor, volumetric: bool, run: Pass) -> tf.Tensor:
    """[N,T,H,W,3] -> a score for each frame that is left [N,t]: linear(h) + <embed(y), h> of the sum-pooled h."""
    x, attention = video, getattr(config, D_ATTENTION)
    for number, block in enumerate(trunk.blocks):
        assert len(block.conv1.kernel.shape) == (5 if volumetric and number < VOLUMETRIC_BLOCKS else 4)
        down = number < len(trunk.blocks) - 1
        x = discriminator_block(x, block, number == 0, down, run)
        if down and x.shape[2] == attention:
            x = self_attention(x, trunk.attentions[number], run)
    h = tf.reduce_sum(relu(x), [2, 3])
    embedded = tf.gather(spectral(trunk.embedding, run), label)
    return dense(h, trunk.linear, run)[..., 0] + tf.einsum("nc,ntc->nt", embedded, h)


def spatial(discriminator, config, video: tf.Tensor, label: tf.Tensor, index: tf.Tensor, run: Pass) -> tf.Tensor:
    """D_S: the sum of the scores of the frames `index` [N,k], each judged alone. [N]."""
    frames = tf.gather(video, index, axis=1, batch_dims=1)
    return tf.reduce_sum(frame_scores(discriminator.spatial, config, frames, label, False, run), 1)


def temporal(discriminator, config, video: tf.Tensor, label: tf.Tensor, corner: tf.Tensor, run: Pass) -> tf.Tensor:
    """D_T: all frames after phi; `corner` [N,2], the crop's first row and column. [N]."""
    x = video
    if config.phi == "crop":
        half = config.size // 2
        x = tf.stack([clip[:, i : i + half, j : j + half] for clip, (i, j) in zip(x, corner, strict=True)])
    elif config.phi != "identity":
        factor = {"2x2": 2, "4x4": 4}[config.phi]
        x = average(average(x, 2, factor), 3, factor)
    return tf.reduce_sum(frame_scores(discriminator.temporal, config, x, label, True, run), 1)
