"""What an exported module and a Sampler answer to labels, truncations, types and numbers of clips that a caller may get wrong."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.models_test import batch_of
from tfvideogan import models
from tfvideogan.generation import module
from tfvideogan.generation.sampler import (
    Sampler,
    checked_label,
    checked_picture,
    checked_truncation,
    in_chunks,
    nan_where_invalid,
    taking_int64,
)
from tfvideogan.ops import forms

SEED, ONE = tf.constant([1, 2]), tf.constant(1.0)
CLASSES = 3


@pytest.mark.parametrize("label", [[3], [-1], [0, 99, 1], [2**31 - 1]])
def test_a_label_that_there_is_not_is_named_with_the_range(label):
    check = tf.function(checked_label, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"label: got.*{' '.join(map(str, label))}.*expected 0 to 2"):
        check(tf.constant(label), CLASSES)
    np.testing.assert_array_equal(check(tf.constant([0, 2, 1]), CLASSES), [0, 2, 1])
    assert check(tf.zeros([0], tf.int32), CLASSES).shape == (0,)


@pytest.mark.parametrize("truncation", [np.nan, np.inf, -np.inf])
def test_a_truncation_that_is_no_number_is_named(truncation):
    check = tf.function(checked_truncation, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="truncation: got.*(nan|inf).*expected a finite number"):
        check(tf.constant(truncation, tf.float32))
    assert check(tf.constant(0.5)) == 0.5


@pytest.mark.parametrize("values", [[0.0, 255.0], [-1.0, 1.0], [np.nan, 0.5], [0.0, np.inf]], ids=str)
def test_pictures_of_another_range_are_named(values):
    check = tf.function(checked_picture, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="first_frames: got values from.*to.*expected \\[0,1\\]"):
        check("first_frames", tf.reshape(tf.constant([*values, 0.5], tf.float32), [1, 1, 1, 1, 3]))
    resized = tf.reshape(tf.constant([-0.1, 1.1, 0.5]), [1, 1, 1, 1, 3])
    np.testing.assert_array_equal(check("first_frames", resized), resized)
    assert check("first_frames", tf.zeros([0, 1, 1, 1, 3])).shape == (0, 1, 1, 1, 3)


@pytest.mark.parametrize("whole", [False, True])
def test_a_prediction_from_pictures_of_another_range_is_refused_or_nan(whole):
    config = small("vgan", conditional=True, standing_batches=1)
    sampler = Sampler(models.build(config)).calibrate([batch_of(config, config.calibration_clips)])
    frames = tf.random.stateless_uniform([2, *sampler.predict.input_signature[0].shape[1:]], [0, 1])
    predict = tf.function(lambda frames: sampler.predict(frames, SEED, ONE), jit_compile=whole, autograph=False)
    assert np.isfinite(predict(frames)).all()
    wrong = tf.concat([frames[:1] * 255.0, frames[1:]], 0)
    if whole:
        np.testing.assert_array_equal(np.isnan(predict(wrong)).mean((1, 2, 3, 4)), [1, 0])
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="first_frames: got values"):
            predict(wrong)


@pytest.mark.parametrize("whole", [False, True])
def test_clips_that_are_asked_for_wrongly_are_nan(whole):
    video = tf.zeros([4, 2, 3, 3, 3])
    mark = tf.function(lambda truncation, label: nan_where_invalid(video, truncation, label, CLASSES), jit_compile=whole, autograph=False)
    for truncation in (np.nan, np.inf, -np.inf, 1.0):
        marked = np.isnan(mark(tf.constant(truncation, tf.float32), tf.constant([0, CLASSES, -1, 2]))).mean((1, 2, 3, 4))
        np.testing.assert_array_equal(marked, [0, 1, 1, 0] if truncation == 1 else [1, 1, 1, 1])
    np.testing.assert_array_equal(nan_where_invalid(video, 1.0, None, CLASSES), video)


def test_int64_is_taken_for_int32():
    specs = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32)]
    narrow = tf.function(lambda label, seed, truncation: tf.cast(label + seed[0], tf.float32) * truncation, input_signature=specs)
    wide = taking_int64(narrow)
    assert wide.experimental_get_tracing_count() == 4  # before any call: what is saved is what is traced
    for dtypes in ((tf.int32, tf.int32), (tf.int64, tf.int32), (tf.int32, tf.int64), (tf.int64, tf.int64)):
        asked = tf.constant([4, 5, 6], dtypes[0]), tf.constant([1, 2], dtypes[1]), tf.constant(0.5)
        np.testing.assert_array_equal(wide(*asked), [2.5, 3, 3.5])
        np.testing.assert_array_equal(wide(label=asked[0], seed=asked[1], truncation=asked[2]), [2.5, 3, 3.5])
    assert wide.experimental_get_tracing_count() == 4


@pytest.mark.parametrize("whole", [False, True])
def test_none_to_many_are_drawn_in_chunks_also_where_xla_compiles_all(whole):
    rows = tf.constant([1.0])

    @tf.function(autograph=False)
    def flat(inputs, rows):  # reshapes as networks do, which of nothing is undefined
        return tf.reshape(tf.reshape(2 * inputs["x"], [-1, 3 * inputs["x"].shape[0] if inputs["x"].shape[0] else 3]), [-1, 3])

    asked = tf.function(lambda x: in_chunks(flat, {"x": x}, rows), jit_compile=whole, autograph=False)
    for n in (0, 1, 4, 5, 9):
        x = tf.random.stateless_normal([n, 3], [0, n])
        np.testing.assert_array_equal(asked(x), 2 * x)
    with forms.plain():
        assert tf.function(lambda x: in_chunks(flat, {"x": x}, rows), autograph=False)(tf.zeros([0, 3])).shape == (0, 3)


def test_a_seed_gives_one_clip_also_where_xla_compiles_all():
    sampler = Sampler(models.build(small("vgan", classes=CLASSES)))
    label = tf.constant([0])
    whole = tf.function(lambda label: sampler.sample(label, SEED, ONE), jit_compile=True, autograph=False)
    np.testing.assert_allclose(whole(label), sampler.sample(label, SEED, ONE), atol=1e-4)


# Of each model the least that has labels, where it can.
MODELS = {
    **{name: {} for name in ("dvdgan", "mocogan", "tganv2", "ftgan")},
    **{name: {"conditional": True} for name in ("tgan", "vgan")},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_every_models_module_gives_the_same_answers(name, tmp_path):
    config = small(name, classes=CLASSES, standing_batches=1, **MODELS.get(name, {}))
    gan = models.build(config)
    sampler = Sampler(gan)
    module.write(module.Generator("", config, ("a", "b", "c"), 0, sampler), str(tmp_path / "module"), overwrite=False)
    loaded = module.from_module(str(tmp_path / "module"), config).source
    served, specs = loaded.signatures["serving_default"], module.specs_of(loaded.generate)
    nothing = {spec.name: tf.zeros([0, *spec.shape[1:]], spec.dtype) for spec in specs}
    assert served(**nothing)["video"].shape[0] == loaded.generate(**nothing).shape[0] == 0
    wrong = {spec.name: tf.fill([1], CLASSES) if spec.name == "label" else tf.zeros([1, *spec.shape[1:]], spec.dtype) for spec in specs}
    if "label" in wrong:
        for call in (served, loaded.generate):
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"label: got.*3.*expected 0 to 2"):
                call(**wrong)
        right = {**wrong, "label": tf.constant([2], tf.int64)}
        np.testing.assert_array_equal(loaded.generate(**right), loaded.generate(**{**right, "label": tf.constant([2])}))
    if sampler.kind != "synthesis":
        return
    clip = loaded.sample(tf.constant([2]), SEED, ONE)
    np.testing.assert_array_equal(loaded.sample(tf.constant([2], tf.int64), tf.cast(SEED, tf.int64), ONE), clip)
    np.testing.assert_array_equal(loaded.sample([2], [1, 2], 1.0), clip)
    assert loaded.sample(tf.zeros([0], tf.int32), SEED, ONE).shape == (0, *clip.shape[1:])
    for label in (CLASSES, -1):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"label: got.*{label}.*expected 0 to 2"):
            loaded.sample(tf.constant([label]), SEED, ONE)
    with pytest.raises(tf.errors.InvalidArgumentError, match="truncation: got.*nan.*expected a finite number"):
        loaded.sample(tf.constant([0]), SEED, tf.constant(np.nan))
