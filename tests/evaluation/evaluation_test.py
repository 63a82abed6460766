"""What is kept of a set of clips, and what `Evaluation` reports of it."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data, metrics, train_evaluator
from tfvideogan.config import Config, UserError
from tfvideogan.evaluation import frames
from tfvideogan.evaluation.clips import Clips, look
from tfvideogan.evaluation.evaluation import QUICK, Evaluation, of_config
from tfvideogan.evaluation.pairs import paired
from tfvideogan.evaluation.scores import OF_SETS
from tfvideogan.evaluators import classifier
from tfvideogan.metrics import tfgan
from tfvideogan.metrics.average_content_distance import frame_color, shape_color
from tfvideogan.metrics.sliced_wasserstein_distance import Recipe
from tfvideogan.ops.video import to_unit

LABELS = ("bend", "jack", "wave1")
SHAPES = data.load(train_evaluator.Config(size=32, frames=8, batch_size=24), "test")


FEW = Recipe(patches=8, directions=16, of_each_patch=False, scale=1000.0)


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    """The sliced Wasserstein distance's recipe, made quick."""
    monkeypatch.setattr("tfvideogan.evaluation.scores.PROGRESSIVE_GAN", FEW)
    monkeypatch.setattr("tfvideogan.evaluation.scores.TFGAN", FEW._replace(of_each_patch=True))


class Means:
    """An evaluator one can follow: features are means of colours and time, logits the colours. Counts its clips."""

    name, sha256, labels, protocol = "means", "0" * 64, LABELS, {"evaluator_round": True}

    def __init__(self):
        self.clips = 0

    def __call__(self, video):
        self.clips += len(video)
        features, logits = self.compute(video)
        return features.numpy(), logits.numpy()

    def compute(self, video):
        video = tf.convert_to_tensor(video)
        return tf.concat([tf.reduce_mean(video, [1, 2, 3]), tf.reduce_mean(video, [2, 3, 4])], 1), 5 * tf.reduce_mean(video, [1, 2, 3])


class EachFrame(Means):
    """An evaluator of single frames, as Inception is."""

    name, labels = "frames", ()

    def compute(self, video):
        return tf.reduce_mean(video, [2, 3]), 5 * tf.reduce_mean(video, [2, 3])


def noise(batch, seed, size=16):
    """Clips that differ in colour."""
    label = batch["label"]
    colour = tf.random.stateless_uniform([len(label), 1, 1, 1, 3], seed)
    return 0.5 * colour + 0.5 * tf.random.stateless_uniform([len(label), 3, size, size, 3], seed)


def batches(clips=100, size=16, seed=0):
    """(video, label) of a made-up set, 16 at a time."""
    for start in range(0, clips, 16):
        label = np.arange(start, start + 16) % 3  # always a full batch
        yield noise({"label": label}, tf.constant([seed, start]), size) * 2 - 1, label


def real_clips(evaluator, pixels=True, clips=100) -> Clips:
    return look(batches(clips), evaluator, clips, pixels, "real")


def evaluation(evaluator, labels=LABELS, metrics=OF_SETS, videos=100, clips=100) -> Evaluation:
    return Evaluation(evaluator, lambda: real_clips(evaluator, clips=clips), labels, videos, 16, metrics, True, {"seed": 7, "ema": True})


# What is kept


def test_all_batches_together_give_what_one_gives():
    video, label = zip(*batches(), strict=True)
    kept, at_once = real_clips(Means()), look([(tf.concat(video, 0), np.concatenate(label))], Means(), 100, True, "real")
    for field in dataclasses.fields(Clips):
        np.testing.assert_allclose(getattr(kept, field.name), getattr(at_once, field.name), err_msg=field.name)
    assert kept.features.shape == (100, 6) and kept.logits.shape == (100, 3) and kept.labels.tolist() == [i % 3 for i in range(100)]


def test_no_more_clips_are_taken_than_wanted():
    evaluator = Means()
    assert len(look(batches(1000), evaluator, 40, True, "real")) == 40
    assert evaluator.clips == 48  # whole batches: one shape


def test_what_metrics_of_pixels_need():
    kept = real_clips(Means(), clips=40)
    video = np.concatenate([video for video, _ in batches(40)])[:40]
    assert kept.shape_drift == pytest.approx(metrics.average_content_distance(shape_color(video)))
    assert kept.frame_drift == pytest.approx(metrics.average_content_distance(frame_color(video)))
    # Clips 0 and 3, 1 and 4, 2 and 5, 6 and 9, ... are of one class: 14 of class 0 and 13 of the others make 7 + 6 + 6 pairs.
    assert len(kept.ssim) == len(kept.psnr) == 19
    assert kept.ssim[:2] == pytest.approx(metrics.ssim(video[[0, 1]], video[[3, 4]], 2.0))
    assert kept.psnr[:2] == pytest.approx(metrics.psnr(video[[0, 1]], video[[3, 4]], 2.0))
    assert kept.frames.shape == (40, 16, 16, 3) and kept.frames.dtype == np.uint8
    of_clip = np.abs(np.round((video + 1) * 127.5) - kept.frames[:, None]).max((2, 3, 4)).min(1)
    assert of_clip.max() == 0  # each frame is one of its clip's
    assert kept.shown.shape == (9, 3, 16, 16, 3) and np.bincount(kept.shown_labels).tolist() == [3, 3, 3]


def test_pictures_are_bounded(monkeypatch):
    monkeypatch.setattr("tfvideogan.evaluation.clips.FRAMES", 20)
    monkeypatch.setattr("tfvideogan.evaluation.clips.PAIRS", 5)
    kept = real_clips(Means())
    assert len(kept.frames) == 20 and len(kept.ssim) == 5 and len(kept) == 100


def test_without_pixels_only_numbers_are_kept():
    kept = real_clips(Means(), pixels=False)
    assert len(kept) == 100 and not any(len(x) for x in (kept.shape_drift, kept.frame_drift, kept.ssim, kept.psnr, kept.frames, kept.shown))


def test_paired_scores_are_of_clips_at_the_same_place():
    x, y = (np.concatenate([video for video, _ in batches(20, seed=seed)])[:20] for seed in (0, 1))
    found = paired([tf.constant(x[:16]), tf.constant(x[16:])], [tf.constant(y[:16]), tf.constant(y[16:])], 20, frames.METRICS)
    assert found["ssim"] == pytest.approx(metrics.ssim(x, y, 2.0)) and found["psnr"] == pytest.approx(metrics.psnr(x, y, 2.0))


# Scores


def test_every_metric_is_reported():
    records = evaluation(Means())(noise, seed=7)
    assert [record["metric"] for record in records] == [
        *("is/means", "m_is/means", "mode_score/means", "fid/means", "fid_infinity/means", "fvd/means", "kid/means", "mmd/means"),
        *("precision/means", "recall/means", "density/means", "coverage/means", "accuracy/means"),
        *("swd_16/frames", "swd/frames", "swd_tfgan_16/frames", "swd_tfgan/frames", "ssim/same_class", "psnr/same_class"),
        *("acd_shape/color", "acd_frame/color"),
    ]
    for record in records:
        told = record["protocol"]
        assert (told["evaluator"], told["evaluator_sha256"], told["ema"], told["seed"]) == ("means", "0" * 64, True, 7)
        assert told["evaluator_round"]
        assert (told["num_real"], told["num_fake"]) == (100, 100)
        assert np.isfinite(record["value"]) and record["stderr"] >= 0, record
    of_one_set = {record["metric"].split("/")[0] for record in records if "real" in record}
    assert of_one_set == {"is", "m_is", "accuracy", "ssim", "psnr", "acd_shape", "acd_frame"}
    assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_values_are_the_metrics_own():
    scored = evaluation(Means())
    fake = scored.generated(noise, seed=7)
    values = {record["metric"]: record for record in scored.score(fake, OF_SETS, 7, {})}
    real = scored.real
    assert values["is/means"]["value"] == metrics.inception_score(fake.logits, 1)[0]
    assert values["is/means"]["real"] == metrics.inception_score(real.logits, 1)[0]
    assert values["m_is/means"]["value"] == pytest.approx(metrics.modified_inception_score(fake.logits, fake.labels))
    assert values["mode_score/means"]["value"] == metrics.mode_score(real.logits, fake.logits)
    assert values["fid/means"]["value"] == metrics.frechet_distance(real.features, fake.features)
    assert values["fvd/means"]["value"] == metrics.frechet_distance(real.logits, fake.logits)
    assert values["kid/means"]["value"] == metrics.kernel_distance(real.features, fake.features, 100, 1, seed=0)[0]
    precision, recall = metrics.precision_recall(real.features, fake.features, 3)
    assert (values["precision/means"]["value"], values["recall/means"]["value"]) == (precision, recall)
    density, coverage = metrics.density_coverage(real.features, fake.features, 5)
    assert (values["density/means"]["value"], values["coverage/means"]["value"]) == (density, coverage)
    assert values["accuracy/means"]["value"] == metrics.class_accuracy(fake.logits, fake.labels)
    assert values["swd_16/frames"]["value"] == metrics.sliced_wasserstein_distance(real.frames, fake.frames, 7, FEW)[0]
    assert values["ssim/same_class"]["value"] == fake.ssim.mean() and values["ssim/same_class"]["real"] == real.ssim.mean()
    assert values["acd_shape/color"]["value"] == fake.shape_drift.mean() and values["acd_frame/color"]["value"] == fake.frame_drift.mean()


def test_scores_are_tfgans():
    scored = evaluation(Means())
    fake = scored.generated(noise, seed=7)
    values = {record["metric"]: record["value"] for record in scored.score(fake, ("is", "fid", "kid"), 7, {})}
    theirs, logits = tfgan.load().eval, tf.constant(fake.logits, tf.float64)
    features = tf.constant(scored.real.features, tf.float64), tf.constant(fake.features, tf.float64)
    assert values["is/means"] == pytest.approx(float(theirs.classifier_score_from_logits(logits)), rel=1e-6)
    assert values["fid/means"] == pytest.approx(float(theirs.frechet_classifier_distance_from_activations(*features)), rel=1e-4)
    assert values["kid/means"] == pytest.approx(float(theirs.kernel_classifier_distance_from_activations(*features)), rel=1e-6)


def test_of_an_evaluator_of_frames_every_frame_counts():
    scored = evaluation(EachFrame(), metrics=("is", "m_is", "fid", "kid", "precision_recall"))
    fake = scored.generated(noise, seed=7)
    assert fake.features.shape == (100, 3, 3)
    values = {record["metric"]: record["value"] for record in scored.score(fake, scored.metrics, 7, {})}
    assert values["fid/frames"] == metrics.frechet_distance(scored.real.features.reshape([300, 3]), fake.features.reshape([300, 3]))
    assert values["is/frames"] == metrics.inception_score(fake.logits.reshape([300, 3]), 1)[0]
    assert values["m_is/frames"] == pytest.approx(metrics.modified_inception_score(fake.logits.mean(1), fake.labels))


def test_too_few_clips_are_said_with_the_number(caplog):
    with caplog.at_level(logging.WARNING):
        scored = evaluation(Means(), metrics=("is", "fid", "kid"), videos=90)
        records = scored(noise, seed=0)
        scored(noise, seed=1)
    assert caplog.text.count("is of 90 clips: expected at least 100, for a bias below 1 % with 3 classes") == 1
    assert "kid of 90 clips: expected at least 1,000" in caplog.text
    assert ["warning" in record for record in records] == [True, False, True]


def test_metrics_that_cannot_be_taken_are_left_out_with_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        records = evaluation(Means(), videos=15, clips=15)(noise, seed=0)
    names = {record["metric"].split("/")[0] for record in records}
    assert not names & {"kid", "mmd", "precision", "density", "swd", "fid_infinity"} and {"is", "fid", "ssim", "acd_shape"} <= names
    assert "no kid: 15 clips, where it needs 16" in caplog.text


def test_few_clips_are_scored_by_every_metric(caplog):
    with caplog.at_level(logging.WARNING):
        records = evaluation(Means(), videos=28, clips=28)(noise, seed=0)
    names = {record["metric"].split("/")[0] for record in records}
    assert {"kid", "mmd", "precision", "recall", "density", "coverage", "swd", "swd_tfgan", "fid_infinity"} <= names
    assert all(np.isfinite(record["stderr"]) for record in records)
    assert "precision_recall of 28 clips: expected at least 64, for a standard error from 8 groups" in caplog.text


def test_one_clip_is_refused():
    with pytest.raises(UserError, match="1 real and 100 generated clips: expected at least 2 of each"):
        evaluation(Means(), clips=1)(noise, seed=0)


def test_features_that_are_not_finite_are_refused_by_name():
    scored = evaluation(Means(), metrics=("fid",))
    fake = scored.generated(noise, seed=0)
    fake.features[3, 0] = np.nan
    with pytest.raises(UserError, match="--metrics=fid: fake: 1 of 100 rows hold NaN or infinity"):
        scored.score(fake, ("fid",), 0, {})


def test_a_generator_of_one_clip_scores_what_it_should():
    """The inception score and PSNR of one clip repeated, and features without variance."""
    one = tf.random.stateless_uniform([1, 3, 16, 16, 3], [0, 0])
    records = evaluation(Means())(lambda batch, seed: tf.repeat(one, len(batch["label"]), 0), seed=0)
    values = {record["metric"].split("/")[0]: record["value"] for record in records}
    assert values["is"] == pytest.approx(1) and values["m_is"] == pytest.approx(1) and values["ssim"] == pytest.approx(1)
    assert values["psnr"] == pytest.approx(60)  # its limit
    assert values["recall"] == 0 and values["fid"] > 0


def test_real_clips_are_looked_at_once_and_each_class_in_turn():
    evaluator, asked = Means(), []
    scored = evaluation(evaluator, metrics=("is", "fid"))

    def sample(batch, seed):
        asked.append((batch["label"].numpy().tolist(), seed.numpy().tolist()))
        return noise(batch, seed)

    first = scored(sample, seed=1)
    scored._real = None  # a second look would fail
    assert scored(sample, seed=1) == first
    assert np.concatenate([label for label, _ in asked[:7]])[:100].tolist() == [i % 3 for i in range(100)]
    assert [len(label) for label, _ in asked] == [16] * 14  # the last batch is full: one shape
    assert len({tuple(seed) for _, seed in asked}) == 7


def test_generated_clips_have_the_shares_of_the_real_clips_classes():
    """Of 100 real clips 34, 33 and 33; of 1,000 made unbalanced: 10 %, 0.5 % and the rest."""
    unbalanced = np.repeat([0, 1, 2], [100, 5, 895]).astype(np.int32)
    real = dataclasses.replace(real_clips(Means(), pixels=False), labels=unbalanced)
    scored = Evaluation(Means(), lambda: real, LABELS, 60, 16, ("is",), False, {}, as_real=True)
    labels = scored.classes(seed=3)
    assert labels.dtype == np.int32 and np.bincount(labels).tolist() == [6, 0, 54]  # 6, 0.3 and 53.7
    np.testing.assert_array_equal(scored.classes(seed=3), labels)
    assert scored.classes(seed=4).tolist() != labels.tolist() and sorted(scored.classes(seed=4)) == sorted(labels)
    assert scored.generated(noise, seed=3).labels.tolist() == labels.tolist()


def test_the_protocol_says_by_which_law_labels_are_drawn():
    config = Config(size=32, frames=4, batch_size=16, evaluate_videos=30)
    as_real, others = (of_config(config, labels, QUICK, 1.0, True, Means()) for labels in (SHAPES.labels, LABELS))
    assert as_real.protocol["labels"] == "shares of the real clips" and others.protocol["labels"] == "in turn"
    assert others.classes(seed=1).tolist() == [i % 3 for i in range(30)]
    assert np.bincount(as_real.classes(seed=1), minlength=12).tolist() == np.bincount(as_real.real.labels, minlength=12).tolist()


@pytest.mark.parametrize("wanted, found", [(None, 30), (50, 50), (0, 400)])
def test_real_clips_may_be_more_or_fewer_than_generated_ones(wanted, found):
    config = Config(dataset="moving_shapes/shape_motion", split="test", size=16, frames=2, evaluate_videos=30)
    scored = of_config(config, ("a",), ("is", "fid"), 1.0, True, Means(), real_videos=wanted)
    record = scored(noise_of_two_frames, seed=0)[1]
    assert (record["protocol"]["num_real"], record["protocol"]["num_fake"]) == (found, 30)
    assert len(np.unique(scored.real.features, axis=0)) == found  # each clip once


def noise_of_two_frames(batch, seed):
    return noise(batch, seed)[:, :2]


def test_the_inception_score_of_splits_is_their_mean_and_deviation():
    scored = Evaluation(Means(), lambda: real_clips(Means()), LABELS, 100, 16, ("is",), False, {}, is_splits=4)
    fake = scored.generated(noise, seed=7)
    mean, deviation = scored.score(fake, ("is",), 7, {})
    expected = metrics.inception_score(fake.logits, 4)
    assert (mean["metric"], deviation["metric"]) == ("is/means", "is_std/means")
    assert (mean["value"], deviation["value"]) == expected and deviation["value"] > 0
    assert mean["protocol"]["is_splits"] == 4 and mean["real"] == metrics.inception_score(scored.real.logits, 4)[0]
    assert "is of 25 clips in a split: expected at least 100" in mean["warning"]


def test_the_protocol_of_psnr_says_how_it_is_pooled():
    record = evaluation(Means(), metrics=("psnr",))(noise, seed=0)[0]
    assert record["protocol"]["psnr"] == "squared error pooled over a clip, at most 60 dB"


def test_the_reason_of_every_metric_that_is_missing_is_kept():
    scored = evaluation(Means(), labels=(), metrics=("m_is", "accuracy", "kid"), videos=12, clips=12)
    assert scored(noise, seed=0) == []
    assert scored.missing == {
        "accuracy": "evaluator means knows other classes than the generator's",
        "m_is": "the clips have no classes",
        "kid": "12 clips, where it needs 16",
    }


def test_pose_distance_is_left_out_of_what_is_no_translation(caplog):
    with caplog.at_level(logging.WARNING):
        assert evaluation(Means(), metrics=("is", "pose_distance")).metrics == ("is",)
    assert "no pose_distance: the clips are no translations of a paired set" in caplog.text


def test_accuracy_is_left_out_with_a_word_for_other_classes(caplog):
    with caplog.at_level(logging.WARNING):
        scored = evaluation(Means(), labels=("a", "b"), metrics=QUICK)
    assert "no accuracy: evaluator means" in caplog.text
    assert [record["metric"] for record in scored(noise, seed=0)] == ["is/means", "fid/means"]


def test_m_is_is_left_out_without_classes(caplog):
    with caplog.at_level(logging.WARNING):
        assert evaluation(Means(), labels=(), metrics=("m_is", "is")).metrics == ("is",)
    assert "no m_is: the clips have no classes" in caplog.text


def test_real_clips_score_better_than_noise(monkeypatch):
    monkeypatch.setattr("tfvideogan.evaluation.scores.POINTS", 3)
    evaluator = classifier.load("moving_shapes")
    parts = [(batch["video"], batch["label"]) for batch in SHAPES.batches(24).take(10)]
    fakes = to_unit(next(iter(SHAPES.once(240)))["video"]).numpy()
    scored = Evaluation(evaluator, lambda: look(parts, evaluator, 240, True, "real"), SHAPES.labels, 240, 24, OF_SETS, True, {})

    def values(sample):
        return {record["metric"].split("/")[0]: record["value"] for record in scored(sample, seed=0)}

    real = values(lambda batch, seed: tf.constant(fakes[int(seed[1]) : int(seed[1]) + 24]))
    bad = values(lambda batch, seed: tf.random.stateless_uniform([24, 8, 32, 32, 3], seed))
    for higher in ("is", "mode_score", "precision", "recall", "coverage", "accuracy"):
        assert real[higher] > bad[higher], higher
    for lower in ("fid", "fid_infinity", "fvd", "kid", "mmd", "swd", "swd_tfgan"):
        assert real[lower] < bad[lower], lower
    # Labels smoothed by 0.05 end at p = 0.954 and 11 times 0.0042: entropy 0.296 nat, hence at most 12 exp(-0.296) = 8.9.
    assert 8.95 > real["is"] > 6
