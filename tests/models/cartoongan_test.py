"""CartoonGAN against its paper's figure 2 and its authors' code, in NumPy."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import pix2pix_reference as reference
from tests.conftest import small
from tests.pix2pix_reference import conv, deconv, instance_norm, leaky, relu
from tests.reference import AdamByHand, clips, count, scrambled, seeds_of
from tfvideogan import models
from tfvideogan.config import UserError
from tfvideogan.convert import convert
from tfvideogan.gan import GENERATOR_STEP
from tfvideogan.layers import vgg19
from tfvideogan.models import cartoongan
from tfvideogan.ops import noise
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run, from_run
from tfvideogan.training.step import make_step


def batch_of(n: int = 4, frames: int = 2, size: int = 16) -> dict[str, tf.Tensor]:
    streams = {name: clips(frames, size, n, seed) for seed, name in enumerate(("source", "video", "smoothed"))}
    return {**streams, "seed": seeds_of(n)}


# The tables


def test_the_authors_code_is_the_default():
    config = cartoongan.Config()
    assert (config.phase, config.frames, config.size, config.channels, config.blocks, config.batch_size) == (
        "adversarial",
        1,
        256,
        64,
        8,
        8,
    )
    assert (config.gan_loss, config.content_weight, config.flip, config.d_steps) == ("lsgan", 0.078, True, 1)
    assert (config.g_learning_rate, config.d_learning_rate, config.beta_1, config.beta_2, config.adam_epsilon) == (
        1e-5,
        1e-5,
        0.5,
        0.999,
        1e-8,
    )
    assert config.learning_rate_schedule == "linear" and config.steps == 2 * config.decay_start_step
    assert config.content_weight == pytest.approx(10 / 127.5**2 * 127.5, rel=0.01)  # of features that are divided by 127.5


def test_parameter_counts_are_those_of_the_published_weights():
    with tf.Graph().as_default():  # nothing allocated
        gan = models.build(cartoongan.Config())
        assert (count(gan.generator), count(gan.discriminator)) == (11_129_667, 1_129_665)
        layers = cartoongan.published_layers(gan.generator)
        shapes = {}
        for name, layer in layers.items():
            kernel = getattr(layer, "kernel", None)
            shapes[name] = [*layer.gain.shape] if kernel is None else [*kernel.shape[::-1][:2], *kernel.shape[:2]]  # PyTorch's order
        assert not count(models.build(cartoongan.Config(phase="initialization")).discriminator)
    assert 2 * len(layers) == 94
    expected = {"conv01_1": [64, 3, 7, 7], "in01_1": [64], "conv02_1": [128, 64, 3, 3], "conv02_2": [128, 128, 3, 3], "in02_1": [128]}
    expected |= {"conv03_1": [256, 128, 3, 3], "conv03_2": [256, 256, 3, 3], "in03_1": [256]}
    for number in range(4, 12):
        for i in (1, 2):
            expected |= {f"conv{number:02d}_{i}": [256, 256, 3, 3], f"in{number:02d}_{i}": [256]}
    expected |= {"deconv01_1": [256, 128, 3, 3], "deconv01_2": [128, 128, 3, 3], "in12_1": [128]}
    expected |= {"deconv02_1": [128, 64, 3, 3], "deconv02_2": [64, 64, 3, 3], "in13_1": [64], "deconv03_1": [3, 64, 7, 7]}
    assert shapes == expected


def test_first_weights():
    gan = models.build(small("cartoongan", channels=32))
    for network in (gan.generator, gan.discriminator):
        for weight in network.trainable_variables:
            if "gain" in weight.path:
                assert 0 <= weight.numpy().min() and 0.6 < weight.numpy().max() <= 1
            elif len(weight.shape) == 1:
                assert not np.any(weight)
    assert gan.generator.body[0].stages[0].convolutions[0].kernel.numpy().std() == pytest.approx(0.02, rel=0.02)


def normed(x: np.ndarray, norm) -> np.ndarray:
    return instance_norm(x, 1e-5, norm.gain, norm.shift)


def generator(x: np.ndarray, net) -> np.ndarray:
    """[n,H,W,3] -> the same, float64."""
    x = relu(normed(conv(x, net.first.convolutions[0], 1, 3, "reflect"), net.first.norm))
    for stage in net.down:
        x = conv(conv(x, stage.convolutions[0], 2, 1), stage.convolutions[1], 1, 1)  # nothing between the two
        x = relu(normed(x, stage.norm))
    for block in net.body:
        one, other = block.stages
        y = relu(normed(conv(x, one.convolutions[0], 1, 1, "reflect"), one.norm))
        x = x + normed(conv(y, other.convolutions[0], 1, 1, "reflect"), other.norm)  # no ReLU after the sum
    for stage in net.up:
        x = conv(deconv(x, stage.convolutions[0]), stage.convolutions[1], 1, 1)
        x = relu(normed(x, stage.norm))
    return np.tanh(conv(x, net.last, 1, 3, "reflect"))


def discriminator(x: np.ndarray, net) -> np.ndarray:
    """Layer by layer, as the paper's figure lists them."""
    c, n = net.convolutions, net.norms
    x = leaky(conv(x, c[0], 1, 1))
    x = leaky(conv(x, c[1], 2, 1))
    x = leaky(normed(conv(x, c[2], 1, 1), n[2]))
    x = leaky(conv(x, c[3], 2, 1))
    x = leaky(normed(conv(x, c[4], 1, 1), n[4]))
    x = leaky(normed(conv(x, c[5], 1, 1), n[5]))
    return conv(x, net.score, 1, 1)


@pytest.fixture(scope="module")
def gan() -> cartoongan.Model:
    return scrambled(small("cartoongan", blocks=2))


def test_networks_compute_the_figure_frame_by_frame(gan):
    video = np.random.default_rng(0).uniform(-1, 1, [2, 2, 8, 12, 3]).astype(np.float32)
    frames = video.reshape(-1, 8, 12, 3).astype(np.float64)
    expected = generator(frames, gan.generator).reshape(video.shape)
    made = gan.generator(video, mode="train")
    np.testing.assert_allclose(made, expected, atol=1e-4)
    np.testing.assert_array_equal(gan.generator(video, mode="sample"), made)  # statistics are the picture's own after training too
    scores = gan.discriminator(video, mode="train")
    assert scores.shape == (4, 2, 3, 1) and made.dtype == scores.dtype == tf.float32 and np.ptp(expected) > 0.2 < np.ptp(scores)
    np.testing.assert_allclose(scores, discriminator(frames, gan.discriminator), atol=1e-4)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


@pytest.mark.parametrize("gan_loss", ["lsgan", "log"])
def test_losses_are_those_of_the_equations(gan, gan_loss):
    batch = batch_of(2, size=8)
    gan.config = dataclasses.replace(gan.config, gan_loss=gan_loss, pixel_weight=0.7)
    folded = {name: value.numpy().reshape(-1, 8, 8, 3).astype(np.float64) for name, value in batch.items() if name != "seed"}
    fake = generator(folded["source"], gan.generator)
    scores = {
        n: discriminator(x, gan.discriminator) for n, x in (("real", folded["video"]), ("smoothed", folded["smoothed"]), ("fake", fake))
    }

    def term(name: str, real: bool) -> float:
        s = scores[name]
        if gan_loss == "lsgan":
            return ((s - 1) ** 2).mean() if real else (s**2).mean()
        return softplus(-s).mean() if real else softplus(s).mean()

    d_terms, watched = gan.discriminator_loss(batch)
    expected = {"d_real": term("real", True), "d_smoothed": term("smoothed", False), "d_fake": term("fake", False)}
    assert d_terms.keys() == expected.keys()
    for name, value in expected.items():
        assert float(d_terms[name]) == pytest.approx(value, rel=1e-3), name
    assert float(watched["score_smoothed"]) == pytest.approx(scores["smoothed"].mean(), rel=1e-3)
    g_terms, _ = gan.generator_loss(batch)
    assert g_terms.keys() == {"g_loss", "g_content_pixels"}
    assert float(g_terms["g_loss"]) == pytest.approx(term("fake", True), rel=1e-3)
    assert float(g_terms["g_content_pixels"]) == pytest.approx(0.7 * abs(fake - folded["source"]).mean(), rel=1e-3)


def test_the_content_is_named_by_its_weights_and_read_before_the_relu(gan, tmp_path):
    keras.utils.set_random_seed(0)
    keras.applications.VGG19(weights=None, include_top=False).save_weights(tmp_path / "stand_in.weights.h5")
    spec = f"vgg19:{tmp_path}/stand_in.weights.h5"
    pictures, photos = clips(1, 16, 2)[:, 0], clips(1, 16, 2, seed=1)[:, 0]
    gan.config = dataclasses.replace(gan.config, content_weight=0.5, content_resize=False)
    gan.vgg = vgg19.network(spec)
    (name, loss), *others = gan.content(pictures, photos).items()
    weights = [weight for pair in vgg19.read(spec) for weight in pair]
    maps = [reference.vgg(x.numpy().astype(np.float64), weights, {"conv4_4": False}, "conv4_4")["conv4_4"] for x in (pictures, photos)]
    assert name == "g_content_stand_in" and not others
    assert float(loss) == pytest.approx(0.5 * abs(maps[0] - maps[1]).mean(), rel=1e-3)
    gan.config = dataclasses.replace(gan.config, content_resize=True)
    gan.vgg.features = lambda x, layers, rectified: [x]  # so that the pictures themselves are seen
    resized = [tf.image.resize(x, [224, 224]).numpy() for x in (pictures, photos)]
    assert float(gan.content(pictures, photos)["g_content_stand_in"]) == pytest.approx(0.5 * abs(resized[0] - resized[1]).mean(), rel=1e-4)
    gan.vgg = None


def test_a_step_is_that_computed_by_hand():
    config = small("cartoongan", g_learning_rate=0.01, d_learning_rate=0.02, pixel_weight=0.7, learning_rate_schedule="constant")
    gan, twin, batch = scrambled(config), scrambled(config), batch_of()
    steps = tf.Variable(0, dtype=tf.int64)
    before = {name: [w.numpy() for w in getattr(gan, name).trainable_variables] for name in ("generator", "discriminator")}
    scalars = make_step(gan, make_optimizers(gan, steps), steps, tf.distribute.get_strategy(), flat=True)([batch])

    def d(video: tf.Tensor) -> tf.Tensor:
        return twin.discriminator(video, mode="train")

    def update(network, rate: float, loss: tf.Tensor, tape: tf.GradientTape) -> None:
        AdamByHand(network, config, rate).apply(tape.gradient(loss, [weight.value for weight in network.trainable_variables]))

    with tf.GradientTape() as tape:
        fake = twin.generator(batch["source"], mode="train")
        d_loss = tf.reduce_mean((d(batch["video"]) - 1) ** 2) + tf.reduce_mean(d(batch["smoothed"]) ** 2) + tf.reduce_mean(d(fake) ** 2)
    update(twin.discriminator, 0.02, d_loss, tape)
    batch = {**batch, "seed": noise.fork(batch["seed"], GENERATOR_STEP)}
    with tf.GradientTape() as tape:
        fake = twin.generator(batch["source"], mode="train")
        content = 0.7 * tf.reduce_mean(abs(fake - batch["source"]))
        g_loss = tf.reduce_mean((d(fake) - 1) ** 2)  # of the D after its update
        total = g_loss + content
    update(twin.generator, 0.01, total, tape)

    assert sum(float(scalars[name]) for name in ("d_real", "d_smoothed", "d_fake")) == pytest.approx(float(d_loss), rel=1e-4)
    assert (float(scalars["g_loss"]), float(scalars["g_content_pixels"])) == pytest.approx((float(g_loss), float(content)), rel=1e-4)
    for name, first in before.items():
        moved = []
        for ours, theirs, old in zip(getattr(gan, name).trainable_variables, getattr(twin, name).trainable_variables, first, strict=True):
            moved.append(np.abs(theirs.numpy() - old).max())
            if "bias" not in ours.path:  # those before a norm have no gradient but rounding's, which Adam makes steps of
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.05 * moved[-1] + 1e-6, err_msg=ours.path)
        assert np.mean(np.array(moved) > 1e-3) > 0.5


# The phases


def test_initialization_trains_g_by_the_content_alone_and_has_no_d(tmp_path):
    config = small("cartoongan", phase="initialization", g_learning_rate=0.01)
    gan, batch, steps = models.build(config), batch_of(), tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizers = make_optimizers(gan, steps)
    del batch["smoothed"]
    assert set(gan.batch_specs(config)) == set(batch)
    scalars = make_step(gan, optimizers, steps, tf.distribute.get_strategy(), flat=True)([batch])
    assert set(scalars) == {"g_content_pixels", "g_gradient_norm"} and int(steps) == 1
    run = Run(tmp_path / "first", config, gan, ("scene",), optimizers, steps)
    run.claim()
    run.save()
    later = small("cartoongan", init_from=str(tmp_path / "first"))
    second, steps = models.build(later), tf.Variable(0, dtype=tf.int64, trainable=False)
    Run(tmp_path / "second", later, second, ("scene",), make_optimizers(second, steps), steps).begin_from(later.init_from)
    for a, b in zip(gan.generator.variables, second.generator.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert second.discriminator.trainable_variables


# Published weights


def published(folder, seed: int = 0) -> dict[str, np.ndarray]:
    """Drawn weights in the published layout, 4 channels wide, in a folder."""
    draw, files = np.random.default_rng(seed), {}
    c = {"conv01_1": (4, 3, 7), "in01_1": 4, "conv02_1": (8, 4, 3), "conv02_2": (8, 8, 3), "in02_1": 8, "conv03_1": (16, 8, 3)}
    c |= {"conv03_2": (16, 16, 3), "in03_1": 16, "conv04_1": (16, 16, 3), "in04_1": 16, "conv04_2": (16, 16, 3), "in04_2": 16}
    c |= {"deconv01_1": (16, 8, 3), "deconv01_2": (8, 8, 3), "in05_1": 8, "deconv02_1": (8, 4, 3), "deconv02_2": (4, 4, 3), "in06_1": 4}
    c |= {"deconv03_1": (3, 4, 7)}
    for name, shape in c.items():
        if isinstance(shape, int):
            files |= {f"{name}.scale": draw.uniform(0.5, 1.5, shape), f"{name}.shift": draw.normal(0, 0.2, shape)}
        else:
            outputs = shape[1] if name in ("deconv01_1", "deconv02_1") else shape[0]
            files |= {f"{name}.weight": draw.normal(0, 0.2, [*shape, shape[2]]), f"{name}.bias": draw.normal(0, 0.2, outputs)}
    folder.mkdir()
    for name, values in files.items():
        np.save(folder / f"{name}.npy", values.astype(np.float32))
    return {name: values.astype(np.float32) for name, values in files.items()}


def published_generator(x: np.ndarray, files: dict[str, np.ndarray]) -> np.ndarray:
    """The published network, of one residual block, on blue, green, red."""

    class Layer:
        def __init__(self, name: str):
            self.kernel, self.bias = files[f"{name}.weight"].transpose(2, 3, 1, 0), files[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return instance_norm(x, 1e-5, files[f"{name}.scale"], files[f"{name}.shift"])

    x = relu(norm(conv(x, Layer("conv01_1"), 1, 3, "reflect"), "in01_1"))
    for n in ("02", "03"):
        x = relu(norm(conv(conv(x, Layer(f"conv{n}_1"), 2, 1), Layer(f"conv{n}_2"), 1, 1), f"in{n}_1"))
    y = relu(norm(conv(x, Layer("conv04_1"), 1, 1, "reflect"), "in04_1"))
    x = x + norm(conv(y, Layer("conv04_2"), 1, 1, "reflect"), "in04_2")
    for n, after in (("01", "05"), ("02", "06")):
        # a transposed convolution's weights are [in,out,k,k], and so become [k,k,out,in], as this reference takes them
        x = relu(norm(conv(deconv(x, Layer(f"deconv{n}_1")), Layer(f"deconv{n}_2"), 1, 1), f"in{after}_1"))
    return np.tanh(conv(x, Layer("deconv03_1"), 1, 3, "reflect"))


def test_published_weights_become_a_run_that_is_sampled(tmp_path):
    files = published(tmp_path / "style")
    config = cartoongan.Config(size=16, channels=4, blocks=1)
    convert(config, str(tmp_path / "style"), str(tmp_path / "run"))
    with pytest.raises(UserError, match="--output=.*run: is there already"):
        convert(config, str(tmp_path / "style"), str(tmp_path / "run"))
    with pytest.raises(UserError, match="^vgan: expected a model with published weights: cartoongan"):
        convert(small("vgan"), str(tmp_path / "style"), str(tmp_path / "other"))
    generator = from_run(str(tmp_path / "run"), dataclasses.replace(config, classes=1), best=False)  # no data set is there, nor VGG19
    assert generator.kind == "translation" and generator.step == 0
    picture = np.random.default_rng(0).uniform(0, 1, [1, 1, 16, 16, 3]).astype(np.float32)
    expected = published_generator(2 * picture[:, 0, :, :, ::-1].astype(np.float64) - 1, files)[..., ::-1]
    np.testing.assert_allclose(generator.source.translate(picture)[:, 0], 0.5 * expected + 0.5, atol=1e-4)


def test_weights_of_another_layout_are_refused(tmp_path):
    gan = models.build(cartoongan.Config(size=16, channels=4, blocks=1))
    published(tmp_path / "style")
    np.save(tmp_path / "style" / "extra.npy", np.zeros(1))
    with pytest.raises(UserError, match=r"got extra.npy too"):
        cartoongan.assign_published(gan, str(tmp_path / "style"))
    np.save(tmp_path / "style" / "in02_1.scale.npy", np.zeros(9))
    with pytest.raises(UserError, match=r"in02_1.scale.npy is of \[9\], expected \[8\]"):
        cartoongan.assign_published(gan, str(tmp_path / "style"))
    (tmp_path / "style" / "conv02_2.bias.npy").unlink()
    with pytest.raises(UserError, match=r"--weights=.*style: got no conv02_2.bias.npy, expected the 94 files"):
        cartoongan.assign_published(gan, str(tmp_path / "style"))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"size": 18}, r"--size=18: expected a multiple of 4, at least 8, for --model=cartoongan"),
        ({"width": 4}, r"--width=4: expected a multiple of 4, at least 8"),
        ({"phase": "all"}, r"--phase=all: expected one of initialization, adversarial"),
        ({"gan_loss": "hinge"}, r"--gan_loss=hinge: expected one of lsgan, log"),
        ({"perceptual": "vgg"}, r"--perceptual=vgg: expected none, keras or vgg19:FILE"),
        ({"channels": 5}, r"--channels=5: expected an even number"),
    ],
)
def test_config_refuses_what_cannot_be_built(changes, message):
    with pytest.raises(UserError, match=message):
        small("cartoongan", **changes)
