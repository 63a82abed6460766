"""I3D against its table, and its weights in each of their published forms."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import refusal
from tfvideogan.config import UserError
from tfvideogan.evaluators import i3d, published
from tfvideogan.evaluators.replicas import spread

SCOPE = "RGB/inception_i3d/"


def weights_of(classes: int) -> dict[str, np.ndarray]:
    """Random weights as published: shapes of Sonnet, where moments are [1,1,1,1,C]; names without the scope."""
    draw, weights = np.random.default_rng(classes), {}
    for name, variable in i3d.I3D(classes, True).variables.items():
        shape = tuple(variable.shape)
        if name.endswith("conv_3d/w"):
            shape = (1, 1, 1, *shape) if len(shape) == 2 else shape
            weights[name] = draw.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        elif name.endswith("conv_3d/b"):
            weights[name] = draw.standard_normal(shape, np.float32)
        else:
            low, high = (0.5, 1.5) if "variance" in name else (-0.2, 0.2)
            weights[name] = draw.uniform(low, high, (1, 1, 1, 1, *shape)).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return weights_of(400)


def checkpoint(folder: Path, weights: dict[str, np.ndarray]) -> str:
    """Writes a checkpoint of variables by their names, as TensorFlow 1's Saver does."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix, names = str(folder / "model.ckpt"), sorted(weights)
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=[weights[name] for name in names])
    return prefix


def scoped(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {SCOPE + name: value for name, value in weights.items()}


def hub_module(folder: Path, weights: dict[str, np.ndarray]) -> str:
    """Writes a TF-Hub module of TensorFlow 1's format, as deepmind/i3d-kinetics-400/1 is."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        frames = v1.placeholder(tf.float32, [None, None, 224, 224, 3], "input_frames")
        with v1.variable_scope("", use_resource=True):
            variables = [v1.get_variable(name, value.shape) for name, value in scoped(weights).items()]
        output = tf.reduce_mean(frames, [1, 2, 3]) + variables[-1][0]
        values = [v1.placeholder(tf.float32, variable.shape) for variable in variables]
        assign = [variable.assign(value) for variable, value in zip(variables, values, strict=True)]
        session.run(assign, dict(zip(values, weights.values(), strict=True)))
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"rgb_input": frames}, {"default": output})
        builder.add_meta_graph_and_variables(session, [], {"default": signature})
        builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")  # format: FORMAT_V3
    return str(folder)


def saved_model(folder: Path, weights: dict[str, np.ndarray]) -> str:
    """Writes a SavedModel of TensorFlow 2 in TF-Hub's reusable form, which has `variables`."""
    module = tf.train.Checkpoint()
    module.variables = [tf.Variable(value, name=name) for name, value in scoped(weights).items()]
    tf.saved_model.save(module, str(folder))
    return str(folder)


def forms(folder: Path, weights: dict[str, np.ndarray]) -> dict[str, str]:
    """The places of the same weights in all forms."""
    return {
        "scoped checkpoint": checkpoint(folder / "scoped", scoped(weights)),
        "plain checkpoint": checkpoint(folder / "plain", weights),
        "hub module": hub_module(folder / "hub", weights),
        "saved model": saved_model(folder / "saved", weights),
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory, weights) -> dict[str, str]:
    return forms(tmp_path_factory.mktemp("i3d"), weights)


@pytest.fixture(scope="module")
def evaluator(places) -> published.Published:
    return i3d.load(f"i3d:{places['plain checkpoint']}", "")


@pytest.mark.parametrize("classes, values", [(400, 12_704_544), (600, 12_909_544)])
def test_it_has_the_published_number_of_values(classes, values):
    variables = i3d.I3D(classes, True).variables
    assert len(variables) == 230 and sum(int(np.prod(variable.shape)) for variable in variables.values()) == values


def test_all_published_forms_load_whole_and_give_the_same(places, weights):
    video = tf.random.stateless_uniform([1, 9, 48, 64, 3], [1, 2], -1, 1)
    found = {}
    for form, place in places.items():
        evaluator = i3d.load(f"i3d:{place}", "")
        assert evaluator.name == "i3d_400" and evaluator.labels == ()
        for name, variable in evaluator.network.variables.items():
            np.testing.assert_array_equal(variable.numpy().ravel(), weights[name].ravel(), err_msg=f"{form}: {name}")
        found[form] = evaluator(video)
    features, logits = found["scoped checkpoint"]
    assert features.shape == (1, 1024) and logits.shape == (1, 400) and logits.std() > 0.1
    for other in found.values():
        np.testing.assert_array_equal(other[0], features)
        np.testing.assert_array_equal(other[1], logits)


def test_kinetics_600_is_told_by_its_shape(tmp_path):
    place = checkpoint(tmp_path, weights_of(600))
    evaluator = i3d.load(f"i3d:{tmp_path}", "")  # the folder of one checkpoint will do
    features, logits = evaluator(tf.zeros([1, 9, 32, 32, 3]))
    assert evaluator.name == "i3d_600" and features.shape == (1, 1024) and logits.shape == (1, 600)
    assert evaluator.sha256 == hashlib.sha256(Path(f"{place}.data-00000-of-00001").read_bytes()).hexdigest()


def same(x, weights, name, kernel, stride=1):
    """Convolution, BN and ReLU, TensorFlow's SAME padding written out."""
    x = tf.nn.conv3d(padded(x, kernel, stride, 0.0), weights[f"{name}/conv_3d/w"], [1, stride, stride, stride, 1], "VALID")
    beta, mean, variance = (weights[f"{name}/batch_norm/{part}"] for part in ("beta", "moving_mean", "moving_variance"))
    return np.maximum((x.numpy() - mean) / np.sqrt(variance + 0.001) + beta, 0)


def padded(x, kernel, stride, value):
    pads = [(0, 0)]
    for side, k, s in zip(x.shape[1:4], np.broadcast_to(kernel, 3), np.broadcast_to(stride, 3), strict=True):
        total = max((-(-side // s) - 1) * s + k - side, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, [*pads, (0, 0)], constant_values=value)


def pooled(x, kernel, stride):
    kernel, stride = ([1, *np.broadcast_to(size, 3), 1] for size in (kernel, stride))
    return tf.nn.max_pool3d(padded(x, kernel[1:4], stride[1:4], -np.inf), kernel, stride, "VALID").numpy()


def block(x, weights, name, second="Conv3d_0b_3x3"):
    one = same(x, weights, f"{name}/Branch_0/Conv3d_0a_1x1", 1)
    two = same(same(x, weights, f"{name}/Branch_1/Conv3d_0a_1x1", 1), weights, f"{name}/Branch_1/Conv3d_0b_3x3", 3)
    three = same(same(x, weights, f"{name}/Branch_2/Conv3d_0a_1x1", 1), weights, f"{name}/Branch_2/{second}", 3)
    four = same(pooled(x, 3, 1), weights, f"{name}/Branch_3/Conv3d_0b_1x1", 1)
    return np.concatenate([one, two, three, four], -1)


def test_it_computes_what_the_table_says(evaluator, weights):
    pixels = np.random.default_rng(3).integers(256, size=[1, 17, 224, 224, 3])  # rounding leaves these as they are
    video = (pixels / 127.5 - 1).astype(np.float32)
    x = same(video, weights, "Conv3d_1a_7x7", 7, 2)
    assert x.shape == (1, 9, 112, 112, 64)
    x = same(pooled(x, (1, 3, 3), (1, 2, 2)), weights, "Conv3d_2b_1x1", 1)
    x = same(x, weights, "Conv3d_2c_3x3", 3)
    assert x.shape == (1, 9, 56, 56, 192)
    x = pooled(x, (1, 3, 3), (1, 2, 2))
    shapes = []
    for name in ("Mixed_3b", "Mixed_3c", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f", "Mixed_5b", "Mixed_5c"):
        if name == "Mixed_4b":
            x = pooled(x, 3, 2)
        if name == "Mixed_5b":
            x = pooled(x, 2, 2)
        x = block(x, weights, name, "Conv3d_0a_3x3" if name == "Mixed_5b" else "Conv3d_0b_3x3")
        shapes.append(x.shape[1:])
    sizes = [(9, 28, 28)] * 2 + [(5, 14, 14)] * 5 + [(3, 7, 7)] * 2
    assert shapes == [(*size, width) for size, width in zip(sizes, [256, 480, 512, 512, 512, 528, 832, 832, 1024], strict=True)]
    x = np.stack([x[:, t : t + 2].mean((1, 2, 3)) for t in range(2)], 1)  # 2x7x7 pooling, stride 1, VALID: [1,2,1024]
    w, b = (weights[f"Logits/Conv3d_0c_1x1/conv_3d/{part}"] for part in "wb")
    features, logits = evaluator(tf.constant(video))
    np.testing.assert_allclose(features, x.mean(1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(logits, (x @ w[0, 0, 0] + b).mean(1), rtol=1e-3, atol=1e-3)


def test_more_clips_than_a_batch_are_seen_batch_by_batch(evaluator, monkeypatch):
    video = tf.random.stateless_uniform([3, 9, 32, 32, 3], [4, 4], -1, 1)
    whole = evaluator(video)
    monkeypatch.setattr(evaluator, "batch", 2)
    for a, b in zip(whole, evaluator(video), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_frames_are_resized_as_tensorflow_1_did(evaluator):
    halves = tf.constant([-1.0, 1.0])[None, None, None, :, None] * tf.ones([1, 1, 2, 1, 3])  # two columns
    row = evaluator.network.look(halves)[0, 0, 7, :, 0].numpy()
    # Output column i looks at i * 2 / 224: 0 at the first column, half way at 56, at the last from 112 on.
    assert row[[0, 28, 56, 84, 112, 223]].tolist() == pytest.approx([-1, -0.5, 0, 0.5, 1, 1])


def test_clips_are_rounded_to_uint8_unless_the_spec_says_float(evaluator, places, monkeypatch):
    assert (evaluator.name, evaluator.protocol) == ("i3d_400", {"evaluator_uint8": True})
    monkeypatch.setattr(published, "fill", lambda *_: None)  # the weights are not looked at
    exact = i3d.load(f"i3d_float:{places['plain checkpoint']}", "")
    assert (exact.name, exact.protocol) == ("i3d_400_float", {"evaluator_uint8": False})
    clip = tf.reshape(tf.constant([0.4, 127.4, 127.6, 254.9]) / 127.5 - 1, [1, 1, 2, 2, 1]) * tf.ones([1, 9, 1, 1, 3])
    corners = np.ix_([0], [0], [0, 112], [0, 112], [0])  # where the resize leaves the four pixels as they are
    rounded, left = ((127.5 * (one.network.look(clip).numpy()[corners] + 1)).ravel() for one in (evaluator, exact))
    assert rounded == pytest.approx([0, 127, 128, 255], abs=1e-4) and left == pytest.approx([0.4, 127.4, 127.6, 254.9], abs=1e-4)


def test_what_is_missing_and_what_is_left_over_is_named(tmp_path, weights):
    changed = scoped(weights)
    del changed[f"{SCOPE}Mixed_4c/Branch_0/Conv3d_0a_1x1/conv_3d/w"]
    changed[f"{SCOPE}global_step"] = np.float32(1)
    changed[f"{SCOPE}Conv3d_1a_7x7/conv_3d/w"] = np.zeros([7, 7, 7, 2, 64], np.float32)  # as for optical flow
    message = refusal(i3d.load, f"i3d:{checkpoint(tmp_path, changed)}")
    assert "expected 230 variables: 1 missing (Mixed_4c/Branch_0/Conv3d_0a_1x1/conv_3d/w)" in message
    assert "1 left over (global_step); 1 of another shape (Conv3d_1a_7x7/conv_3d/w)" in message


def test_half_a_scope_is_refused(tmp_path, weights):
    mixed = {(SCOPE if i % 2 else "") + name: value for i, (name, value) in enumerate(weights.items())}
    message = refusal(i3d.load, f"i3d:{checkpoint(tmp_path, mixed)}")
    assert "115 missing" in message and "115 left over (RGB/inception_i3d/" in message


def test_another_checksum_is_refused(places):
    place = places["scoped checkpoint"]
    right = hashlib.sha256(Path(f"{place}.data-00000-of-00001").read_bytes()).hexdigest()
    assert i3d.load(f"i3d:{place}", right.upper()).sha256 == right
    assert refusal(i3d.load, f"i3d:{place}", "0" * 64) == (
        f"--evaluator=i3d:{place}: the sha256 of model.ckpt.data-00000-of-00001 is {right}, not {'0' * 64}"
    )


def test_the_checksum_of_a_saved_model_covers_graph_and_weights(places):
    folder = Path(places["hub module"])
    content = b"".join((folder / file).read_bytes() for file in ("saved_model.pb", "variables/variables.data-00000-of-00001"))
    assert i3d.load(f"i3d:{folder}", "").sha256 == hashlib.sha256(content).hexdigest()


def test_missing_weights_say_what_to_get(tmp_path, monkeypatch):
    for spec in ("i3d:", f"i3d:{tmp_path}/none", f"i3d:{tmp_path}"):
        message = refusal(i3d.load, spec)
        assert "https://tfhub.dev/deepmind/i3d-kinetics-400/1" in message and "rgb_scratch_kin600" in message

    def offline(handle):
        raise OSError(f"no route to {handle}\nand more")

    monkeypatch.setattr("tensorflow_hub.resolve", offline)
    handle = "https://tfhub.dev/deepmind/i3d-kinetics-400/1"
    assert f"TF-Hub cannot fetch it (no route to {handle})" in refusal(i3d.load, f"i3d:{handle}")


def test_a_handle_is_resolved_by_tf_hub_with_a_word(places, monkeypatch, caplog):
    monkeypatch.setattr("tensorflow_hub.resolve", lambda handle: places["hub module"])
    assert i3d.load("i3d:https://tfhub.dev/deepmind/i3d-kinetics-400/1", "").name == "i3d_400"
    assert "is downloaded by TF-Hub" in caplog.text


def test_damaged_weights_are_a_users_mistake(tmp_path, weights):
    place = checkpoint(tmp_path, weights)
    Path(f"{place}.index").write_bytes(b"no index")
    assert "model.ckpt is damaged" in refusal(i3d.load, f"i3d:{place}")


@pytest.mark.parametrize("spreads", [False, True])
def test_clips_of_fewer_than_nine_frames_are_refused(evaluator, spreads, monkeypatch):
    monkeypatch.setattr(evaluator, "run", evaluator.run)  # and back to it after the test
    if spreads:
        spread(evaluator, tf.distribute.get_strategy())
    with pytest.raises(UserError, match="takes clips of at least 9 frames, not of --frames=8"):
        evaluator(tf.zeros([1, 8, 32, 32, 3]))
