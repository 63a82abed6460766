"""FTGAN against the tables of its authors' code."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import ftgan_reference as reference
from tests.conftest import small
from tests.ftgan_reference import Critic, Flow, Row, Texture
from tests.reference import clips, count, scrambled, seeds_of
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.gan import GENERATOR_STEP
from tfvideogan.generation.sampler import Sampler
from tfvideogan.models import ftgan
from tfvideogan.ops import noise
from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import Step, make_step


def batch_of(config: ftgan.Config, n: int, seed: int = 0) -> dict[str, tf.Tensor]:
    """Flows are in pixels, up to beyond the limit."""
    shape = [n, config.frames, config.size, config.size, 2]
    flow = np.random.default_rng(seed + 100).uniform(-1.2, 1.2, shape) * config.flow_limit
    video = clips(config.frames, config.size, n, seed)
    return {"video": video, "flow": tf.constant(flow, tf.float32), "label": tf.zeros([n], tf.int32), "seed": seeds_of(n)}


def built(**changes) -> ftgan.Model:
    return scrambled(small("ftgan", **changes))


# The tables


def test_the_paper_is_the_default():
    config = ftgan.Config()
    assert (config.phase, config.frames, config.size, config.channels, config.latent, config.batch_size) == ("flow", 32, 64, 64, 100, 32)
    assert (config.optimizer, config.g_learning_rate, config.d_learning_rate, config.d_steps) == ("adam", 2e-4, 2e-4, 1)
    assert (config.beta_1, config.beta_2, config.adam_epsilon, config.weight_decay, config.ema_decay) == (0.5, 0.999, 1e-8, 0.0, 0.0)
    assert (config.steps, config.mask_penalty, config.texture_weight, config.flow_limit) == (60_000, 0.1, 0.1, 8.0)


def layer(inputs: int, outputs: int, kernel: int, norm: bool = True) -> int:
    """Kernel and bias, and BN's gain and bias."""
    return kernel * inputs * outputs + outputs + 2 * outputs * norm


def test_parameter_counts_are_those_of_the_tables():
    chain = ((512, 256), (256, 128), (128, 64))
    flow = layer(100, 512 * 2 * 4 * 4, 1) + sum(layer(i, o, 64) for i, o in chain)
    flow += layer(64, 2, 64, norm=False) + layer(64, 1, 64, norm=False)
    down = sum(layer(i, o, 64) for o, i in chain) + layer(512 * 2 * 4 * 4, 1, 1, norm=False)
    flow_d = layer(2, 64, 64, norm=False) + down
    background = layer(100, 512 * 4 * 4, 1) + sum(layer(i, o, 16) for i, o in chain) + layer(64, 3, 16, norm=False)
    seed = layer(100, 256 * 2 * 4 * 4, 1) + layer(256, 128, 64) + layer(128, 64, 64)
    encoder = layer(2, 32, 64, norm=False) + layer(32, 64, 64) + layer(128, 128, 27) + layer(128, 256, 64) + layer(256, 512, 64)
    decoder = layer(512, 256, 64) + layer(512, 128, 64) + layer(256, 64, 64)
    heads = layer(64, 1, 64, norm=False) + layer(96, 32, 64) + layer(32, 3, 27, norm=False)
    texture = background + seed + encoder + decoder + heads
    texture_d = layer(3, 32, 64, norm=False) + layer(2, 32, 64, norm=False) + down
    assert (flow, flow_d, texture, texture_d) == (12_711_235, 11_037_377, 31_968_935, 11_039_425)
    with tf.Graph().as_default():  # nothing allocated
        for phase, g, d in (("flow", flow, flow_d), ("texture", texture, texture_d), ("joint", flow + texture, flow_d + texture_d)):
            gan = models.build(ftgan.Config(phase=phase))
            assert (count(gan.generator), count(gan.discriminator)) == (g, d)


def test_first_weights():
    gan = models.build(small("ftgan", channels=16, latent=32, phase="joint"))
    for kernel in (gan.generator.flow.stream.linear.kernel, gan.generator.texture.e3.convolution.kernel):
        assert kernel.numpy().std() == pytest.approx(0.02, rel=0.02) and abs(kernel.numpy().mean()) < 3e-4
    weights = [weight for network in (gan.generator, gan.discriminator) for weight in network.trainable_variables]
    for weight in weights:
        if len(weight.shape) == 1:
            np.testing.assert_array_equal(weight, np.full(weight.shape, "gain" in weight.path))


def row(layer) -> Row:
    """Of a block or of a convolution alone."""
    return Row(layer.convolution, layer.norm) if isinstance(layer, ftgan.Block) else Row(layer)


def rows(layers) -> list[Row]:
    return [row(layer) for layer in layers]


def flow_of(g: ftgan.FlowGenerator) -> Flow:
    return Flow(Row(g.stream.linear, g.stream.unit_norm), rows(g.stream.blocks), row(g.to_flow), row(g.to_mask))


def texture_of(g: ftgan.TextureGenerator) -> Texture:
    background = Row(g.background.linear, g.background.unit_norm), rows(g.background.blocks), row(g.to_background)
    seed = Row(g.seed.linear, g.seed.unit_norm), rows(g.seed.blocks)
    return Texture(*background, *seed, row(g.e1), row(g.e2), row(g.e3), rows(g.down), rows(g.up), row(g.to_mask), row(g.d4), row(g.d5))


def critic_of(d: ftgan.Critic) -> Critic:
    return Critic(rows(d.first), rows(d.blocks), row(d.score))


def double(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tensor, tf.float64) for tensor in tensors]


LARGE, SMALL = {"size": 64, "frames": 16, "channels": 2}, {"frames": 8, "channels": 2}


@pytest.mark.parametrize(
    "changes, training",
    [
        pytest.param(SMALL, True, id="train-32x32"),
        pytest.param(SMALL, False, id="sample-32x32"),
        pytest.param(LARGE, True, id="train-64x64"),
        pytest.param(LARGE, False, id="sample-64x64", marks=pytest.mark.slow),
    ],
)
def test_networks_compute_the_tables(changes, training):
    gan, mode = built(phase="joint", **changes), "train" if training else "sample"
    batch = batch_of(gan.config, 4)
    z, video = gan.inputs(batch)["z"], batch["video"]
    flow = ftgan.scaled(batch["flow"], gan.config.flow_limit)
    z_flow, z_texture = gan.generator.split(z)

    made, made_mask = gan.generator.flow(z_flow, mode=mode)
    expected_flow, expected_mask = reference.flow_generator(flow_of(gan.generator.flow), *double(z_flow), gan.config.frames, training)
    np.testing.assert_allclose(made, expected_flow, atol=1e-5)
    np.testing.assert_allclose(made_mask, expected_mask, atol=1e-5)

    net = texture_of(gan.generator.texture)
    painted, mask = gan.generator.texture(z_texture, flow, mode=mode)
    expected, expected_mask = reference.texture_generator(net, *double(z_texture, flow), training)
    np.testing.assert_allclose(painted, expected, atol=2e-5)
    np.testing.assert_allclose(mask, expected_mask, atol=2e-5)
    both = gan.generator(z=z, mode=mode)
    expected, _ = reference.texture_generator(net, *double(z_texture), expected_flow, training)
    np.testing.assert_allclose(both, expected, atol=2e-5)

    for critic, inputs in ((gan.discriminator.flow, [flow]), (gan.discriminator.texture, [video, flow])):
        scores = critic(*inputs, mode=mode)
        np.testing.assert_allclose(scores, reference.critic(critic_of(critic), double(*inputs), training), rtol=1e-5, atol=2e-5)
        assert scores.shape == (4,) and scores.dtype == tf.float32 and np.ptp(scores) > 0.05
    for result in (made, made_mask, painted, mask):
        assert result.dtype == tf.float32 and np.ptp(result) > 0.2  # numbers that could differ


def close(gradients: list, expected: list, weights: list, tolerance: float = 2e-3) -> None:
    """Each gradient is within `tolerance` of the reference's, by its norm; those that BN makes zero are of rounding alone."""
    whole = np.sqrt(sum(np.sum(np.square(e)) for e in expected))
    for gradient, value, weight in zip(gradients, expected, weights, strict=True):
        error = np.linalg.norm(np.asarray(gradient, np.float64) - np.asarray(value))
        assert error <= tolerance * np.linalg.norm(value) + 2e-6 * whole, weight.path


@pytest.mark.parametrize("training", [True, False], ids=["train", "sample"])
@pytest.mark.parametrize("network", ["flow", "texture", "flow critic", "texture critic"])
def test_gradients_are_those_of_the_tables(network, training):
    gan, mode = built(phase="joint"), "train" if training else "sample"
    batch, draw = batch_of(gan.config, 4), np.random.default_rng(5)
    flow, z, frames = (
        ftgan.scaled(batch["flow"], gan.config.flow_limit),
        tf.constant(draw.standard_normal([4, 8]), tf.float32),
        gan.config.frames,
    )
    if network == "flow":
        owner, inputs = gan.generator.flow, [z]
        own = lambda z: owner(z, mode=mode)  # noqa: E731
        plain = lambda z: reference.flow_generator(flow_of(owner), z, frames, training)  # noqa: E731
    elif network == "texture":
        owner, inputs = gan.generator.texture, [z, flow]
        own = lambda z, flow: owner(z, flow, mode=mode)  # noqa: E731
        plain = lambda z, flow: reference.texture_generator(texture_of(owner), z, flow, training)  # noqa: E731
    else:
        owner = gan.discriminator.flow if network == "flow critic" else gan.discriminator.texture
        inputs = [flow] if network == "flow critic" else [batch["video"], flow]
        own = lambda *inputs: [owner(*inputs, mode=mode)]  # noqa: E731
        plain = lambda *inputs: [reference.critic(critic_of(owner), list(inputs), training)]  # noqa: E731
    weights, gradients = [weight.value for weight in owner.trainable_variables], []
    cotangents = None
    for function, values in ((own, inputs), (plain, double(*inputs))):
        with tf.GradientTape() as tape:
            tape.watch(values)
            results = function(*values)
            cotangents = cotangents or [draw.standard_normal(result.shape) for result in results]
            total = tf.add_n([tf.reduce_sum(result * tf.cast(c, result.dtype)) for result, c in zip(results, cotangents, strict=True)])
        gradients.append([g.numpy() for g in tape.gradient(total, [*weights, *values])])
    close(*gradients, [*owner.trainable_variables, *[type("Input", (), {"path": "input"})] * len(inputs)])


def test_a_unit_after_a_linear_layer_is_normalized_by_itself():
    stream = built(channels=4).generator.flow.stream
    assert stream.unit_norm.gain.shape == (stream.linear.kernel.shape[2],) == (1 * 4 * 4 * 16,)
    units = stream.unit_norm(stream.linear(tf.random.stateless_normal([64, 1, 8], [0, 0]))[:, 0], mode="train").numpy()
    np.testing.assert_allclose(units.mean(0), stream.unit_norm.bias, atol=1e-4)
    np.testing.assert_allclose(units.std(0), abs(stream.unit_norm.gain.numpy()), rtol=1e-3)


def test_the_background_stands_still_where_the_mask_is_shut_and_flow_is_zero_there():
    gan = built(phase="joint")
    z_flow, z_texture = gan.generator.split(gan.latents(seeds_of(2)))
    for mask in (gan.generator.flow.to_mask, gan.generator.texture.to_mask):
        mask.kernel.assign(tf.zeros_like(mask.kernel))
        mask.bias.assign([-30.0])
    flow, _ = gan.generator.flow(z_flow, mode="sample")
    assert np.abs(flow).max() < 1e-12
    video, _ = gan.generator.texture(z_texture, tf.random.stateless_uniform([2, 8, 32, 32, 2], [0, 0], -1.0, 1.0), mode="sample")
    np.testing.assert_allclose(video, tf.repeat(video[:, :1], 8, 1), atol=1e-6)
    assert np.ptp(video[0, 0]) > 0.1  # a picture


# Phases


def test_flow_alone_is_shown_as_colors():
    gan = built()
    z = gan.latents(seeds_of(2))
    flow, none = gan.generator.draw(z, "sample")
    assert none is None
    colors = tf.cast(flow_to_color(flow, 1.0), tf.float32) / 127.5 - 1
    np.testing.assert_allclose(gan.generator(z=z, mode="sample"), colors, atol=1e-6)


def test_flows_are_read_in_units_of_the_limit():
    np.testing.assert_array_equal(ftgan.scaled(tf.constant([-9.0, -4.0, 0.0, 1.0, 4.0, 4.5]), 4.0), [-1, -1, 0, 0.25, 1, 1])


def test_the_texture_alone_paints_the_flows_it_is_given():
    gan = built(phase="texture")
    batch = batch_of(gan.config, 4)
    assert list(gan.input_specs) == ["z", "flow"] and gan.latent_width == 8
    inputs = gan.inputs(batch)
    np.testing.assert_array_equal(inputs["flow"], batch["flow"])
    flow, video = gan.generator.draw(**inputs, mode="sample")
    np.testing.assert_array_equal(flow, ftgan.scaled(batch["flow"], gan.config.flow_limit))
    np.testing.assert_array_equal(gan.generator(**inputs, mode="sample"), video)
    sampler = Sampler(gan).calibrate([batch] * gan.config.standing_batches)
    assert sampler.kind == "translation" and sampler.translate(batch["flow"]).shape == (4, 8, 32, 32, 3)


def test_content_and_motion_are_apart():
    gan = built(phase="joint")
    z = gan.latents(seeds_of(3)).numpy()
    other = np.copy(z)
    other[:, gan.latent_parts["content"]] = z[::-1, gan.latent_parts["content"]]  # another's content, one's own motion
    np.testing.assert_array_equal(gan.generator.draw(tf.constant(other), "sample")[0], gan.generator.draw(tf.constant(z), "sample")[0])
    assert {name: (part.start, part.stop) for name, part in gan.latent_parts.items()} == {"motion": (0, 8), "content": (8, 16)}
    assert {name: (part.start, part.stop) for name, part in built().latent_parts.items()} == {"motion": (0, 8)}
    parts = built(phase="texture").latent_parts
    assert {name: (part.start, part.stop) for name, part in parts.items()} == {"content": (0, 8)}


@pytest.mark.parametrize("phase", ftgan.PHASES)
def test_every_phase_trains_in_bfloat16_and_samples(phase):
    gan = models.build(small("ftgan", phase=phase, precision="mixed_bfloat16", standing_batches=1))
    before = [weight.numpy() for network in (gan.generator, gan.discriminator) for weight in network.trainable_variables]
    scalars = step_of(gan)([batch_of(gan.config, 4)])
    assert all(np.isfinite(value) and value.dtype == tf.float32 for value in scalars.values())
    after = [weight.numpy() for network in (gan.generator, gan.discriminator) for weight in network.trainable_variables]
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True) if np.any(b))
    batch = batch_of(gan.config, 2)
    sampler = Sampler(gan).calibrate([batch])
    if phase == "texture":
        video = sampler.translate(batch["flow"])
    else:
        video = sampler.sample(tf.zeros([2], tf.int32), tf.constant([0, 0]), tf.constant(1.0))
    assert video.shape == (2, 8, 32, 32, 3) and np.all(np.isfinite(video))


# Losses and the step


def step_of(gan: ftgan.Model, flat: bool = False) -> Step:
    """`flat`: run eagerly, which costs less than to trace it once."""
    count = tf.Variable(0, dtype=tf.int64, trainable=False)
    return make_step(gan, make_optimizers(gan, count), count, tf.distribute.get_strategy(), flat)


def drawn(gan: ftgan.Model, batch: dict) -> dict[str, tf.Tensor]:
    """By the reference: the real flow, and the fake flow and video with their masks, of the phase's generators."""
    real = tf.clip_by_value(tf.cast(batch["flow"], tf.float64) / gan.config.flow_limit, -1, 1)
    made, draws = {"real": real, "flow": real}, noise.normal(batch["seed"], [gan.config.latent * (1 + (gan.config.phase == "joint"))])
    if gan.config.phase != "texture":
        flow = flow_of(gan.generator.flow)
        made["flow"], made["flow_mask"] = reference.flow_generator(flow, *double(draws[:, :8]), gan.config.frames, True)
    if gan.config.phase != "flow":
        texture = texture_of(gan.generator.texture)
        made["video"], made["texture_mask"] = reference.texture_generator(texture, *double(draws[:, -8:]), made["flow"], True)
    return made


def d_losses(gan: ftgan.Model, batch: dict) -> dict[str, tf.Tensor]:
    made, losses = drawn(gan, batch), {}
    if gan.discriminator.flow is not None:
        net = critic_of(gan.discriminator.flow)
        losses["d_flow"] = reference.discriminator_loss(*(reference.critic(net, [made[x]], True) for x in ("real", "flow")))
    if gan.discriminator.texture is not None:
        net, video = critic_of(gan.discriminator.texture), tf.cast(batch["video"], tf.float64)
        real, fake = (reference.critic(net, pair, True) for pair in ([video, made["real"]], [made["video"], made["flow"]]))
        losses["d_texture"] = reference.discriminator_loss(real, fake)
    return losses


def g_losses(gan: ftgan.Model, batch: dict) -> dict[str, tf.Tensor]:
    made, losses = drawn(gan, batch), {}
    if gan.discriminator.flow is not None:
        losses["g_flow"] = reference.generator_loss(reference.critic(critic_of(gan.discriminator.flow), [made["flow"]], True))
        losses["g_flow_mask"] = reference.mask_loss(made["flow_mask"])
    if gan.discriminator.texture is not None:
        pair = [made["video"], made["flow"]]
        losses["g_texture"] = reference.generator_loss(reference.critic(critic_of(gan.discriminator.texture), pair, True))
        losses["g_texture_mask"] = reference.mask_loss(made["texture_mask"])
    return losses


@pytest.mark.parametrize("phase", ftgan.PHASES)
def test_a_step_is_the_one_computed_by_hand(phase):
    # An epsilon of the gradients' size, so that the update tells the size of a gradient and not its sign alone.
    changes = dict(phase=phase, adam_epsilon=0.01, d_learning_rate=0.05, g_learning_rate=0.2, flow_learning_rate=0.1)
    rates = {"flow": 0.1, "texture": 0.2} if phase == "joint" else {"flow": 0.2, "texture": 0.2}
    gan, twin = built(**changes), built(**changes)
    config, batch = gan.config, batch_of(gan.config, 4)
    scalars = step_of(gan, flat=True)([batch])

    def updated(weights: list, gradients: list, rate: float) -> list[np.ndarray]:
        pairs = zip(weights, gradients, strict=True)
        settings = rate, config.beta_1, config.beta_2, config.adam_epsilon
        return [reference.adam(w.numpy(), np.asarray(g, np.float64), *settings) for w, g in pairs]

    def same(expected: list[np.ndarray], weights: list) -> None:
        for value, weight in zip(expected, weights, strict=True):
            np.testing.assert_allclose(weight, value, rtol=1e-3, atol=1e-4, err_msg=weight.path)

    weights = twin.discriminator.trainable_variables
    with tf.GradientTape() as tape:
        terms = d_losses(twin, batch)
        total = tf.add_n(list(terms.values()))
    gradients, expected = tape.gradient(total, [w.value for w in weights]), []
    of_flow = len(twin.discriminator.flow.trainable_variables) if phase == "joint" else 0  # the first of them
    expected += updated(weights[:of_flow], gradients[:of_flow], 0.1) + updated(weights[of_flow:], gradients[of_flow:], 0.05)
    same(expected, gan.discriminator.trainable_variables)
    for name, value in terms.items():
        assert float(scalars[name]) == pytest.approx(float(value), rel=1e-4), name

    for own, other in zip(twin.discriminator.trainable_variables, gan.discriminator.trainable_variables, strict=True):
        own.assign(other)  # G is judged by the D after its update
    batch = {**batch, "seed": noise.fork(batch["seed"], GENERATOR_STEP)}
    with tf.GradientTape(persistent=True) as tape:
        terms = g_losses(twin, batch)
        # Joint: L_flow + C L_tex for the flow nets, where the texture's mask has weight 1.
        to_texture = tf.add_n([value for name, value in terms.items() if "texture" in name] or [tf.constant(0.0, tf.float64)])
        to_flow = tf.add_n([value * (reference.C if name == "g_texture" else 1) for name, value in terms.items()])
    expected = []
    if twin.generator.flow is not None:
        weights = twin.generator.flow.trainable_variables
        expected += updated(weights, tape.gradient(to_flow, [w.value for w in weights]), rates["flow"])
    if twin.generator.texture is not None:
        weights = twin.generator.texture.trainable_variables
        expected += updated(weights, tape.gradient(to_texture, [w.value for w in weights]), rates["texture"])
    same(expected, gan.generator.trainable_variables)
    assert {name for name in scalars if name.startswith(("d_", "g_")) and "norm" not in name} == {*terms, *d_losses(twin, batch)}
    for name, value in terms.items():
        assert float(scalars[name]) == pytest.approx(float(value), rel=1e-4), name


def test_the_textures_gradient_reaches_the_flow_by_its_weight_and_its_masks_whole():
    gan = built(phase="joint")
    batch, weight = batch_of(gan.config, 2), gan.generator.flow.to_flow.kernel.value

    def gradients(share: float, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Of all terms, and of the masks' alone, to a weight of the flow nets."""
        gan.config = dataclasses.replace(gan.config, texture_weight=share, mask_penalty=penalty)
        with tf.GradientTape(persistent=True) as tape:
            terms, _ = gan.generator_loss(batch)
            masks = terms["g_flow_mask"] + terms["g_texture_mask"]
            total = masks + terms["g_flow"] + terms["g_texture"]
        return tape.gradient(total, weight).numpy(), tape.gradient(masks, weight).numpy()

    alone, _ = gradients(0.0, 0.0)
    whole, masks = gradients(1.0, 0.5)
    whole -= masks
    both, _ = gradients(0.25, 0.5)
    np.testing.assert_allclose(both - masks, 0.75 * alone + 0.25 * whole, rtol=1e-2, atol=1e-6)
    assert np.abs(masks).max() > 1e-4 and np.abs(whole - alone).max() > 1e-4


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 48}, r"--size=48: ftgan builds 32 or 64"),
        ({"frames": 12}, r"--frames=12: at --size=32 ftgan builds multiples of 8"),
        ({"phase": "both"}, r"--phase=both: expected one of flow, texture, joint"),
        ({"latent": 0}, r"--latent=0: expected at least 1"),
        ({"channels": 3}, r"--channels=3: expected an even number"),
        ({"flow_limit": 0.0}, r"--flow_limit=0: expected more than 0"),
        ({"mask_penalty": -1.0}, r"--mask_penalty=-1.0: expected 0 or more"),
        ({"texture_weight": -1.0}, r"--texture_weight=-1.0: expected 0 or more"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("ftgan", **changes)
