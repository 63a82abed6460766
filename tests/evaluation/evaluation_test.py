"""What is kept of a set of clips, and what `Evaluation` reports of it."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import data, metrics, train_evaluator
from tfvideogan.config import UserError
from tfvideogan.evaluation import cache
from tfvideogan.evaluation.clips import Clips, look, paired
from tfvideogan.evaluation.evaluation import METRICS, QUICK, Evaluation
from tfvideogan.evaluators import classifier
from tfvideogan.metrics import tfgan
from tfvideogan.metrics.average_content_distance import mean_colour
from tfvideogan.metrics.sliced_wasserstein_distance import Recipe
from tfvideogan.ops.video import to_unit

LABELS = ("bend", "jack", "wave1")
SHAPES = data.load(train_evaluator.Config(size=32, frames=8, batch_size=24), "test")


FEW = Recipe(patches=8, directions=16, of_each_patch=False, scale=1000.0)


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    """The sliced Wasserstein distance's recipe, made quick."""
    monkeypatch.setattr("tfvideogan.evaluation.evaluation.PROGRESSIVE_GAN", FEW)
    monkeypatch.setattr("tfvideogan.evaluation.evaluation.TFGAN", FEW._replace(of_each_patch=True))


class Means:
    """An evaluator one can follow: features are means of colours and time, logits the colours. Counts its clips."""

    name, sha256, labels = "means", "0" * 64, LABELS

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


def noise(label, seed, size=16):
    """Clips that differ in colour."""
    colour = tf.random.stateless_uniform([len(label), 1, 1, 1, 3], seed)
    return 0.5 * colour + 0.5 * tf.random.stateless_uniform([len(label), 3, size, size, 3], seed)


def batches(clips=100, size=16, seed=0):
    """(video, label) of a made-up set, 16 at a time."""
    for start in range(0, clips, 16):
        label = np.arange(start, start + 16) % 3  # always a full batch
        yield noise(label, tf.constant([seed, start]), size) * 2 - 1, label


def real_clips(evaluator, pixels=True, clips=100) -> Clips:
    return look(batches(clips), evaluator, clips, pixels, "real")


def evaluation(evaluator, labels=LABELS, metrics=METRICS, videos=100, clips=100) -> Evaluation:
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
    assert kept.content == pytest.approx(metrics.average_content_distance(mean_colour(video)))
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
    assert len(kept) == 100 and not any(len(x) for x in (kept.content, kept.ssim, kept.psnr, kept.frames, kept.shown))


def test_paired_scores_are_of_clips_at_the_same_place():
    x, y = (np.concatenate([video for video, _ in batches(20, seed=seed)])[:20] for seed in (0, 1))
    similarity, ratio = paired([tf.constant(x[:16]), tf.constant(x[16:])], [tf.constant(y[:16]), tf.constant(y[16:])], 20)
    assert similarity == pytest.approx(metrics.ssim(x, y, 2.0)) and ratio == pytest.approx(metrics.psnr(x, y, 2.0))


# The cache


def test_a_second_look_comes_from_the_cache(tmp_path):
    evaluator, folder = Means(), str(tmp_path / "cache")
    first = cache.remember(folder, {"a": 1}, lambda: real_clips(evaluator))
    looked_at = evaluator.clips
    second = cache.remember(folder, {"a": 1}, lambda: real_clips(evaluator))
    assert evaluator.clips == looked_at
    for field in dataclasses.fields(Clips):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    cache.remember(folder, {"a": 2}, lambda: real_clips(evaluator))
    assert evaluator.clips == 2 * looked_at and len(list((tmp_path / "cache").iterdir())) == 2


def test_a_changed_file_or_a_damaged_cache_is_noticed(tmp_path):
    evaluator, folder, videos = Means(), str(tmp_path / "cache"), tmp_path / "videos"
    videos.mkdir()
    settings = {"data_dir": str(videos)}
    counts = []
    for change in (lambda: None, lambda: None, lambda: (videos / "x.mp4").write_bytes(b"1"), lambda: None):
        change()
        cache.remember(folder, settings, lambda: real_clips(evaluator))
        counts.append(evaluator.clips)
    assert counts == [112, 112, 224, 224]
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:2000])
    cache.remember(folder, settings, lambda: real_clips(evaluator))
    assert evaluator.clips == 336


def test_no_folder_no_cache():
    evaluator = Means()
    for _ in range(2):
        cache.remember("", {}, lambda: real_clips(evaluator))
    assert evaluator.clips == 224


# Scores


def test_every_metric_is_reported():
    records = evaluation(Means())(noise, seed=7)
    assert [record["metric"] for record in records] == [
        *("is/means", "m_is/means", "mode_score/means", "fid/means", "fid_infinity/means", "fvd/means", "kid/means", "mmd/means"),
        *("precision/means", "recall/means", "density/means", "coverage/means", "accuracy/means"),
        *("swd_16/frames", "swd/frames", "swd_tfgan_16/frames", "swd_tfgan/frames", "ssim/same_class", "psnr/same_class", "acd/colour"),
    ]
    for record in records:
        told = record["protocol"]
        assert (told["evaluator"], told["evaluator_sha256"], told["ema"], told["seed"]) == ("means", "0" * 64, True, 7)
        assert (told["num_real"], told["num_fake"]) == (100, 100)
        assert np.isfinite(record["value"]) and record["stderr"] >= 0, record
    of_one_set = {record["metric"].split("/")[0] for record in records if "real" in record}
    assert of_one_set == {"is", "m_is", "accuracy", "ssim", "psnr", "acd"}
    assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_values_are_the_metrics_own():
    judge = evaluation(Means())
    fake = judge.generated(noise, seed=7)
    values = {record["metric"]: record for record in judge.score(fake, METRICS, 7, {})}
    real = judge.real
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
    assert values["acd/colour"]["value"] == fake.content.mean()


def test_scores_are_tfgans():
    judge = evaluation(Means())
    fake = judge.generated(noise, seed=7)
    values = {record["metric"]: record["value"] for record in judge.score(fake, ("is", "fid", "kid"), 7, {})}
    theirs, logits = tfgan.load().eval, tf.constant(fake.logits, tf.float64)
    features = tf.constant(judge.real.features, tf.float64), tf.constant(fake.features, tf.float64)
    assert values["is/means"] == pytest.approx(float(theirs.classifier_score_from_logits(logits)), rel=1e-6)
    assert values["fid/means"] == pytest.approx(float(theirs.frechet_classifier_distance_from_activations(*features)), rel=1e-4)
    assert values["kid/means"] == pytest.approx(float(theirs.kernel_classifier_distance_from_activations(*features)), rel=1e-6)


def test_of_an_evaluator_of_frames_every_frame_counts():
    judge = evaluation(EachFrame(), metrics=("is", "m_is", "fid", "kid", "precision_recall"))
    fake = judge.generated(noise, seed=7)
    assert fake.features.shape == (100, 3, 3)
    values = {record["metric"]: record["value"] for record in judge.score(fake, judge.metrics, 7, {})}
    assert values["fid/frames"] == metrics.frechet_distance(judge.real.features.reshape([300, 3]), fake.features.reshape([300, 3]))
    assert values["is/frames"] == metrics.inception_score(fake.logits.reshape([300, 3]), 1)[0]
    assert values["m_is/frames"] == pytest.approx(metrics.modified_inception_score(fake.logits.mean(1), fake.labels))


def test_too_few_clips_are_said_with_the_number(caplog):
    with caplog.at_level(logging.WARNING):
        records = evaluation(Means(), metrics=("is", "fid", "kid"), videos=90)(noise, seed=0)
    assert "is of 90 clips: want at least 100, for a bias below 1 % with 3 classes" in caplog.text
    assert "kid of 90 clips: want at least 1,000" in caplog.text
    assert ["warning" in record for record in records] == [True, False, True]


def test_metrics_that_cannot_be_taken_are_left_out_with_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        records = evaluation(Means(), videos=15, clips=15)(noise, seed=0)
    names = {record["metric"].split("/")[0] for record in records}
    assert not names & {"kid", "mmd", "precision", "density", "swd", "fid_infinity"} and {"is", "fid", "ssim", "acd"} <= names
    assert "no kid: 15 clips, where it wants 16" in caplog.text


def test_few_clips_are_judged_by_every_metric(caplog):
    with caplog.at_level(logging.WARNING):
        records = evaluation(Means(), videos=28, clips=28)(noise, seed=0)
    names = {record["metric"].split("/")[0] for record in records}
    assert {"kid", "mmd", "precision", "recall", "density", "coverage", "swd", "swd_tfgan", "fid_infinity"} <= names
    assert all(np.isfinite(record["stderr"]) for record in records)
    assert "precision_recall of 28 clips: want at least 64, for a standard error from 8 groups" in caplog.text


def test_one_clip_is_refused():
    with pytest.raises(UserError, match="1 real and 100 generated clips: want at least 2 of each"):
        evaluation(Means(), clips=1)(noise, seed=0)


def test_features_that_are_not_finite_are_refused_by_name():
    judge = evaluation(Means(), metrics=("fid",))
    fake = judge.generated(noise, seed=0)
    fake.features[3, 0] = np.nan
    with pytest.raises(UserError, match="--metrics=fid: fake: 1 of 100 rows hold NaN or infinity"):
        judge.score(fake, ("fid",), 0, {})


def test_a_generator_of_one_clip_scores_what_it_should():
    """The inception score and PSNR of one clip repeated, and features without variance."""
    one = tf.random.stateless_uniform([1, 3, 16, 16, 3], [0, 0])
    records = evaluation(Means())(lambda label, seed: tf.repeat(one, len(label), 0), seed=0)
    values = {record["metric"].split("/")[0]: record["value"] for record in records}
    assert values["is"] == pytest.approx(1) and values["m_is"] == pytest.approx(1) and values["ssim"] == pytest.approx(1)
    assert values["psnr"] is None  # infinite
    assert values["recall"] == 0 and values["fid"] > 0


def test_real_clips_are_looked_at_once_and_each_class_in_turn():
    evaluator, asked = Means(), []
    judge = evaluation(evaluator, metrics=("is", "fid"))

    def sample(label, seed):
        asked.append((label.numpy().tolist(), seed.numpy().tolist()))
        return noise(label, seed)

    first = judge(sample, seed=1)
    judge._real = None  # a second look would fail
    assert judge(sample, seed=1) == first
    assert np.concatenate([label for label, _ in asked[:7]])[:100].tolist() == [i % 3 for i in range(100)]
    assert [len(label) for label, _ in asked] == [16] * 14  # the last batch is full: one shape
    assert len({tuple(seed) for _, seed in asked}) == 7


def test_accuracy_is_left_out_with_a_word_for_other_classes(caplog):
    with caplog.at_level(logging.WARNING):
        judge = evaluation(Means(), labels=("a", "b"), metrics=QUICK)
    assert "no class accuracy: evaluator means" in caplog.text
    assert [record["metric"] for record in judge(noise, seed=0)] == ["is/means", "fid/means"]


def test_m_is_is_left_out_without_classes(caplog):
    with caplog.at_level(logging.WARNING):
        assert evaluation(Means(), labels=(), metrics=("m_is", "is")).metrics == ("is",)
    assert "no m-IS" in caplog.text


def test_real_clips_score_better_than_noise(monkeypatch):
    monkeypatch.setattr("tfvideogan.evaluation.evaluation.POINTS", 3)
    evaluator = classifier.load("moving_shapes")
    parts = [(batch["video"], batch["label"]) for batch in SHAPES.batches(24).take(10)]
    fakes = to_unit(next(iter(SHAPES.once(240)))["video"]).numpy()
    judge = Evaluation(evaluator, lambda: look(parts, evaluator, 240, True, "real"), SHAPES.labels, 240, 24, METRICS, True, {})

    def values(sample):
        return {record["metric"].split("/")[0]: record["value"] for record in judge(sample, seed=0)}

    real = values(lambda label, seed: tf.constant(fakes[int(seed[1]) : int(seed[1]) + 24]))
    bad = values(lambda label, seed: tf.random.stateless_uniform([24, 8, 32, 32, 3], seed))
    for higher in ("is", "mode_score", "precision", "recall", "coverage", "accuracy"):
        assert real[higher] > bad[higher], higher
    for lower in ("fid", "fid_infinity", "fvd", "kid", "mmd", "swd", "swd_tfgan"):
        assert real[lower] < bad[lower], lower
    # Labels smoothed by 0.05 end at p = 0.954 and 11 times 0.0042: entropy 0.296 nat, hence at most 12 exp(-0.296) = 8.9.
    assert 8.95 > real["is"] > 6
