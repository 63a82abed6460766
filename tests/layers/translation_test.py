"""What the translations share, against PyTorch's definitions in NumPy: tests/pix2pix_reference.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import pix2pix_reference as reference
from tests.reference import count, scramble
from tfvideogan import losses
from tfvideogan.config import UserError
from tfvideogan.layers import pix2pix_hd, vgg19
from tfvideogan.layers.instance_norm import InstanceNorm
from tfvideogan.layers.norm import BatchNorm
from tfvideogan.layers.padded_conv import DoublingConv, PaddedConv, torch_bias
from tfvideogan.layers.patch_discriminator import MultiScaleDiscriminator, PatchDiscriminator
from tfvideogan.ops.resample import average_pool_overlapping


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def scrambled(layer, scale: float = 0.3):
    scramble(layer, scale=scale)
    return layer


def instance(channels: int) -> InstanceNorm:
    return InstanceNorm(channels, 1e-5, gain=None)


def test_the_transposed_convolution_is_pytorchs_on_one_line_by_hand():
    # A row of two pixels, 1 and 10, and the kernel's middle row 1, 2, 3: x(i) w(k) falls on 2i + k - 1, so on the second pixel meet
    # 1 * 3 and 10 * 1; the first 1 * 1 falls off the start, and the end keeps 10 * 3, which "SAME" cuts off.
    layer = DoublingConv(1, 1, "zeros", "zeros")
    layer.kernel.assign(np.array([[0, 0, 0], [1, 2, 3], [0, 0, 0]], np.float32)[:, :, None, None])
    y = layer(tf.constant([[[[1.0], [10.0]]]])).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(y, [[2, 13, 20, 30], [0, 0, 0, 0]])


@pytest.mark.parametrize("height, width", [(4, 6), (5, 3)])
def test_convolutions_are_pytorchs(height, width):
    x = pictures(2, height, width, 2)
    for kernel, stride, around, reflect in ((7, 1, 2, True), (3, 1, 1, True), (3, 2, 1, False), (3, 1, 1, False), (4, 2, 2, False)):
        layer = scrambled(PaddedConv(2, 3, kernel, stride, around, reflect, "zeros", "zeros"))
        expected = reference.conv(x, layer, stride, around, "reflect" if reflect else "constant")
        np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    layer = scrambled(DoublingConv(2, 3, "zeros", "zeros"))
    np.testing.assert_allclose(layer(x), reference.deconv(x, layer), atol=1e-5)
    np.testing.assert_allclose(average_pool_overlapping(x), reference.half(x), atol=1e-6)


def test_biases_start_as_pytorchs():
    bias = PaddedConv(2, 4000, 3, 1, 1, True, "zeros", torch_bias(18)).bias.numpy()
    assert 0.97 * 18**-0.5 < abs(bias).max() <= 18**-0.5 and abs(bias.mean()) < 0.02
    for layer, fan in ((pix2pix_hd.outer(6, 64), 294), (pix2pix_hd.halving(64, 128), 576), (pix2pix_hd.doubling(128, 64), 576)):
        assert 0.9 * fan**-0.5 < abs(layer.bias.numpy()).max() <= fan**-0.5
        assert layer.kernel.numpy().std() == pytest.approx(0.02, rel=0.05)


def test_instance_norm_and_its_gradient():
    x, dy = pictures(2, 4, 3, 2) * [1.0, 0.01] + [5, 0], pictures(2, 4, 3, 2, seed=1)
    layer = scrambled(InstanceNorm(2, 1e-5, gain="ones"))
    expected = reference.instance_norm(x, 1e-5, layer.gain, layer.shift)
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), expected, atol=1e-4)
    x = tf.constant(pictures(2, 4, 3, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = tf.reduce_sum(dy * instance(2)(x))
        mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
        plain = tf.reduce_sum(dy * (x - mean) / tf.sqrt(variance + 1e-5))
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(plain, x), atol=1e-4)
    assert instance(2)(tf.cast(x, tf.bfloat16)).dtype == tf.bfloat16 and not instance(2).weights


def test_the_generators_compute_the_tables_at_sizes_that_are_not_square():
    x = pictures(2, 24, 16, 6)
    trunk, painter = scrambled(pix2pix_hd.Trunk(6, 4, 2, 1)), scrambled(pix2pix_hd.Painter(4, 3))
    np.testing.assert_allclose(painter(trunk(x)), reference.painter(reference.trunk(x, trunk), painter), atol=1e-4)
    enhancer = scrambled(pix2pix_hd.Enhancer(6, 2, 1))
    features, expected = trunk(average_pool_overlapping(x)), reference.trunk(reference.half(x), trunk)
    np.testing.assert_allclose(enhancer(x, features), reference.enhancer(x, expected, enhancer), atol=1e-4)


@pytest.mark.parametrize("local_blocks", [0, 1])
def test_the_whole_generator_reads_the_picture_and_its_half_where_it_has_an_enhancer(local_blocks):
    x, whole = pictures(2, 24, 16, 6), scrambled(pix2pix_hd.PictureGenerator(6, 4, 2, 1, local_blocks))
    features = reference.trunk(reference.half(x) if local_blocks else x, whole.trunk)
    features = reference.enhancer(x, features, whole.enhancer) if local_blocks else features
    np.testing.assert_allclose(whole(x), reference.painter(features, whole.painter), atol=1e-4)


def test_the_discriminator_computes_the_table_at_each_scale():
    net = scrambled(MultiScaleDiscriminator(2, 3, 2, 3, instance))
    real, fake = pictures(2, 24, 16, 3), pictures(2, 24, 16, 3, seed=1)
    of_real, of_fake = (net(x, mode="train") for x in (real, fake))
    expected = [[reference.patches(x, net.scales[0]), reference.patches(reference.half(x), net.scales[1])] for x in (real, fake)]
    for ours, theirs in zip([of_real, of_fake], expected, strict=True):
        for maps, expected_maps in zip(ours, theirs, strict=True):
            for a, b in zip(maps, expected_maps, strict=True):
                assert a.shape == b.shape
                np.testing.assert_allclose(a, b, atol=1e-4)
    assert float(losses.feature_matching(of_real, of_fake)) == pytest.approx(reference.feature_matching(*expected), rel=1e-4)


def test_maps_grow_by_one_where_the_stride_is_1():
    with tf.Graph().as_default():
        maps = PatchDiscriminator(3, 2, 3, instance)(tf.zeros([1, 256, 256, 3]), mode="train")
    assert [x.shape[1] for x in maps] == [129, 65, 33, 34, 35]


def test_feature_matching_takes_no_gradient_of_real_maps_and_none_of_scores():
    real, fake = tf.constant([[[[1.0]]]]), tf.constant([[[[3.0]]]])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = losses.feature_matching([[real, real, real]], [[fake, fake, 100 * fake]])
    assert float(loss) == 8.0  # 4 / 2 layers, each 2 away
    gradient = tape.gradient(loss, [real, fake])
    assert gradient[0] is None and float(tf.squeeze(gradient[1])) == 4.0


def test_least_squares_by_hand():
    assert float(losses.least_squares(tf.constant([[1.0, 3.0]]), 1.0)) == 2.0


def test_parameter_counts_of_the_sheets():
    with tf.Graph().as_default():  # nothing allocated
        global_g = count(pix2pix_hd.Trunk(6, 64, 4, 9)), count(pix2pix_hd.Painter(64, 3))
        enhancer = count(pix2pix_hd.Enhancer(6, 32, 3)), count(pix2pix_hd.Painter(32, 3))
        whole = [count(pix2pix_hd.PictureGenerator(6, 64, 4, 9, local_blocks)) for local_blocks in (0, 3)]
        face = count(pix2pix_hd.Trunk(6, 64, 3, 5)), count(pix2pix_hd.Painter(64, 3))
        d = [count(MultiScaleDiscriminator(scales, 12, 64, 3, instance)) for scales in (2, 3)]
        face_d = count(PatchDiscriminator(6, 64, 3, lambda channels: BatchNorm(channels, 1e-5)))
    assert sum(global_g) == 182_452_675
    assert global_g[0] + sum(enhancer) == 182_715_939
    assert whole == [182_452_675, 182_715_939]
    assert sum(face) == 26_724_291
    assert d == [5_547_906, 8_321_859]
    assert face_d == 2_769_601


# VGG19, with weights of its layout that are drawn: nothing is downloaded


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[keras.Model, vgg19.VGG19]:
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG19(weights=None, include_top=False)
    file = tmp_path_factory.mktemp("vgg") / "drawn.weights.h5"
    model.save_weights(file)
    return model, vgg19.network(f"vgg19:{file}")


def test_features_are_those_of_keras_applications_and_of_the_definition(drawn):
    model, ours = drawn
    assert ours.name == "drawn"
    x = pictures(1, 16, 16, 3)
    names = [f"block{block}_conv1" for block in range(1, 6)]
    theirs = keras.Model(model.input, [model.get_layer(name).output for name in names])
    caffe = keras.applications.vgg19.preprocess_input(x * 127.5 + 127.5)  # which turns the colors round
    for a, b in zip(ours.features(x, vgg19.LAYERS, rectified=True), theirs(caffe), strict=True):
        np.testing.assert_allclose(a, np.asarray(b) / 127.5, rtol=1e-3, atol=1e-5)
    (before,) = ours.features(pictures(1, 8, 8, 3), ["conv2_2"], rectified=False)
    expected = reference.vgg(pictures(1, 8, 8, 3), model.get_weights(), {"conv2_2": False}, "conv2_2")
    np.testing.assert_allclose(before, expected["conv2_2"], rtol=1e-4, atol=1e-5)
    assert np.min(before) < 0  # so before its ReLU


@pytest.mark.parametrize("name", ["whole.keras", "whole.h5"])
def test_any_saved_copy_is_read(drawn, name, tmp_path):
    model, _ = drawn
    model.save(tmp_path / name)
    for (kernel, bias), layer in zip(vgg19.read(f"vgg19:{tmp_path / name}"), [x for x in model.layers if x.weights], strict=True):
        np.testing.assert_array_equal(kernel, layer.get_weights()[0])
        np.testing.assert_array_equal(bias, layer.get_weights()[1])


def test_the_perceptual_distance_weighs_five_layers_and_leaves_the_target_alone(drawn):
    _, ours = drawn
    a, b = (tf.constant(pictures(1, 16, 16, 3, seed=seed)) for seed in (0, 1))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        distance = vgg19.perceptual_distance(ours, a, b)
    maps = [ours.features(x, vgg19.LAYERS, rectified=True) for x in (a, b)]
    expected = sum(w * abs(p.numpy() - q.numpy()).mean() for w, p, q in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), *maps, strict=True))
    assert float(distance) == pytest.approx(expected, rel=1e-5)
    of_a, of_b = tape.gradient(distance, [a, b])
    assert of_b is None and np.any(of_a)


def test_other_words_and_files_are_refused(tmp_path):
    assert vgg19.network("none") is None
    (tmp_path / "text.h5").write_text("no weights")
    other = keras.Sequential([keras.layers.Input([8, 8, 3]), keras.layers.Conv2D(2, 3)])
    other.save_weights(tmp_path / "other.weights.h5")
    for perceptual, told in (
        ("vgg", "expected none, keras or vgg19:FILE"),
        (f"vgg19:{tmp_path}/none.h5", "no such file"),
        (f"vgg19:{tmp_path}/text.h5", "cannot be read"),
        (f"vgg19:{tmp_path}/other.weights.h5", "got 1 convolutions, expected the 16 of keras.applications' VGG19"),
    ):
        with pytest.raises(UserError, match=f"^--perceptual={perceptual}: {told}"):
            vgg19.check(perceptual)
            vgg19.read(perceptual)
