"""MoCoGAN against its paper and its authors' tables."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.reference import batch_norm, clips, conv, count, deconv, leaky, relu, scramble, scrambled, seeds_of
from tfvideogan import data, losses, models
from tfvideogan import gan as gan_module
from tfvideogan.config import UserError
from tfvideogan.generation.sampler import Sampler
from tfvideogan.models import mocogan
from tfvideogan.ops import noise
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import make_step

WITHOUT = {"use_categories": False, "use_infogan": False}
VIDEO_DISCRIMINATORS = [{"video_discriminator": name, **WITHOUT} for name in ("video", "patch", "strided")]


def batch_of(config: mocogan.Config, n: int) -> dict[str, tf.Tensor]:
    return {"video": clips(config.frames, config.size, n), "label": tf.range(n) % config.classes, "seed": seeds_of(n)}


def built(**changes) -> mocogan.Model:
    return scrambled(small("mocogan", **changes), discriminator_scale=0.05)  # logits of some ones, of which float32 knows 1e-6


@pytest.fixture(scope="module")
def gan() -> mocogan.Model:
    return built(noise=0.0)


# The tables


def test_the_authors_values_are_the_default():
    config = mocogan.Config()
    assert (config.frames, config.size, config.stride, config.channels, config.batch_size, config.steps) == (16, 64, 2, 64, 32, 100_000)
    assert (config.content, config.motion, config.epsilon, config.hidden, config.category_to) == (50, 10, "iid", 100, "image")
    assert (config.image_discriminator, config.video_discriminator, config.noise) == ("patch", "categorical", 0.1)
    assert (config.optimizer, config.g_learning_rate, config.d_learning_rate, config.d_steps) == ("adam", 2e-4, 2e-4, 1)
    assert (config.beta_1, config.beta_2, config.adam_epsilon, config.weight_decay) == (0.5, 0.999, 1e-8, 1e-5)
    assert (config.use_categories, config.use_infogan, config.real_target, config.ema_decay) == (True, True, 1.0, 0.0)
    assert config.q_on_generated  # the paper's text: the code trains Q on labels alone


def test_parameter_counts_are_the_official_ones():
    def norms(*channels: int) -> int:
        return 2 * sum(channels)

    gru = 3 * 10 * (10 + 10) + 2 * 3 * 10
    up = 512 * 256 * 16 + 256 * 128 * 16 + 128 * 64 * 16 + 64 * 3 * 16 + norms(512, 256, 128, 64)
    down2 = 3 * 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + norms(128, 256)
    down3 = 3 * 64 * 64 + 64 * 128 * 64 + 128 * 256 * 64 + norms(128, 256)
    deep2, deep3 = down2 + 256 * 512 * 16 + norms(512), down3 + 256 * 512 * 64 + norms(512)
    assert gru + 66 * 512 * 16 + up == 3_298_836 and down2 + 256 * 16 == 663_296 and deep3 + 512 * 7 * 64 == 11_253_504
    with tf.Graph().as_default():  # nothing allocated

        def counts(**changes) -> tuple[int, int, int]:
            gan = models.build(mocogan.Config(classes=6, **changes))
            return count(gan.generator), count(gan.discriminator.image), count(gan.discriminator.video)

        assert counts() == (3_298_836, 663_296, 11_253_504)
        to_motion = gru + 3 * 10 * 6 + 60 * 512 * 16 + up
        assert counts(category_to="motion", image_discriminator="image", video_discriminator="video", **WITHOUT) == (
            to_motion,
            deep2 + 512 * 16,
            deep3 + 512 * 64,
        )
        assert (deep2 + 512 * 16, deep3 + 512 * 64, down3 + 256 * 64) == (2_765_568, 11_056_896, 2_650_880)  # as in the docstring
        assert counts(video_discriminator="patch", **WITHOUT)[2] == down3 + 256 * 64
        # DLHacks at 96x96: first and last kernels of 6; the linear layer reads 1x6x6 places of 512 and has a bias.
        self_feed = 3 * 100 * (10 + 100) + 2 * 3 * 100 + 100 * 10 + 10 + 66 * 512 * 36 + up
        changes = dict(epsilon="self_feed", size=96, image_discriminator="image", video_discriminator="strided", **WITHOUT)
        assert counts(**changes) == (self_feed, deep2 + 512 * 36, deep3 + 512 * 36 + 1)


def test_first_weights_are_pytorchs_of_the_time():
    gan = models.build(small("mocogan", channels=32, motion=20, content=40, epsilon="iid"))
    image = gan.generator.image
    for kernel, fan_in in (
        (image.convolutions[0].kernel, (40 + 12 + 20) * 2 * 2),
        (image.convolutions[1].kernel, 256 * 16),
        (gan.discriminator.video.blocks[1].convolution.kernel, 32 * 16 * 2),  # of 4 frames in all, the second kernel sees 2
        (gan.discriminator.image.blocks[2].convolution.kernel, 64 * 16),
        (gan.generator.motion.gru.recurrent_bias, 20),
    ):
        assert np.abs(kernel).max() <= 1 / np.sqrt(fan_in) and kernel.numpy().std() == pytest.approx(1 / np.sqrt(3 * fan_in), rel=0.15)
    gain = image.norms[0].gain.numpy()
    assert 0 <= gain.min() < 0.05 and 0.95 < gain.max() <= 1 and not np.any(image.norms[0].bias)


# The networks, computed anew from the table


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_gru(gru: mocogan.GRU, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """PyTorch's equations, gate by gate."""
    w, b, u, c = (np.asarray(v, np.float64) for v in (gru.kernel, gru.bias, gru.recurrent_kernel, gru.recurrent_bias))
    width = h.shape[1]
    r, z, n = (slice(i * width, (i + 1) * width) for i in range(3))
    reset = sigmoid(x @ w[:, r] + b[r] + h @ u[:, r] + c[r])
    update = sigmoid(x @ w[:, z] + b[z] + h @ u[:, z] + c[z])
    candidate = np.tanh(x @ w[:, n] + b[n] + reset * (h @ u[:, n] + c[n]))
    return (1 - update) * candidate + update * h


def reference_codes(gan: mocogan.Model, z: tf.Tensor, label: tf.Tensor, training: bool) -> np.ndarray:
    """[N,T,.] by a loop over examples and frames."""
    config, walk = gan.config, gan.generator.motion
    z, category = np.asarray(z, np.float64), np.eye(config.classes)[label.numpy()]
    content, rest = z[:, : config.content], z[:, config.content :]
    condition = category if config.category_to == "motion" else category[:, :0]
    outputs = []
    if config.epsilon == "iid":
        h = rest[:, : config.motion]
        for t in range(1, config.frames + 1):
            h = reference_gru(walk.gru, np.concatenate([rest[:, t * config.motion : (t + 1) * config.motion], condition], 1), h)
            outputs.append(h)
    else:
        x, h = rest, np.zeros([len(z), config.hidden])
        for _ in range(config.frames):
            h = reference_gru(walk.gru, np.concatenate([x, condition], 1), h)
            x = h @ np.asarray(walk.kernel, np.float64) + np.asarray(walk.bias, np.float64)
            outputs.append(batch_norm(tf.constant(x), walk.norm, 1e-5, training).numpy())
    parts = [content] if config.category_to == "motion" else [content, category]
    return np.stack([np.concatenate([*parts, motion], 1) for motion in outputs], 1)


def reference_image(image: mocogan.ImageGenerator, codes: tf.Tensor, training: bool) -> tf.Tensor:
    x = tf.cast(codes, tf.float64)[:, None, None]
    for number, (convolution, norm) in enumerate(zip(image.convolutions, image.norms, strict=False)):
        x = relu(batch_norm(deconv(x, convolution, *((1, 0) if number == 0 else (2, 1))), norm, 1e-5, training))
    return tf.tanh(deconv(x, image.convolutions[-1], 2, 1))


def reference_blocks(blocks: list, x: tf.Tensor, seeds: tf.Tensor, sigma: float, noisy: int, geometry, training: bool) -> tf.Tensor:
    """Noise before the first `noisy` convolutions; BN after all but the first and last; `geometry` gives stride and padding."""
    x = tf.cast(x, tf.float64)
    for number, block in enumerate(blocks):
        if number < noisy:
            x += tf.cast(noise.added(tf.zeros(x.shape), noise.fork(seeds, 100 * (number + 1)), sigma), tf.float64)
        x = conv(x, block.convolution, *geometry[number])
        if number < len(blocks) - 1:
            x = leaky(batch_norm(x, block.bn, 1e-5, training) if number else x)
    return x


def reference_discriminator(gan: mocogan.Model, frame: tf.Tensor, video: tf.Tensor, seeds: tf.Tensor, training: bool) -> dict:
    config = gan.config
    halve, last = (2, 1), (1, 0)
    image = {"patch": (4, [halve] * 4), "image": (4, [halve] * 4 + [last])}[config.image_discriminator]
    space = ((1, 2, 2), (0, 1, 1))
    body = {
        "categorical": (4, [space] * 4 + [last]),
        "video": (4, [space] * 4 + [last]),
        "patch": (3, [space] * 4),
        "strided": (4, [halve] * 4 + [last]),
    }[config.video_discriminator]
    blocks = gan.discriminator.image.blocks, gan.discriminator.video.blocks
    image = reference_blocks(blocks[0], frame, noise.fork(seeds, 5), config.noise, *image, training)
    video = reference_blocks(blocks[1], video, seeds, config.noise, *body, training)
    return {"image": image[..., 0], "video": video[..., 0], "category": video[..., 1:]}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "changes", [{"size": 64, "frames": 5}, {"category_to": "motion"}, {"epsilon": "self_feed", "size": 96, "frames": 3, "hidden": 7}]
)
def test_generator_computes_the_table(changes, training):
    gan = built(**changes, channels=4)
    scramble(gan.generator.motion, scale=0.6)  # so that motions differ: float32 takes variances from squares
    n, mode = 5, "train" if training else "sample"
    z, label = gan.inputs(batch_of(gan.config, n)).values()
    codes = reference_codes(gan, z, label, training)
    np.testing.assert_allclose(gan.generator.codes(z, label, mode), codes, atol=1e-5)
    frames = reference_image(gan.generator.image, tf.reshape(codes, [-1, codes.shape[-1]]), training)
    np.testing.assert_allclose(gan.generator(z, label, mode=mode), tf.reshape(frames, [n, -1, *frames.shape[1:]]), atol=1e-5)
    index = np.arange(n) % gan.config.frames
    alone = reference_image(gan.generator.image, codes[np.arange(n), index], training)
    np.testing.assert_allclose(gan.generator.frame(z, label, tf.constant(index), mode=mode), alone, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("changes", [{}, *VIDEO_DISCRIMINATORS], ids=lambda changes: changes.get("video_discriminator", "categorical"))
def test_discriminators_compute_the_table(changes, training):
    image = "image" if changes else "patch"
    gan = built(size=64, frames=16, image_discriminator=image, **changes, channels=4)
    batch = batch_of(gan.config, 3)
    arguments = batch["video"][:, 2], batch["video"], batch["seed"]
    logits = gan.discriminator(*arguments, mode="train" if training else "sample")
    shapes = {"categorical": (1, 1, 1), "video": (1, 1, 1), "patch": (4, 4, 4), "strided": (1, 1, 1)}
    assert logits["video"].shape == (3, *shapes[gan.config.video_discriminator])
    assert logits["image"].shape == ((3, 1, 1) if changes else (3, 4, 4))
    assert logits["category"].shape[-1] == (0 if changes else 12)
    for name, value in reference_discriminator(gan, *arguments, training).items():
        assert logits[name].dtype == tf.float32
        np.testing.assert_allclose(logits[name], value, atol=1e-5)


@pytest.mark.parametrize("frames, kernels", [(16, 5 * [4]), (40, 5 * [4]), (8, [3, 3, 2, 2, 2]), (4, [2, 2, 2, 1, 1]), (1, 5 * [1])])
def test_kernels_of_short_clips_see_just_all_of_their_frames(frames, kernels):
    assert mocogan.kernel_frames(frames) == kernels
    assert sum(k - 1 for k in kernels) == min(frames, 16) - 1


# Motion


def test_update_gate_keeps_the_old_state():
    cell = mocogan.GRU(2, 3, lambda: "glorot_uniform", lambda: "zeros")
    x, h = tf.random.stateless_normal([4, 2], [0, 0]), tf.random.stateless_normal([4, 3], [0, 1])
    cell.bias.assign([0, 0, 0, 50, 50, 50, 0, 0, 0])
    np.testing.assert_allclose(cell(x, h), h, atol=1e-6)
    cell.bias.assign([0, 0, 0, -50, -50, -50, 0, 0, 0])
    assert np.abs(cell(x, h) - h).max() > 0.1


def test_self_fed_cell_starts_out_keeping_its_state():
    cell = built(epsilon="self_feed", hidden=5).generator.motion.gru
    fresh = models.build(small("mocogan", epsilon="self_feed", hidden=5)).generator.motion.gru
    for bias in (fresh.bias, fresh.recurrent_bias):
        np.testing.assert_array_equal(bias, [0] * 5 + [1] * 5 + [0] * 5)
    assert np.abs(fresh.kernel).max() <= np.sqrt(6 / (fresh.kernel.shape[0] + 15)) and cell.kernel.shape == fresh.kernel.shape


def test_self_fed_motion_is_normalized_at_every_frame():
    gan = models.build(small("mocogan", epsilon="self_feed", motion=4))
    z, label = gan.latents(seeds_of(64)), tf.zeros([64], tf.int32)
    motion = gan.generator.codes(z, label, mode="train")[:, :, -4:].numpy()
    np.testing.assert_allclose(motion.mean(0), np.zeros([4, 4]), atol=1e-4)
    np.testing.assert_allclose(motion.std(0), np.ones([4, 4]), atol=0.2)  # epsilon 1e-5 against a variance of some 1e-4
    assert gan.latent_width == 6 + 4  # z_C and one e


def test_a_longer_clip_begins_as_the_shorter_one():
    short, long = built(frames=4), built(frames=9)
    seeds, label = seeds_of(3), tf.constant([1, 5, 0])
    np.testing.assert_array_equal(long.latents(seeds)[:, : short.latent_width], short.latents(seeds))
    np.testing.assert_allclose(
        long.generator(long.latents(seeds), label, mode="sample")[:, :4],
        short.generator(short.latents(seeds), label, mode="sample"),
        atol=1e-5,
    )


def test_content_stays_and_motion_moves(gan):
    z, label = gan.latents(seeds_of(4)), tf.constant([3, 3, 5, 5])
    codes = gan.generator.codes(z, label, mode="sample").numpy()
    np.testing.assert_array_equal(codes[:, :, :6], np.repeat(z[:, None, gan.latent_parts["content"]], 4, 1))
    np.testing.assert_array_equal(codes[:, :, 6:18], np.repeat(np.eye(12)[[3, 3, 5, 5]][:, None], 4, 1))
    assert np.abs(np.diff(codes[:, :, 18:], axis=1)).min(axis=(1, 2)).max() > 0 and codes.shape[-1] == 6 + 12 + 4
    swapped = tf.concat([z[::-1, :6], z[:, 6:]], 1)  # another's content, one's own motion
    again = gan.generator.codes(swapped, label, mode="sample").numpy()
    np.testing.assert_array_equal(again[:, :, 18:], codes[:, :, 18:])
    np.testing.assert_array_equal(again[:, :, :6], codes[::-1, :, :6])


def test_category_goes_to_the_motion_alone():
    gan = built(category_to="motion")
    z = gan.latents(seeds_of(2))
    one, other = (gan.generator.codes(z, tf.constant(label), mode="sample").numpy() for label in ([0, 0], [7, 7]))
    assert one.shape[-1] == 6 + 4
    np.testing.assert_array_equal(one[:, :, :6], other[:, :, :6])
    assert np.abs(one[:, :, 6:] - other[:, :, 6:]).min() > 1e-6


# What D sees


def test_a_single_frame_is_the_clips(gan):
    z, label, index = gan.latents(seeds_of(3)), tf.constant([0, 1, 2]), tf.constant([3, 0, 2])
    video = gan.generator(z, label, mode="sample")
    np.testing.assert_allclose(gan.generator.frame(z, label, index, mode="sample"), tf.gather(video, index, batch_dims=1), atol=1e-5)


def test_image_discriminator_sees_one_frame_of_clips_of_its_own(gan, monkeypatch):
    drawn, seen = [], []
    network, image = gan.generator, gan.generator.image
    monkeypatch.setattr(network, "image", lambda codes, mode: drawn.append(codes) or image(codes, mode=mode))
    real = gan.discriminator.image
    monkeypatch.setattr(gan.discriminator, "image", lambda frame, seeds, mode: seen.append(frame) or real(frame, seeds, mode=mode))
    batch = batch_of(gan.config, 6)
    gan.discriminator_loss(batch)
    assert [len(codes) for codes in drawn] == [6, 6 * 4]  # N frames, not 2NT and not NT
    contents = [codes.numpy()[:, :6] for codes in drawn]
    assert not any(np.allclose(a, b) for a in contents[0] for b in contents[1])
    assert all(any(np.array_equal(frame, other) for other in clip) for frame, clip in zip(seen[0], batch["video"], strict=True))


def test_frames_and_categories_are_uniform_and_independent_of_the_labels(gan):
    @tf.function(autograph=False)
    def draws(seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return gan._frames(noise.fork(seeds, gan_module.FAKE_FRAMES)), gan.inputs({"seed": seeds, "label": tf.zeros([3000], tf.int32)})[
            "label"
        ]

    index, category = (draw.numpy() for draw in draws(seeds_of(3000)))
    np.testing.assert_allclose(np.bincount(index, minlength=4) / 3000, np.full(4, 0.25), atol=0.03)
    np.testing.assert_allclose(np.bincount(category, minlength=12) / 3000, np.full(12, 1 / 12), atol=0.02)
    assert abs(np.corrcoef(index, category)[0, 1]) < 0.06


def test_streams_of_an_examples_seed_are_different():
    uses = [0, gan_module.REAL_FRAMES, gan_module.FAKE_FRAMES, mocogan.CATEGORY, mocogan.IMAGES, mocogan.IMAGES + mocogan.CATEGORY]
    for kind, net, number in itertools.product((mocogan.REAL_NOISE, mocogan.FAKE_NOISE), (0, mocogan.IMAGE_NOISE), range(1, 6)):
        uses.append(kind + net + mocogan.NOISE_LAYER * number)
    streams = uses + [use + gan_module.GENERATOR_STEP for use in uses]
    assert len(set(streams)) == len(streams) and max(streams) < 1000  # from 1000 on they are the data's


# Losses


def test_losses_are_cross_entropies():
    x = tf.constant([[0.0, 2.0]])
    bce = {target: np.mean([np.log(2), -target * np.log(sigmoid(2)) - (1 - target) * np.log(sigmoid(-2))]) for target in (0, 0.9, 1)}
    assert float(losses.logistic_discriminator(x, x)) == pytest.approx(bce[1] + bce[0])
    assert float(losses.logistic_discriminator(x, x, 0.9)) == pytest.approx(bce[0.9] + bce[0])
    logits = tf.math.log([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]])  # one clip, two places
    assert float(mocogan.cross_entropy(logits, tf.constant([1]))) == pytest.approx(-(np.log(0.25) + np.log(0.8)) / 2)


def test_the_terms_are_of_real_clips_for_d_and_of_fakes_for_g(gan, monkeypatch):
    labels = []
    monkeypatch.setattr(mocogan, "cross_entropy", lambda logits, label: labels.append((logits, label.numpy())) or tf.constant(2.0))
    batch = batch_of(gan.config, 5)
    d, _ = gan.discriminator_loss(batch)
    g, _ = gan.generator_loss(batch)
    assert set(d) == {"d_image", "d_video", "d_category", "d_infogan"} and set(g) == {"g_image", "g_video", "g_category"}
    np.testing.assert_array_equal(labels[0][1], batch["label"])
    inputs = gan.inputs(batch)
    category = inputs["label"]
    assert not np.array_equal(category, batch["label"])
    for _, label in labels[1:]:
        np.testing.assert_array_equal(label, category)
    index = gan._frames(noise.fork(batch["seed"], gan_module.REAL_FRAMES))
    frame = tf.gather(batch["video"], index, axis=1, batch_dims=1)
    real = gan.discriminator(frame, batch["video"], batch["seed"], mode="train")  # alone: real and fake are normalized apart
    np.testing.assert_allclose(labels[0][0], real["category"], atol=1e-6)
    video = gan.generator(**inputs, mode="train")
    fake = gan.discriminator(video[:, 0], video, batch["seed"], mode="train")
    for logits, _ in labels[1:]:
        np.testing.assert_allclose(logits, fake["category"], atol=1e-6)
    without = models.build(small("mocogan", **WITHOUT))
    assert set(without.discriminator_loss(batch)[0]) | set(without.generator_loss(batch)[0]) == {"d_image", "d_video", "g_image", "g_video"}


@pytest.mark.parametrize("use_categories", [False, True])
@pytest.mark.parametrize("use_infogan", [False, True])
@pytest.mark.parametrize("q_on_generated", [False, True])
def test_q_learns_where_it_is_asked_to(use_categories, use_infogan, q_on_generated):
    changes = {"use_categories": use_categories, "use_infogan": use_infogan, "q_on_generated": q_on_generated}
    if use_infogan and not (use_categories or q_on_generated):
        with pytest.raises(UserError, match="--q_on_generated=false: got --use_categories=false too, so nothing would train Q"):
            small("mocogan", **changes)
        return
    gan = models.build(small("mocogan", **changes))
    batch = batch_of(gan.config, 4)
    with tf.GradientTape() as tape:
        terms, _ = gan.discriminator_loss(batch)
        loss = tf.add_n(list(terms.values()))
    asked = {"d_category": use_categories, "d_infogan": use_infogan and q_on_generated}
    assert set(terms) == {"d_image", "d_video", *(name for name, is_asked in asked.items() if is_asked)}
    head = gan.discriminator.video.blocks[-1].convolution.kernel.value
    gradient = tape.gradient(loss, head)
    assert np.any(gradient[..., 1:]) == any(asked.values())  # the logits of the categories
    assert ("g_category" in gan.generator_loss(batch)[0]) == use_infogan


# The step


def differentiable_codes(gan: mocogan.Model, z: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """`reference_codes` of the default model in float64 TensorFlow, to be differentiated."""
    gru, motion = gan.generator.motion.gru, gan.config.motion
    w, b, u, c = (tf.cast(v.value, tf.float64) for v in (gru.kernel, gru.bias, gru.recurrent_kernel, gru.recurrent_bias))
    z = tf.cast(z, tf.float64)
    content, h = z[:, : gan.config.content], z[:, gan.config.content :][:, :motion]
    codes = []
    for t in range(gan.config.frames):
        x = z[:, gan.config.content + motion * (t + 1) :][:, :motion] @ w + b
        y = h @ u + c
        reset, update = (tf.sigmoid(x[:, i * motion : (i + 1) * motion] + y[:, i * motion : (i + 1) * motion]) for i in (0, 1))
        h = (1 - update) * tf.tanh(x[:, 2 * motion :] + reset * y[:, 2 * motion :]) + update * h
        codes.append(tf.concat([content, tf.one_hot(label, gan.config.classes, dtype=tf.float64), h], 1))
    return tf.stack(codes, 1)


def differentiable_fakes(gan: mocogan.Model, batch: dict) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    image, n = gan.generator.image, len(batch["seed"])
    other = noise.fork(batch["seed"], mocogan.IMAGES)
    index = gan._frames(noise.fork(batch["seed"], gan_module.FAKE_FRAMES))
    frame = reference_image(image, tf.gather(differentiable_codes(gan, **gan.inputs({"seed": other})), index, batch_dims=1), True)
    z, category = gan.inputs(batch).values()
    video = reference_image(image, tf.reshape(differentiable_codes(gan, z, category), [n * gan.config.frames, -1]), True)
    return frame, tf.reshape(video, [n, -1, *video.shape[1:]]), category


def bce(logits: tf.Tensor, target: float) -> tf.Tensor:
    p = tf.sigmoid(logits)
    return tf.reduce_mean(-target * tf.math.log(p) - (1 - target) * tf.math.log(1 - p))


def nll(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    p = tf.nn.softmax(tf.reshape(logits, [len(label), -1]))
    return -tf.reduce_mean(tf.math.log(tf.gather(p, label, batch_dims=1)))


def adam_by_hand(weights: list, gradients: list, config: mocogan.Config, rate: float) -> list[np.ndarray]:
    """The first update of Adam, of the gradient and L2."""
    after = []
    for weight, gradient in zip(weights, gradients, strict=True):
        g = np.asarray(gradient, np.float64) + config.weight_decay * weight.numpy()
        m, v = (1 - config.beta_1) * g, (1 - config.beta_2) * g * g
        size = rate * np.sqrt(1 - config.beta_2) / (1 - config.beta_1)
        after.append(weight.numpy() - size * m / (np.sqrt(v) + config.adam_epsilon))
    return after


def test_a_step_is_the_one_computed_by_hand():
    # An epsilon of the gradients' size, so that the update tells the size of a gradient and not its sign alone.
    changes = dict(noise=0.0, adam_epsilon=0.1, weight_decay=0.1, d_learning_rate=0.05, g_learning_rate=0.2, real_target=0.9)
    gan, twin = built(**changes), built(**changes)
    config, batch = gan.config, batch_of(gan.config, 4)
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, count)
    scalars = make_step(gan, optimizers, count, tf.distribute.get_strategy())([batch])

    def total(frame: tf.Tensor, video: tf.Tensor) -> dict:
        return reference_discriminator(twin, frame, video, batch["seed"], True)

    frame, video, category = differentiable_fakes(twin, batch)
    index = twin._frames(noise.fork(batch["seed"], gan_module.REAL_FRAMES))
    with tf.GradientTape() as tape:
        real, fake = total(tf.gather(batch["video"], index, axis=1, batch_dims=1), batch["video"]), total(frame, video)
        d_loss = sum(bce(real[name], 0.9) + bce(fake[name], 0.0) for name in ("image", "video"))
        d_loss += nll(real["category"], batch["label"]) + nll(fake["category"], category)
    weights = twin.discriminator.trainable_variables
    expected = adam_by_hand(weights, tape.gradient(d_loss, [w.value for w in weights]), config, 0.05)
    assert sum(float(scalars[name]) for name in ("d_image", "d_video", "d_category", "d_infogan")) == pytest.approx(float(d_loss), rel=1e-5)
    for value, weight in zip(expected, gan.discriminator.trainable_variables, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-3, atol=2e-5)

    for own, other in zip(twin.discriminator.trainable_variables, gan.discriminator.trainable_variables, strict=True):
        own.assign(other)  # G is judged by the D after its update
    batch = {**batch, "seed": noise.fork(batch["seed"], gan_module.GENERATOR_STEP)}
    with tf.GradientTape() as tape:
        frame, video, category = differentiable_fakes(twin, batch)
        fake = total(frame, video)
        g_loss = bce(fake["image"], 1.0) + bce(fake["video"], 1.0) + nll(fake["category"], category)
    weights = twin.generator.trainable_variables
    expected = adam_by_hand(weights, tape.gradient(g_loss, [w.value for w in weights]), config, 0.2)
    assert sum(float(scalars[name]) for name in ("g_image", "g_video", "g_category")) == pytest.approx(float(g_loss), rel=1e-5)
    for value, weight in zip(expected, gan.generator.trainable_variables, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-3, atol=2e-5)


def mutual_information(a: np.ndarray, b: np.ndarray, classes: int) -> float:
    """In nats, of the pairs (a[i], b[i])."""
    joint = np.zeros([classes, classes])
    np.add.at(joint, (a, b), 1 / len(a))
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    return float(np.sum(joint[joint > 0] * np.log(joint[joint > 0] / independent[joint > 0])))


def test_mutual_information_is_all_of_a_permutation_and_none_of_independent_draws():
    a = np.arange(400) % 4
    assert mutual_information(a, 3 - a, 4) == pytest.approx(np.log(4))
    assert mutual_information(a, np.arange(400) // 100, 4) == pytest.approx(0, abs=1e-9)
    assert mutual_information(a, a // 2, 4) == pytest.approx(np.log(2))


@pytest.mark.slow
def test_without_labels_the_categories_come_to_mean_something():
    changes = {"size": 16, "channels": 4, "classes": 4, "batch_size": 8, "g_learning_rate": 2e-3, "d_learning_rate": 2e-3}
    config = small("mocogan", dataset="moving_shapes/shape_motion", use_categories=False, **changes)
    gan = models.build(config)
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    step = make_step(gan, make_optimizers(gan, count), count, tf.distribute.get_strategy())
    for batch in data.load(config, "train").batches(config.batch_size).take(120):
        step([batch])
    seeds = noise.fork(seeds_of(512), 99)  # not those of training
    z, drawn = gan.inputs({"seed": seeds}).values()
    video = gan.generator(z, drawn, mode="train")
    logits = gan.discriminator(video[:, 0], video, seeds, mode="train")["category"]
    recognized = np.argmax(np.reshape(logits, [512, 4]), 1)
    # Of log 4 = 1.386, seed 0: 1.20 at step 100, 1.31 at 120, 1.38 at 140; where no loss of D trains Q, below 0.05 in the first 80.
    assert mutual_information(drawn.numpy(), recognized, 4) > 0.7


# Options


def test_standing_statistics_are_those_of_clips(gan):
    Sampler(gan, ema=False).calibrate()
    z = gan.latents(seeds_of(128))
    frames = gan.generator(z, tf.range(128) % 12, mode="train")
    sampled = gan.generator(z, tf.range(128) % 12, mode="sample")
    assert np.abs(frames - sampled).mean() < 0.02 < np.abs(frames).mean()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 40}, "--size=40: expected a multiple of 16"),
        ({"epsilon": "gauss"}, "--epsilon=gauss: expected one of iid, self_feed"),
        ({"category_to": "video"}, "--category_to=video: expected one of image, motion"),
        ({"image_discriminator": "none"}, "--image_discriminator=none: expected one of patch, image"),
        ({"video_discriminator": "slow"}, "--video_discriminator=slow: expected one of categorical, video, patch, strided"),
        ({"video_discriminator": "patch"}, "--video_discriminator=patch: got no categories, expected --use_categories=false"),
        ({"motion": 0}, "--motion=0: expected at least 1"),
        ({"noise": -0.1}, "--noise=-0.1: expected 0 or more"),
        ({"real_target": 0.0}, "--real_target=0.0: expected above 0, and at most 1"),
        ({"weight_decay": -1.0}, "--weight_decay=-1.0: expected 0 or more"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("mocogan", **changes)
