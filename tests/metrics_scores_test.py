"""Scores by numbers one can check by hand, and TF-GAN where it cannot be imported whole."""

import subprocess
import sys

import numpy as np
import pytest

from tfvideogan.metrics import tfgan
from tfvideogan.metrics.bootstrap import standard_error
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.metrics.frechet_distance import frechet_distance
from tfvideogan.metrics.inception_score import inception_score


def gaussian(clips: int, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """A set of features whose mean and covariance (over N - 1), diag(deviation^2), are exact."""
    x = np.random.default_rng(0).normal(size=(clips, len(mean)))
    q, _ = np.linalg.qr(x - x.mean(0))
    return mean + deviation * q * np.sqrt(clips - 1)


def test_tfgan_is_found_and_leaves_no_stump():
    modules = tfgan.load()
    assert callable(modules.eval.classifier_score_from_logits) and callable(modules.losses.wargs.modified_generator_loss)
    stumps = [name for name, module in sys.modules.items() if name.startswith("tensorflow_gan") and module.__file__ is None]
    assert not stumps


def test_importing_the_metrics_does_not_import_tfgan():
    code = "import sys, tfvideogan.metrics.frechet_distance; sys.exit('tensorflow_probability' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("classes", [2, 12])
def test_inception_score_of_one_hot_predictions_is_the_number_of_classes(classes):
    assert inception_score(1000 * np.eye(classes), 1) == (pytest.approx(classes), 0)


def test_inception_score_of_equal_predictions_is_1_even_where_others_underflow():
    assert inception_score(np.tile([0.0, 2000.0, -2000.0], [6, 1]), 1)[0] == pytest.approx(1)


def test_inception_score_averages_its_splits():
    logits = 1000 * np.eye(4)[[0, 0, 0, 0, 0, 1, 2, 3]]  # first split: one class, 1; second: all four, 4
    assert inception_score(logits, 2) == (pytest.approx(2.5), pytest.approx(1.5))


def test_inception_score_needs_a_clip_in_each_split():
    with pytest.raises(ValueError, match="splits=4: want 1 to 3"):
        inception_score(np.eye(3), 4)


def test_frechet_distance_of_a_shift_is_the_shift_squared():
    mean, deviation = np.array([3.0, 0.0, -4.0]), np.ones(3)
    assert frechet_distance(gaussian(50, 0 * mean, deviation), gaussian(70, mean, deviation)) == pytest.approx(25)


def test_frechet_distance_of_diagonal_covariances():
    # sum (sqrt a - sqrt b)^2 = (1 - 2)^2 + (3 - 1)^2
    real, fake = gaussian(40, np.zeros(2), np.array([1.0, 3.0])), gaussian(60, np.zeros(2), np.array([2.0, 1.0]))
    assert frechet_distance(real, fake) == pytest.approx(5)


@pytest.mark.parametrize("clips", [5, 200])
def test_frechet_distance_of_a_set_to_itself_is_0(clips):
    real = np.random.default_rng(1).normal(size=(clips, 20))  # 5 clips: singular covariance
    assert 0 <= frechet_distance(real, real) < 1e-4


def test_frechet_distance_refuses_one_clip():
    with pytest.raises(ValueError, match="1 real and 5 generated clips: want at least 2"):
        frechet_distance(np.ones([1, 3]), np.ones([5, 3]))


def test_class_accuracy():
    assert class_accuracy(np.eye(4), np.array([0, 1, 2, 0])) == 0.75


def test_standard_error_of_a_mean_is_sigma_over_root_n():
    sample = gaussian(400, np.zeros(1), np.ones(1))
    assert standard_error(np.mean, sample, seed=0, resamples=200) == pytest.approx(1 / 20, rel=0.15)


def test_standard_error_follows_from_the_seed():
    sample = np.arange(10.0)
    errors = [standard_error(np.mean, sample, seed=seed) for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]
