"""Evaluation of a prediction: of futures that are made up, against the true clips and the baselines."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.evaluation.evaluation_test import Means
from tfvideogan import data
from tfvideogan.config import UserError
from tfvideogan.evaluation import baselines, frames, prediction, result
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators import lpips
from tfvideogan.generation.module import Generator
from tfvideogan.metrics import psnr, ssim

GIVEN, AHEAD = 2, 3
CONFIG = small("dvdgan", dataset="moving_shapes/plain", size=32, frames=GIVEN + AHEAD, evaluate_videos=20, seed=5)
TEST = data.load(CONFIG, "test")


class Module(tf.Module):
    """Repeats the last given frame, with noise of the seed on it that grows with time, where it has a latent."""

    def __init__(self, latent: bool = True):
        super().__init__()
        first = tf.TensorSpec([None, GIVEN, 32, 32, 3], tf.float32, "first_frames")
        pair, number, z = tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32), tf.TensorSpec([None, 4], tf.float32, "z")
        self.seeds = []
        self.noise = 0.1 if latent else 0.0
        self.generate = tf.function(lambda *inputs: inputs[0], input_signature=[first, z] if latent else [first])
        self.predict = tf.function(self.ahead, input_signature=[first, pair, number])

    def ahead(self, first: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        times = tf.range(1.0, AHEAD + 1.0)[:, None, None, None]
        noise = tf.random.stateless_normal([tf.shape(first)[0], AHEAD, 32, 32, 3], seed, stddev=self.noise)
        return tf.clip_by_value(first[:, -1:] + times * noise * truncation, 0.0, 1.0)


def evaluated(latent: bool = True, evaluator: Means | None = None, **settings) -> result.Result:
    generator = Generator("some/run", CONFIG, TEST.labels, 8, Module(latent))
    return prediction.evaluate(generator, Settings(**{"metrics": prediction.USUAL, **settings}), evaluator or Means())


@pytest.fixture(scope="module")
def found() -> result.Result:
    return evaluated(futures=3, report=True)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The clips that are continued."""
    clips = np.concatenate([batch["video"].numpy() for batch in TEST.batches(4).take(5)])
    assert len(clips) == CONFIG.evaluate_videos
    return clips


def of(found: result.Result, metric: str) -> dict:
    (record,) = [record for record in found.records if record["metric"] == metric]
    return record


# Baselines


def test_baselines_are_the_last_frame_and_a_line():
    first = np.array([-0.5, -0.25, 0.25]).reshape(1, 3, 1, 1, 1) * np.ones([1, 3, 2, 2, 3])
    assert baselines.copy_last({"first_frames": first}, 3)[0, :, 0, 0, 0].tolist() == [0.25, 0.25, 0.25]
    assert baselines.linear({"first_frames": first}, 3)[0, :, 0, 0, 0].tolist() == [0.75, 1.0, 1.0]  # not 1.25 and 1.75
    assert list(baselines.of_prediction(1)) == ["copy_last"] and list(baselines.of_prediction(2)) == ["copy_last", "linear"]


def test_baselines_stand_beside_every_metric(found):
    names = [record["metric"] for record in found.records]
    assert names == [
        *("fvd/means", "fvd/means/copy_last", "fvd/means/linear", "fid/means", "fid/means/copy_last", "fid/means/linear"),
        *("ssim/predicted", "ssim/predicted/best", "ssim/copy_last", "ssim/linear"),
        *("psnr/predicted", "psnr/predicted/best", "psnr/copy_last", "psnr/linear", "spread/predicted"),
    ]


def test_scores_of_copying_are_those_of_the_clips_themselves(found, truth):
    for name, metric in (("ssim", ssim), ("psnr", psnr)):
        by_hand = [np.mean([metric(x[None, None, t], x[None, None, GIVEN - 1], 2.0) for x in truth]) for t in range(GIVEN, GIVEN + AHEAD)]
        record = of(found, f"{name}/copy_last")
        assert record["curve"] == pytest.approx(by_hand, abs=1e-5) and record["value"] == pytest.approx(np.mean(by_hand))
        assert record["protocol"]["first_frame_scored"] == GIVEN and record["protocol"]["futures"] == 1


# Futures


def test_of_several_futures_there_are_the_mean_and_the_best():
    draws = np.random.default_rng(0)
    truth = np.zeros([4, 3, 16, 16, 3])
    scores = frames.FrameScores({"psnr": frames.METRICS["psnr"]}, futures=2, start=1)
    errors = {}
    for batch in range(2):
        for future in range(2):
            errors[batch, future] = draws.uniform(0.1, 1, [2, 3])  # of each clip and frame
            clips = truth[:2] + errors[batch, future][:, :, None, None, None]
            scores.add(truth[:2], clips)
    decibels = np.stack([[20 * np.log10(2 / errors[b, f][:, 1:]) for f in range(2)] for b in range(2)])  # [batch,future,clip,frame]
    mean, best, spread = scores.records("predicted", 0, {})
    assert (mean["metric"], best["metric"], spread["metric"]) == ("psnr/predicted", "psnr/predicted/best", "spread/predicted")
    assert mean["curve"] == pytest.approx(decibels.mean((0, 1, 2)), abs=1e-4)
    chosen = [decibels[b, decibels[b, :, clip].mean(1).argmax(), clip] for b in range(2) for clip in range(2)]
    assert best["curve"] == pytest.approx(np.mean(chosen, 0), abs=1e-4) and best["value"] > mean["value"]
    apart = [abs(errors[b, 0] - errors[b, 1])[:, 1:] / 2 for b in range(2)]  # pixels in [0,1]
    assert spread["curve"] == pytest.approx(np.concatenate(apart).mean(0), abs=1e-4)


def test_futures_differ_more_and_more_and_score_less(found):
    for metric in ("ssim", "psnr"):
        curve = of(found, f"{metric}/predicted")["curve"]
        assert len(curve) == AHEAD and curve == sorted(curve, reverse=True)
        assert of(found, f"{metric}/predicted/best")["value"] >= of(found, f"{metric}/predicted")["value"]
    spread = of(found, "spread/predicted")["curve"]
    assert spread == sorted(spread) and spread[0] > 0.05
    assert of(evaluated(futures=2, truncation=0.0), "spread/predicted")["value"] == 0  # no noise: equal futures


def test_sets_are_of_whole_clips_the_given_frames_included(truth):
    class Watching(Means):
        seen: list = []

        def __call__(self, video):
            self.seen.append(np.array(video))
            return super().__call__(video)

    watching = Watching()
    found = evaluated(evaluator=watching, futures=2, metrics=("fvd",))
    clips = np.concatenate(watching.seen)
    assert len(clips) == 20 * (2 + 1 + 1 + 1)  # two futures; real; two baselines
    np.testing.assert_allclose(clips[40:60], truth)
    for start, first in ((0, 0), (16, 0), (32, 16), (36, 16)):  # both futures of 16 clips, then of the 4 that are left
        np.testing.assert_allclose(clips[start : start + 4, :GIVEN], truth[first : first + 4, :GIVEN], atol=1e-6)
    assert not np.allclose(clips[:4, GIVEN:], clips[16:20, GIVEN:])
    assert of(found, "fvd/means")["protocol"]["num_fake"] == 40 and of(found, "fvd/means/linear")["protocol"]["num_fake"] == 20


def test_the_protocol_says_how(found):
    told = of(found, "ssim/predicted/best")["protocol"]
    assert (told["given_frames"], told["futures"], told["split"], told["num_real"], told["num_fake"]) == (GIVEN, 3, "test", 20, 60)
    assert "highest mean" in told["best"] and "Gaussian" in told["ssim"]


def test_the_report_has_curves_and_shows_given_real_and_futures(found, tmp_path, truth):
    result.write_report(tmp_path, found)
    page = (tmp_path / "report.html").read_text()
    lines = re.findall(r"stroke: #[0-9a-f]{6}; stroke-width: 1.5", page)
    assert len(lines) == 2 * (4 + 4 + 1) and "predicted/best" in page  # each curve, and its sample in the legend
    (section,) = found.sections
    assert "given, real, predicted 1, predicted 2, predicted 3, copy_last, linear" in section.text and section.columns == 7
    assert len(re.findall(r"<svg .*?</svg>", page, re.S)) == 3
    given, real, future, *_, line = section.clips[:7]
    shown = np.round((truth[0] + 1) * 127.5)
    np.testing.assert_array_equal(real, shown)
    np.testing.assert_array_equal(given[:GIVEN], shown[:GIVEN])
    np.testing.assert_array_equal(future[:GIVEN], shown[:GIVEN])
    assert not given[GIVEN:].any() and future[GIVEN:].any() and len(section.clips) == 7 * prediction.SHOWN
    np.testing.assert_array_equal(line[GIVEN], np.clip(2 * shown[GIVEN - 1] - shown[GIVEN - 2], 0, 255))


def test_lpips_joins_the_curves_and_its_best_future_is_the_nearest(truth):
    class Squared(lpips.Lpips):
        """The mean squared difference."""

        def __init__(self):
            self.network, self.sha256, self.name, self.least = "alex", "0123", "lpips_alex_0123", 31

        def __call__(self, x, y, data_range):
            return np.mean((x - y) ** 2, axis=(1, 2, 3, 4))

    found = evaluated(futures=3, lpips=Squared(), metrics=("psnr",))
    names = [record["metric"] for record in found.records]
    assert names[4:8] == [f"lpips_alex_0123/{of}" for of in ("predicted", "predicted/best", "copy_last", "linear")]
    mean, best, copied, _ = found.records[4:8]
    assert 0 < best["value"] < mean["value"] and len(best["curve"]) == AHEAD
    assert copied["curve"] == pytest.approx(
        [np.mean((truth[:, t] - truth[:, GIVEN - 1]) ** 2) for t in range(GIVEN, GIVEN + AHEAD)], abs=1e-5
    )
    assert best["protocol"]["lpips_alex_0123"] == "LPIPS 0.1 by alex, weights of sha256 0123"
    assert "lowest mean" in best["protocol"]["best"] and "best" not in mean["protocol"]
    with pytest.raises(UserError, match="^--lpips: frames of 16 pixels a side; expected at least 31 for alex"):
        frames.chosen(("psnr",), Squared(), 16, {})


def test_what_cannot_be_asked_of_a_prediction_is_refused():
    with pytest.raises(UserError, match="^--repeats=2: expected 1 for a prediction"):
        evaluated(repeats=2)
    with pytest.raises(UserError, match="^--futures=2: expected 1, as some/run has no latent"):
        evaluated(latent=False, futures=2)
    assert of(evaluated(latent=False, metrics=("psnr",)), "psnr/predicted")["protocol"]["num_fake"] == 20


def test_frames_too_small_for_ssim_are_said_to_be():
    missing = {}
    assert list(frames.chosen(("fvd", "ssim", "psnr"), None, 10, missing)) == ["psnr"] and "at least 11" in missing["ssim"]
    generator = Generator("some/run", dataclasses.replace(CONFIG, evaluate_videos=2), TEST.labels, 8, Module())
    assert prediction.evaluate(generator, Settings(("ssim",)), Means()).records[0]["value"] > 0
