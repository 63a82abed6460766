"""vid2vid against its paper and its authors' code, in NumPy, pixel by pixel where that is the definition."""

import dataclasses

import av
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import pix2pix_reference as reference
from tests.conftest import small
from tests.models_test import step_of
from tests.pix2pix_reference import conv, deconv, half, instance_norm, relu
from tests.reference import AdamByHand, clips, count, scrambled, seeds_of
from tfvideogan import models, sample
from tfvideogan.config import UserError
from tfvideogan.gan import GENERATOR_STEP
from tfvideogan.generation.module import Generator, write
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers import vgg19
from tfvideogan.layers.pix2pix_hd import outer
from tfvideogan.layers.spaced_frames import flow_over
from tfvideogan.models import vid2vid
from tfvideogan.ops import forms, noise
from tfvideogan.ops.video import to_unit, unfold
from tfvideogan.training import checkpoints, cost
from tfvideogan.training.loop import train

LABELS, FOREGROUND = 4, 2
SIZE = 16
PICTURES = {"image_channels": 4, "image_halvings": 2, "image_blocks": 1}
OPTIONS = {"scales": 2, "frames": 6, "chunk_frames": 3, "temporal_frames": 2, "blocks": 3}


def config_of(**changes) -> vid2vid.Config:
    return small("vid2vid", **{"batch_size": 2, **OPTIONS, **changes})


def batch_of(config: vid2vid.Config, n: int = 2) -> dict[str, tf.Tensor]:
    """Frames of low contrast, so that the flow is trusted at some pixels and not at others."""
    draw, shape = np.random.default_rng(3), (n, config.frames, *config.frame_size)
    made = {
        "video": 0.12 * clips(config.frames, config.size, n),
        "source": tf.constant(draw.integers(0, LABELS, shape), tf.int32),
        "instances": tf.constant(draw.integers(0, 2, shape), tf.int32),
        "flow": tf.constant(draw.normal(0, 1.5, (*shape, 2)), tf.float32),
        "face": tf.constant(draw.integers(0, config.size, (*shape[:2], 2)), tf.int32),
        "seed": seeds_of(n),
    }
    return {name: made[name] for name in config_specs(config)}


def config_specs(config: vid2vid.Config) -> dict:
    return vid2vid.Model.batch_specs(config)


@pytest.fixture(scope="module")
def gan() -> vid2vid.Model:
    return calm(scrambled(config_of()))


def calm(made: vid2vid.Model) -> vid2vid.Model:
    """With flows of some pixels, not of some hundreds."""
    for scale in made.generator.scales:
        for weight in scale.to_flow.weights:
            weight.assign(0.02 * weight)
    return made


# The tables


def test_the_authors_code_is_the_default():
    config = vid2vid.Config()
    assert (config.frame_size, config.channels, config.halvings, config.blocks, config.local_blocks) == ((256, 512), 128, 3, 9, 3)
    assert (config.source_labels, config.instances, config.foreground, config.source_maps) == (35, True, "26", 36)
    assert (config.d_channels, config.d_scales, config.temporal_scales, config.temporal_frames) == (64, 2, 2, 3)
    assert (config.frames, config.chunk_frames, config.backpropagate_frames, config.batch_size) == (6, 6, 1, 1)
    assert (config.g_learning_rate, config.d_learning_rate, config.beta_1, config.beta_2) == (2e-4, 2e-4, 0.5, 0.999)
    assert config.learning_rate_schedule == "linear" and config.steps == 2 * config.decay_start_step
    weights = config.feature_weight, config.perceptual_weight, config.flow_weight, config.warp_weight, config.mask_weight
    assert weights == (10, 10, 10, 10, 1)


def total(*layers: keras.layers.Layer) -> int:
    return sum(int(np.prod(weight.shape)) for layer in layers for weight in layer.weights)


def test_parameter_counts_are_those_of_the_code():
    config = vid2vid.Config()
    with tf.Graph().as_default():  # nothing allocated
        net = vid2vid.composer(config, 0)
        parts = [net.of_source], [net.of_past], net.image.body, net.motion.body, net.image.up, [net.paint], [net.to_flow], [net.to_mask]
        expected = [101_278_848, 100_639_104, 75_522_048, 75_522_048, 6_195_840, 18_819, 12_546, 6_273]
        assert [total(*part) for part in parts] == expected
        assert total(net.foreground, net.paint_foreground) == 45_943_875
        assert total(net) == 411_335_241 and total(net) - 45_943_875 == 365_391_366
        for channels, of_all in ((15, 364_996_230), (6, 364_826_886)):  # faces, poses: neither foreground nor instances
            first = outer(3 * channels, 128)
            assert 365_391_366 - total(net.of_source.first.convolution) + total(first) == of_all
        finer = [vid2vid.composer(dataclasses.replace(config, scales=3), scale) for scale in (1, 2)]
        assert [total(net) for net in finer] == [2_880_489, 859_641]
        d = vid2vid.Discriminator(config)
        assert total(d.image) == 5_606_786 and [total(judge) for judge in d.temporal] == [5_553_538] * 2


@pytest.mark.slow
def test_parameter_counts_of_other_runs():
    poses = {"source_labels": 0, "source_channels": 6, "instances": False, "foreground": ""}
    with tf.Graph().as_default():
        assert total(vid2vid.composer(vid2vid.Config(halvings=2), 0)) == 137_792_649
        assert total(vid2vid.composer(vid2vid.Config(channels=64, **poses), 0)) == 91_285_638
        assert total(vid2vid.composer(vid2vid.Config(**poses), 0)) == 364_826_886
        assert total(vid2vid.composer(vid2vid.Config(**{**poses, "source_channels": 15}), 0)) == 364_996_230
        finer = [vid2vid.composer(vid2vid.Config(scales=3, **poses), scale) for scale in (1, 2)]
        assert [total(net) for net in finer] == [2_164_614, 566_214]
        for scales, of_image, of_several in ((3, 8_410_179, 8_330_307), (4, 11_213_572, 11_107_076)):
            d = vid2vid.Discriminator(vid2vid.Config(d_scales=scales))
            assert (total(d.image), total(d.temporal[0])) == (of_image, of_several)
        assert total(vid2vid.Discriminator(vid2vid.Config(**poses)).image) == 5_545_346


def test_first_weights():
    norms = [layer for layer in vid2vid.Generator(config_of(channels=32))._flatten_layers() if hasattr(layer, "gain")]
    gains = np.concatenate([layer.gain.numpy() for layer in norms])
    assert gains.mean() == pytest.approx(1, abs=0.01) and gains.std() == pytest.approx(0.02, rel=0.2)
    assert not any(np.any(layer.shift) for layer in norms)


# The generator


def warped(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """[N,H,W,C] at p + flow(p), bilinearly, the border going on."""
    n, height, width, _ = picture.shape
    found = np.zeros_like(picture)
    for i, y, x in np.ndindex(n, height, width):
        at_x, at_y = np.clip(x + flow[i, y, x, 0], 0, width - 1), np.clip(y + flow[i, y, x, 1], 0, height - 1)
        left, top = int(at_x), int(at_y)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        a, b = at_x - left, at_y - top
        above = (1 - a) * picture[i, top, left] + a * picture[i, top, right]
        below = (1 - a) * picture[i, bottom, left] + a * picture[i, bottom, right]
        found[i, y, x] = (1 - b) * above + b * below
    return found


def maps_of(source: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """[N,T,H,W] both -> [N,T,H,W,labels + 1]."""
    height, width = source.shape[2:]
    maps = np.zeros([*source.shape, LABELS + 1])
    for n, t, y, x in np.ndindex(*source.shape):
        maps[n, t, y, x, source[n, t, y, x]] = 1
        around = [(y + i, x + j) for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0)) if 0 <= y + i < height and 0 <= x + j < width]
        maps[n, t, y, x, LABELS] = any(instances[n, t, i, j] != instances[n, t, y, x] for i, j in around)
    return maps


def normed(x: np.ndarray, norm) -> np.ndarray:
    return instance_norm(x, 1e-5, norm.gain, norm.shift)


def block(y: np.ndarray, layer) -> np.ndarray:
    return relu(normed(y, layer.norm))


def residual(x: np.ndarray, layer) -> np.ndarray:
    y = relu(normed(conv(x, layer.convolutions[0], 1, 1, "reflect"), layer.norms[0]))
    return x + normed(conv(y, layer.convolutions[1], 1, 1, "reflect"), layer.norms[1])


def encoder(x: np.ndarray, net) -> np.ndarray:
    x = block(conv(x, net.first.convolution, 1, 3, "reflect"), net.first)
    for layer in net.down:
        x = block(conv(x, layer.convolution, 2, 1), layer)
    for layer in net.body:
        x = residual(x, layer)
    return x


def decoder(x: np.ndarray, net) -> np.ndarray:
    for layer in net.body:
        x = residual(x, layer)
    for layer in net.up:
        x = block(deconv(x, layer.convolution), layer)
    return x


def head(x: np.ndarray, layer) -> np.ndarray:
    return conv(x, layer, 1, 3, "reflect")


def composed(source: list[np.ndarray], past: list[np.ndarray], alone: bool, nets: list) -> list[tuple[np.ndarray, ...]]:
    """Final, painted, flow and mask of each scale, coarsest first. Of each: the sources of three frames, and two frames before."""
    made, found = {}, []
    for scale, net in enumerate(nets):
        features = encoder(source[scale], net.of_source) + encoder(past[scale], net.of_past)
        image = decoder(features + made.get("image", 0), net.image)
        motion = decoder(features + made.get("motion", 0), net.motion)
        painted, flow = np.tanh(head(image, net.paint.convolution)), 20 * 2**scale * head(motion, net.to_flow)
        mask = np.ones_like(painted[..., :1]) if alone else 1 / (1 + np.exp(-head(motion, net.to_mask)))
        final = painted * mask + warped(past[scale][..., 3:], flow) * (1 - mask)
        if scale == 0:
            x = block(conv(source[0], net.foreground.first.convolution, 1, 3, "reflect"), net.foreground.first)
            for layer in net.foreground.down:
                x = block(conv(x, layer.convolution, 2, 1), layer)
            for layer in net.foreground.body:
                x = residual(x, layer)
            for layer in net.foreground.up:
                x = block(deconv(x, layer.convolution), layer)
        else:
            x = block(conv(source[scale], net.foreground.first.convolution, 1, 3, "reflect"), net.foreground.first)
            x = block(conv(x, net.foreground.down.convolution, 2, 1), net.foreground.down) + made["foreground"]
            for layer in net.foreground.body:
                x = residual(x, layer)
            x = block(deconv(x, net.foreground.up.convolution), net.foreground.up)
        there = source[scale][..., 2 * (LABELS + 1) + FOREGROUND, None]
        foreground = np.tanh(head(x, net.paint_foreground.convolution))
        final, painted = (foreground * there + picture * (1 - there) for picture in (final, painted))
        found.append((final, painted, flow, mask))
        made = {"image": image, "motion": motion, "foreground": x}
    return found


def rolled(maps: np.ndarray, past: list[np.ndarray], alone: bool, nets: list) -> list[tuple[np.ndarray, ...]]:
    """The finest scale's frames; `maps` [N,2+T,H,W,C]; `past` [N,H,W,6] of two scales."""
    found = []
    for t in range(maps.shape[1] - 2):
        source = np.concatenate([maps[:, t], maps[:, t + 1], maps[:, t + 2]], -1)
        scales = composed([half(source), source], past, alone and t == 0, nets)
        past = [np.concatenate([before[..., 3:], frame[0]], -1) for before, frame in zip(past, scales, strict=True)]
        found.append(scales[-1])
    return found


@pytest.mark.parametrize("first_frames", ["none", "real"])
def test_the_generator_computes_the_tables(gan, first_frames):
    frames = 3 if first_frames == "none" else 4
    config = dataclasses.replace(gan.config, first_frames=first_frames, frames=frames)
    batch = batch_of(config, 1)
    source, instances = (batch[name].numpy() for name in ("source", "instances"))
    maps, video = maps_of(source, instances), batch["video"].numpy().astype(np.float64)
    np.testing.assert_array_equal(vid2vid.maps_of(config, batch["source"], batch["instances"]), maps)
    if first_frames == "none":
        maps, past = np.concatenate([maps[:, :1], maps[:, :1], maps], 1), np.zeros([1, SIZE, SIZE, 6])
        made = gan.generator(batch["source"], instances=batch["instances"], mode="train")
    else:
        past = np.concatenate([video[:, 0], video[:, 1]], -1)
        made = gan.generator(batch["source"], instances=batch["instances"], video=batch["video"][:, :2], mode="train")
        np.testing.assert_array_equal(made[:, :2], batch["video"][:, :2])
        made = made[:, 2:]
    expected = rolled(maps, [half(past), past], first_frames == "none", gan.generator.scales)
    np.testing.assert_allclose(made, np.stack([frame[0] for frame in expected], 1), atol=5e-3)
    parts = gan.generator.roll(tf.constant(maps, tf.float32), gan.generator.beginning(1, tf.constant(video[:, :2], tf.float32)))[0]
    past = np.concatenate([video[:, 0], video[:, 1]], -1)
    expected = rolled(maps[:, :3], [half(past), past], False, gan.generator.scales)[0]
    for name, part, of_part in zip(parts._fields, parts, expected, strict=True):
        assert of_part.std() > 1e-2, name
        np.testing.assert_allclose(part[:, 0], of_part, atol=2e-3 * max(1, abs(of_part).max()), err_msg=name)


def test_a_dry_run_counts_the_step_with_instances():
    config = config_of()
    assert config.instances
    assert cost.measure(config).flops > 0


def test_blocks_of_a_finer_scale_follow_the_sum_with_the_coarser_features(gan):
    coarse, fine = gan.generator.scales  # of blocks=3 in all, two stand before the sum; of local_blocks=1, none
    assert [len(net.body) for net in (coarse.of_source, coarse.of_past, coarse.image, coarse.motion)] == [2, 2, 1, 1]
    assert [len(net.body) for net in (fine.of_source, fine.of_past, fine.image, fine.motion)] == [0, 0, 1, 1]


def test_zero_flow_is_the_identity_to_the_last_bit():
    still = vid2vid.Generator(config_of(foreground=""))
    for scale in still.scales:
        for weight in (*scale.to_flow.weights, scale.to_mask.kernel):
            weight.assign(tf.zeros_like(weight))
        scale.to_mask.bias.assign([-1e4])
    batch = batch_of(config_of(first_frames="real", frames=5))
    made = still(batch["source"], instances=batch["instances"], video=batch["video"][:, :2], mode="train")
    np.testing.assert_array_equal(made[:, 2:], np.repeat(batch["video"][:, 1:2], 3, 1))


def test_two_chunks_are_one(gan):
    batch = batch_of(gan.config)
    whole = gan.generator(**gan.inputs(batch), mode="train")
    state, parts, losses = gan.initial_state(batch), [], []
    for i in range(gan.chunks):
        chunk = {**gan.chunk(batch, i), **state}
        frames, _ = gan.generator.roll(gan.maps(chunk), chunk)
        parts.append(frames.final)
        losses.append(gan.pixel_losses(chunk, frames))
        state = gan.next_state(chunk)
    assert gan.chunks == 2 and float(state["first"][0]) == 0
    np.testing.assert_allclose(tf.concat(parts, 1), whole, atol=1e-5)
    long = vid2vid.Model(dataclasses.replace(gan.config, chunk_frames=6))  # whose generator is not asked
    batch = {**long.chunk(batch, 0), **gan.initial_state(batch)}
    together = long.pixel_losses(batch, gan.generator.roll(gan.maps(batch), batch)[0])
    assert long.chunks == 1
    for name, value in together.items():
        assert np.mean([float(loss[name]) for loss in losses]) == pytest.approx(float(value), rel=1e-4), name


def test_sequences_double_until_the_clip_is_learned_whole():
    gan = vid2vid.Model(config_of(frames=29, grow_from_frames=6, grow_every_steps=5, first_frames="real", scales=1, blocks=2))
    # 27 frames that are generated, in chunks of 3: 6, 12, 24, then all.
    assert [gan.chunks_at(step) for step in (0, 4, 5, 9, 10, 14, 15, 20, 10**9)] == [2, 2, 4, 4, 8, 8, 9, 9, 9]
    whole = vid2vid.Model(config_of(frames=29, first_frames="real", scales=1, blocks=2))
    assert [whole.chunks_at(step) for step in (0, 10**9)] == [9, 9] == [gan.chunks, whole.chunks]


@pytest.mark.parametrize("first_frames, given", [("none", 0), ("real", 2)])
def test_a_shorter_sequence_begins_anywhere_with_all_that_belongs_to_its_frames(first_frames, given):
    config = config_of(frames=12, grow_from_frames=3, grow_every_steps=1, first_frames=first_frames, face_size=8, scales=1, blocks=2)
    gan, batch = vid2vid.Model(config), batch_of(config, 64)
    part, length = gan.sequence(batch, 2), given + 6
    starts = [int(np.argmin([np.abs(part["video"][n, 0] - frame).max() for frame in batch["video"][n]])) for n in range(64)]
    assert min(starts) == 0 and max(starts) == 12 - length and len(set(starts)) == 12 - length + 1
    for name in ("video", "source", "instances", "flow", "face"):
        expected = np.stack([batch[name][n, start : start + length] for n, start in enumerate(starts)])
        np.testing.assert_array_equal(part[name], expected, err_msg=name)
    np.testing.assert_array_equal(part["seed"], batch["seed"])
    half = {name: entry[32:] for name, entry in batch.items()}
    np.testing.assert_array_equal(gan.sequence(half, 2)["video"], part["video"][32:])  # a clip's own draw
    assert gan.chunk(part, 1)["source"].shape[1] == 5
    whole = vid2vid.Model(dataclasses.replace(config, grow_every_steps=0))
    assert whole.sequence(batch, whole.chunks) is batch


def test_past_frames_are_detached(gan):
    batch = batch_of(gan.config)

    def reached(frames: int) -> float:
        """Of the first frame's, the gradient of the last frame."""
        network, config = gan.generator, gan.generator.config
        network.config = dataclasses.replace(config, backpropagate_frames=frames)
        maps = gan.maps({**batch, "source": batch["source"][:, :4], "instances": batch["instances"][:, :4]})
        state = network.beginning(2, batch["video"][:, :2])
        with tf.GradientTape() as tape:
            tape.watch(state)
            value = tf.reduce_sum(network.roll(maps, state)[0].final[:, 1])
        network.config = config
        return float(tf.reduce_max(tf.abs(tf.convert_to_tensor(tape.gradient(value, state["past0"], unconnected_gradients="zero")))))

    assert reached(1) == 0.0
    # From the second of two frames on, the gradient reaches the first; what came before the two is detached in either case.
    maps = gan.maps({**batch, "source": batch["source"][:, :4], "instances": batch["instances"][:, :4]})
    with tf.GradientTape() as tape:
        bias = gan.generator.scales[1].paint.convolution.bias.value
        tape.watch(bias)
        state = gan.generator.beginning(2, batch["video"][:, :2])
        value = tf.reduce_sum(gan.generator.roll(maps, state)[0].mask[:, 1])  # of the second frame, which a head's bias enters by the first
    assert tape.gradient(value, bias) is None
    gan.generator.config = dataclasses.replace(gan.config, backpropagate_frames=2)
    with tf.GradientTape() as tape:
        tape.watch(bias)
        value = tf.reduce_sum(gan.generator.roll(maps, state)[0].mask[:, 1])
    gan.generator.config = gan.config
    assert np.any(tape.gradient(value, bias))


# The losses


def scores_and_maps(x: np.ndarray, net) -> list[list[np.ndarray]]:
    found = []
    for scale in net.scales:
        found.append(reference.patches(x, scale, normed))
        x = half(x)
    return found


def squares(maps: list, target: float, weight=1.0) -> float:
    return sum(np.mean(np.reshape(weight, [-1, 1, 1, 1]) * (of_scale[-1] - target) ** 2) for of_scale in maps)


def matched(real: list, fake: list, weight=1.0) -> float:
    weight = np.reshape(weight, [-1, 1, 1, 1])
    scales = [sum(np.mean(weight * abs(r - f)) for r, f in zip(a[:-1], b[:-1], strict=True)) for a, b in zip(real, fake, strict=True)]
    return sum(scales) / len(scales)


def shown_to_temporal(video: np.ndarray, flows: np.ndarray, spacing: int, begin: int, end: int) -> np.ndarray:
    """Pairs of frames `spacing` apart, of which the second is the chunk's last, third last, .. [M,H,W,8]; a chunk is begin..end-1."""
    found = []
    for last in range(end - 1, begin - 1, -2):
        if last - spacing < 0:
            continue
        flow = flows[:, last]
        for between in range(last - 1, last - spacing, -1):
            flow = flow + warped(flows[:, between], flow)
        found.append(np.concatenate([video[:, last - spacing], video[:, last], flow / 20], -1))
    return np.concatenate(found)


def test_losses_are_those_of_the_sheet(gan, monkeypatch):
    batch = batch_of(gan.config)
    monkeypatch.setattr(gan, "vgg", type("Pixels", (), {"name": "pixels"}))
    monkeypatch.setattr(vgg19, "perceptual_distance", lambda network, a, b: tf.reduce_mean(tf.square(a - b)))
    video, flows = (batch[name].numpy().astype(np.float64) for name in ("video", "flow"))
    maps, state, shown = maps_of(batch["source"].numpy(), batch["instances"].numpy()), gan.initial_state(batch), []
    d = gan.discriminator

    def fold(x: np.ndarray) -> np.ndarray:
        return x[:, 3 * i : 3 * i + 3].reshape(6, SIZE, SIZE, -1)

    for i in range(2):
        chunk = {**gan.chunk(batch, i), **state}
        frames = [part.numpy().astype(np.float64) for part in gan.generator.roll(gan.maps(chunk), chunk)[0]]
        final, painted, flow, mask = (part.reshape(6, SIZE, SIZE, -1) for part in frames)
        shown.append(frames[0])
        fakes, begin, end = np.concatenate(shown, 1), 3 * i, 3 * i + 3
        before, now, moved = fold(np.concatenate([video[:, :1], video], 1)), fold(video), fold(flows)
        trusted = (((now - warped(before, moved)) ** 2).sum(-1, keepdims=True) < 0.02).astype(np.float64)
        if i == 0:
            trusted.reshape(2, 3, SIZE, SIZE)[:, 0] = 0
        assert 0.1 < trusted.mean() < 0.9
        last = fold(np.concatenate([np.zeros_like(fakes[:, :1]), fakes], 1))
        expected = {
            "g_flow": 10 / 2 * abs(flow * trusted - moved * trusted).mean(),
            "g_flow_warp": 10 * abs(warped(before, flow) * trusted - now * trusted).mean(),
            "g_warp": 10 * abs(final * trusted - warped(last, moved) * trusted).mean(),
            "g_mask": (mask * trusted).mean(),
            "g_perceptual_pixels": 10 * (((final - now) ** 2).mean() + ((painted - now) ** 2).mean()),
        }
        labels = fold(maps)
        real, *fake = (scores_and_maps(np.concatenate([labels, x], -1), d.image) for x in (now, final, painted))
        expected |= {
            "d_image_real": 0.5 * 2 * squares(real, 1),
            "d_image_fake": 0.5 * sum(squares(x, 0) for x in fake),
            "g_image": sum(squares(x, 1) for x in fake),
            "g_image_features": 10 * sum(matched(real, x) for x in fake),
        }
        for scale, spacing in enumerate((1, 2)):
            real, fake = (scores_and_maps(shown_to_temporal(x, flows, spacing, begin, end), d.temporal[scale]) for x in (video, fakes))
            expected |= {
                f"d_temporal{scale}_real": 0.5 * squares(real, 1),
                f"d_temporal{scale}_fake": 0.5 * squares(fake, 0),
                f"g_temporal{scale}": squares(fake, 1),
                f"g_temporal{scale}_features": 10 * matched(real, fake),
            }
        terms = {**gan.discriminator_loss(chunk)[0], **gan.generator_loss(chunk)[0]}
        assert terms.keys() == expected.keys()
        for name, value in expected.items():
            assert float(terms[name]) == pytest.approx(value, rel=5e-3, abs=1e-4), (i, name)
        state = gan.next_state(chunk)


def test_a_spacing_without_enough_frames_is_no_loss_and_moves_nothing():
    gan = vid2vid.Model(config_of(temporal_frames=3, chunk_frames=2, frames=8, scales=1, blocks=2))
    batch, losses = batch_of(gan.config), []
    state = gan.initial_state(batch)
    for i in range(4):
        chunk = {**gan.chunk(batch, i), **state}
        losses.append({name: float(value) for name, value in gan.discriminator_loss(chunk)[0].items()})
        state = gan.next_state(chunk)
    there = [[loss[f"d_temporal{scale}_real"] > 0 for loss in losses] for scale in (0, 1)]
    assert there == [[False, True, True, True], [False, False, False, True]]  # 3 frames; 7, of which the fourth chunk has 8


@pytest.mark.slow
def test_a_step_in_chunks_is_that_computed_by_hand():
    # A large epsilon makes the step smooth in the gradient. G's rate is low, and all weights are held at once: in its frames, from which
    # the second chunk begins, rounding errors of single weights are some thousand times as large. With the players' turns or the state of
    # the first chunk wrong, a network is off by 0.2 to 0.8.
    rates = {"adam_epsilon": 1.0, "g_learning_rate": 0.01, "d_learning_rate": 0.2}
    config = config_of(scales=1, frames=4, chunk_frames=2, temporal_scales=1, blocks=2, **rates)
    gan, twin, batch = calm(scrambled(config)), calm(scrambled(config)), batch_of(config)
    step_of(gan)([batch])
    optimizers = {"d": AdamByHand(twin.discriminator, config, 0.2), "g": AdamByHand(twin.generator, config, 0.01)}
    before = {name: [w.numpy() for w in getattr(twin, name).trainable_variables] for name in ("generator", "discriminator")}
    state = twin.initial_state(batch)
    for i in range(2):
        chunk = {**twin.chunk(batch, i), **state}
        for name, network, loss in (("d", twin.discriminator, twin.discriminator_loss), ("g", twin.generator, twin.generator_loss)):
            with tf.GradientTape() as tape:
                value = sum(loss({**chunk, "seed": noise.fork(chunk["seed"], GENERATOR_STEP)})[0].values())
            optimizers[name].apply(tape.gradient(value, [weight.value for weight in network.trainable_variables]))
        state = twin.next_state(chunk)
    for name, first in before.items():
        ours, theirs, old = (
            np.concatenate([np.ravel(weight) for weight in weights])
            for weights in (getattr(gan, name).trainable_variables, getattr(twin, name).trainable_variables, first)
        )
        assert np.linalg.norm(ours - theirs) < 0.1 * np.linalg.norm(theirs - old), name


# Frame by frame


@pytest.mark.parametrize("first_frames", ["none", "real", "image"])
def test_a_translation_goes_on_frame_by_frame(first_frames):
    other = vid2vid.Model(config_of(first_frames=first_frames, frames=4, scales=1, blocks=2, batch_size=1, **PICTURES))
    config, batch = other.config, batch_of(other.config, 1)
    whole = to_unit(other.ema_generator(**other.inputs(batch), mode="sample"))
    inputs = {name: to_unit(entry) if name == "video" else entry for name, entry in other.inputs(batch).items()}
    sampler, given = Sampler(other), max(1, config.given_frames)
    with forms.plain():
        first, state = sampler.start(**{name: entry[:, :given] for name, entry in inputs.items()})
        frames, shapes = [first], tf.nest.map_structure(lambda t: t.shape, state)
        for t in range(given, 4):
            frame, state = sampler.next(state, {name: inputs[name][:, t : t + 1] for name in ("source", "instances")})
            assert frame.shape == (1, 1, SIZE, SIZE, 3) and tf.nest.map_structure(lambda t: t.shape, state) == shapes
            frames.append(frame)
    np.testing.assert_allclose(tf.concat(frames, 1), whole, atol=1e-4)
    clip, _ = other.unroll(other.ema_generator, other.inputs(batch), {})
    np.testing.assert_allclose(to_unit(clip), whole, atol=1e-5)  # in one part


def test_pictures_of_labels_become_a_film_frame_by_frame(tmp_path):
    config = config_of(frames=1, chunk_frames=1, scales=1, blocks=2)
    other = vid2vid.Model(config)
    draw = np.random.default_rng(0)
    for name, most in (("source", LABELS), ("instances", 2)):
        (tmp_path / name).mkdir()
        for t in range(4):
            Image.fromarray(draw.integers(0, most, [SIZE, SIZE]).astype(np.uint8)).save(tmp_path / name / f"{t}.png")
    generator = Generator("run", config, (), 0, Sampler(other))
    assert generator.streams and not generator.goes_on()
    with forms.plain():
        assert sample.translate_in_turn(generator, str(tmp_path), str(tmp_path / "made.mp4")) == 4
        with av.open(str(tmp_path / "made.mp4")) as film:
            assert [frame.to_ndarray(format="rgb24").shape for frame in film.decode(video=0)] == [(SIZE, SIZE, 3)] * 4
        (tmp_path / "instances" / "3.png").unlink()
        with pytest.raises(UserError, match="got fewer or other frames of instances"):
            sample.translate_in_turn(generator, str(tmp_path), str(tmp_path / "other.mp4"))
        with pytest.raises(UserError, match="got no folder of instances"):
            sample.translate_in_turn(generator, str(tmp_path / "source"), str(tmp_path / "other.mp4"))
        assert not (tmp_path / "other.mp4").exists()


# First frames


def test_parameters_of_the_network_of_first_frames():
    def convolution(inputs: int, outputs: int, size: int = 3) -> int:
        return size * size * inputs * outputs + outputs

    halvings, widths = sum(convolution(w, 2 * w) for w in (64, 128, 256)), 64 + 128 + 256
    expected = convolution(36, 64, 7) + 2 * halvings - widths + 18 * convolution(512, 512) + convolution(64, 3, 7)
    with tf.Graph().as_default():
        network = vid2vid.Generator(vid2vid.Config(phase="image", first_frames="image", frames=1))
    assert total(network.image) == expected == 45_696_835 and network.weights == network.image.weights


def test_first_frames_are_made_alone_and_the_others_follow_them():
    gan = calm(scrambled(config_of(first_frames="image", frames=5, scales=1, blocks=2, **PICTURES)))
    batch, network = batch_of(gan.config), gan.generator
    assert gan.inputs(batch).keys() == {"source", "instances"} and gan.config.given_frames == 2
    made, maps = network(**gan.inputs(batch), mode="train"), gan.maps(batch)
    for t in range(2):  # each from its own labels
        np.testing.assert_allclose(made[:, t], network.image(maps[:, t]), atol=1e-5)
    real = vid2vid.Generator(dataclasses.replace(gan.config, first_frames="real"))
    paths, of_real = checkpoints.paths(network), checkpoints.paths(real)
    assert paths.keys() - of_real.keys() == {path for path in paths if path.startswith("image/")}
    for path, weight in of_real.items():
        weight.assign(paths[path])
    follow = real(batch["source"], instances=batch["instances"], video=made[:, :2], mode="train")
    np.testing.assert_allclose(made, follow, atol=1e-5)
    # It learns from real ones, and leaves their network alone.
    np.testing.assert_array_equal(gan.initial_state(batch)["past0"], batch["video"][:, :2])
    assert not network.image.trainable_variables
    for gradient in gradients_of(gan, batch, network.image.variables):
        assert gradient is None


def gradients_of(gan: vid2vid.Model, batch: dict[str, tf.Tensor], variables: list) -> list[tf.Tensor | None]:
    """Of G's loss, summed."""
    weights = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        loss = tf.add_n(list(gan.generator_loss(batch)[0].values()))
    return tape.gradient(loss, weights)


def test_the_image_phase_trains_the_network_of_first_frames_alone(monkeypatch):
    gan = scrambled(config_of(phase="image", first_frames="image", frames=2, temporal_scales=2, d_scales=2, **PICTURES))
    monkeypatch.setattr(gan, "vgg", type("Pixels", (), {"name": "pixels"}))
    monkeypatch.setattr(vgg19, "perceptual_distance", lambda network, a, b: tf.reduce_mean(tf.square(a - b)))
    batch = batch_of(gan.config)
    assert "flow" not in batch and not gan.discriminator.temporal
    made = gan.generator(**gan.inputs(batch), mode="train")
    maps, d = maps_of(batch["source"].numpy(), batch["instances"].numpy()), gan.discriminator
    np.testing.assert_allclose(made, unfold(gan.generator.image(tf.constant(maps.reshape(4, SIZE, SIZE, -1), tf.float32)), 2), atol=1e-5)
    real, fake = (
        scores_and_maps(np.concatenate([maps, x.numpy().astype(np.float64)], -1).reshape(4, SIZE, SIZE, -1), d.image)
        for x in (batch["video"], made)
    )
    expected = {
        "d_image_real": 0.5 * squares(real, 1),
        "d_image_fake": 0.5 * squares(fake, 0),
        "g_image": squares(fake, 1),
        "g_image_features": 10 * matched(real, fake),
        "g_perceptual_pixels": 10 * float(tf.reduce_mean(tf.square(made - batch["video"]))),
    }
    terms = {**gan.discriminator_loss(batch)[0], **gan.generator_loss(batch)[0]}
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=5e-3, abs=1e-4), name
    # Its run begins one that has all networks.
    phases = (dataclasses.replace(gan.config, phase=phase, frames=6) for phase in ("image", "joint"))
    alone, both = (checkpoints.paths(vid2vid.Generator(config)) for config in phases)
    assert alone and all(path.startswith("image/") and both[path].shape == weight.shape for path, weight in alone.items())
    assert all(gradient is not None for gradient in gradients_of(gan, batch, gan.generator.trainable_variables))


@pytest.mark.slow
def test_a_growing_run_begins_with_the_network_that_a_run_of_pictures_trained(tmp_path):
    def run(folder: str, **changes: object) -> dict[str, np.ndarray]:
        config = config_of(first_frames="image", scales=1, blocks=2, batch_size=1, checkpoint_every_steps=1, **PICTURES, **changes)
        train(config, models.dataset(config, "train"), str(tmp_path / folder), tf.distribute.OneDeviceStrategy("CPU:0"))
        prefix = tmp_path / folder / "checkpoints" / f"ckpt-{config.steps}"
        return checkpoints.read(prefix, list(checkpoints.shapes(prefix)))

    pictures = run("pictures", phase="image", frames=1, steps=1)
    growing = {"frames": 6, "chunk_frames": 2, "grow_from_frames": 2, "grow_every_steps": 1, "init_from": str(tmp_path / "pictures")}
    whole = run("whole", **growing, steps=2)
    assert whole["g_optimizer/iterations"] == 1 + 2  # chunks
    mine = [name for name in pictures if name.startswith(("generator/image/", "ema_generator/image/"))]
    assert mine and all(np.array_equal(whole[name], pictures[name]) for name in mine)
    run("killed", **growing, steps=1)
    again = run("killed", **growing, steps=2)
    assert whole.keys() == again.keys() and all(np.array_equal(whole[name], again[name]) for name in whole)


@pytest.mark.slow
def test_an_export_makes_its_first_frames_itself(tmp_path):
    other = vid2vid.Model(config_of(first_frames="image", frames=4, scales=1, blocks=2, **PICTURES))
    batch, sampler = batch_of(other.config, 1), Sampler(other)
    write(Generator("run", other.config, ("film",), 0, sampler), str(tmp_path / "export"), overwrite=False)
    module, inputs = tf.saved_model.load(str(tmp_path / "export")), other.inputs(batch)
    whole = to_unit(other.ema_generator(**inputs, mode="sample"))
    np.testing.assert_allclose(module.translate(**inputs), whole, atol=1e-4)
    first, state = module.start(**{name: entry[:, :2] for name, entry in inputs.items()})
    following, _ = module.next(state, {name: entry[:, 2:3] for name, entry in inputs.items()})
    np.testing.assert_allclose(tf.concat([first, following], 1), whole[:, :3], atol=1e-4)


# Phases, faces and the flags


def test_the_finest_phase_trains_the_last_scale_and_joint_all_but_what_nothing_reaches():
    finest = vid2vid.Generator(config_of(phase="finest"))
    coarse, fine = finest.scales
    assert not coarse.trainable_variables and count(finest) == count(fine) > 0
    joint = vid2vid.Generator(config_of())
    heads = {id(weight) for head in joint.scales[0].heads for weight in head.weights}
    assert len(heads) == 8 and {id(weight) for weight in joint.trainable_variables} == {id(weight) for weight in joint.weights} - heads
    through = vid2vid.Generator(config_of(backpropagate_frames=2))
    assert len(through.trainable_variables) == len(through.weights)
    alone, both = (checkpoints.paths(network) for network in (vid2vid.Generator(config_of(scales=1)), joint))
    assert len(both) == len(joint.weights)
    assert all(both[path].shape == weight.shape for path, weight in alone.items())  # a run of one scale begins one of two


def test_faces_are_judged_apart_with_twice_the_weight():
    gan = vid2vid.Model(config_of(face_size=8, frames=3, scales=1, blocks=2))
    batch = gan.with_state(batch_of(gan.config))
    maps = gan.maps(batch)
    frames, _ = gan.generator.roll(maps, batch)
    question = gan.questions(batch, maps, frames)[-1]
    assert (question.name, question.factor, len(question.fakes)) == ("face", 2.0, 1)
    row, column = (int(np.clip(center - 4, 0, SIZE - 8)) for center in batch["face"][1, 2])
    expected = np.concatenate([maps[1, 4], frames.final[1, 2]], -1)[row : row + 8, column : column + 8]
    np.testing.assert_allclose(question.fakes[0][5], expected, atol=1e-6)
    scores = question.judge(question.fakes[0], mode="train")
    assert float(gan.generator_loss(batch)[0]["g_face"]) == pytest.approx(2 * squares(scores, 1), rel=1e-4)
    assert {"d_face_real", "d_face_fake"} <= gan.discriminator_loss(batch)[0].keys()


def test_flows_over_several_frames_add_up():
    steady = tf.tile(tf.constant([1.0, -0.5]), [2 * 5 * 8 * 8])
    np.testing.assert_allclose(flow_over(tf.reshape(steady, [2, 5, 8, 8, 2]), 4, 3), np.broadcast_to([3.0, -1.5], [2, 8, 8, 2]))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"phase": "all"}, "--phase=all: expected one of finest, joint, image"),
        ({"first_frames": "picture"}, "--first_frames=picture: expected one of none, real, image"),
        ({"phase": "image"}, "--phase=image: got --first_frames=none, expected --first_frames=image"),
        ({"first_frames": "image", "image_halvings": 5}, "--size=16: expected a multiple of 32, at least 64"),
        ({"first_frames": "image", "image_halvings": 3, "image_local_blocks": 1, "size": 24}, "--size=24: expected a multiple of 16"),
        ({"first_frames": "image", "frames": 2, **PICTURES}, "--frames=2: expected more than 2"),
        ({"source_channels": 3}, "--source_labels=4 --source_channels=3: expected one of them"),
        ({"source_labels": 0, "source_channels": 3}, "--source_labels=0: got True and '2', expected --instances=false --foreground="),
        ({"foreground": "4"}, "--foreground=4: expected numbers below --source_labels=4"),
        ({"foreground": "car"}, "--foreground=car: expected numbers below"),
        ({"size": 18}, "--size=18: expected a multiple of 4, at least 8"),
        ({"channels": 6}, "--channels=6: expected a multiple of 4"),
        ({"first_frames": "real", "frames": 2}, "--frames=2: expected more than 2"),
        ({"backpropagate_frames": 4}, "--backpropagate_frames=4: expected at most --chunk_frames=3"),
        ({"grow_every_steps": 1}, "--grow_from_frames=0: expected 3, a chunk, to 6, all that are generated, with --grow_every_steps=1"),
        ({"grow_every_steps": 1, "grow_from_frames": 7}, "--grow_from_frames=7: expected 3, a chunk, to 6"),
        ({"face_size": 32}, "--face_size=32: expected at most the frame's 16"),
        ({"temporal_scales": 48}, "--temporal_scales=48 --temporal_frames=2: expected them to reach back at most 256 frames"),
        ({"temporal_frames": 1}, "--temporal_frames=1: expected at least 2"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        config_of(**changes)
