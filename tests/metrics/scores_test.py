"""Scores of features and logits: by numbers one can check by hand, by sums written out, and by TF-GAN; and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfvideogan import metrics
from tfvideogan.evaluation.bootstrap import group_standard_error, standard_error
from tfvideogan.evaluation.extrapolation import extrapolate
from tfvideogan.metrics import tfgan
from tfvideogan.metrics.arrays import distances_by_block
from tfvideogan.metrics.mmd import cubic, gaussian, root_mean_square_distance

RANDOM = np.random.default_rng(3)
REAL, FAKE = RANDOM.normal(size=[60, 7]), 0.3 + 1.4 * RANDOM.normal(size=[45, 7])
REAL_LOGITS, FAKE_LOGITS = 2 * RANDOM.normal(size=[50, 5]), 2 * RANDOM.normal(size=[40, 5])
LABELS = np.arange(40) % 3

# Every metric of two sets of features, and every one of logits, called in the same way.
OF_FEATURES = {
    "frechet_distance": metrics.frechet_distance,
    "kernel_distance": lambda real, fake: metrics.kernel_distance(real, fake, min(len(real), len(fake)), 2, seed=0)[0],
    "mmd": lambda real, fake: metrics.mmd(real, fake, gaussian(1.0)),
    "precision_recall": lambda real, fake: metrics.precision_recall(real, fake, k=3),
    "density_coverage": lambda real, fake: metrics.density_coverage(real, fake, k=3),
}
OF_LOGITS = {
    "inception_score": lambda logits: metrics.inception_score(logits, 1)[0],
    "modified_inception_score": lambda logits: metrics.modified_inception_score(logits, np.arange(len(logits)) % 2),
    "mode_score": lambda logits: metrics.mode_score(REAL_LOGITS[:, : logits.shape[1]], logits),
    "class_accuracy": lambda logits: metrics.class_accuracy(logits, np.arange(len(logits)) % 2),
}


def gaussian_set(clips: int, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """A set of features whose mean and covariance (over N - 1), diag(deviation^2), are exact."""
    x = np.random.default_rng(0).normal(size=(clips, len(mean)))
    q, _ = np.linalg.qr(x - x.mean(0))
    return mean + deviation * q * np.sqrt(clips - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits)
    return p / p.sum(-1, keepdims=True)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum(p * np.log(p / q)))


def square(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum((x - y) ** 2))


# The package


def test_every_metric_is_a_function_of_the_package():
    assert all(callable(getattr(metrics, name)) and getattr(metrics, name).__name__ == name for name in metrics.__all__)


def test_tfgan_is_found_and_leaves_no_stump():
    modules = tfgan.load()
    assert callable(modules.eval.classifier_score_from_logits) and callable(modules.losses.wargs.modified_generator_loss)
    stumps = [name for name, module in sys.modules.items() if name.startswith("tensorflow_gan") and module.__file__ is None]
    assert not stumps


def test_importing_the_metrics_does_not_import_tfgan():
    code = "import sys, tfvideogan.metrics; sys.exit('tensorflow_probability' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Inception score


@pytest.mark.parametrize("classes", [2, 12])
def test_inception_score_of_one_hot_predictions_is_the_number_of_classes(classes):
    assert metrics.inception_score(1000 * np.eye(classes), 1) == (pytest.approx(classes), 0)


def test_inception_score_of_equal_predictions_is_1_even_where_others_underflow():
    assert metrics.inception_score(np.tile([0.0, 2000.0, -2000.0], [6, 1]), 1)[0] == pytest.approx(1)


def test_inception_score_averages_its_splits():
    logits = 1000 * np.eye(4)[[0, 0, 0, 0, 0, 1, 2, 3]]  # first split: one class, 1; second: all four, 4
    assert metrics.inception_score(logits, 2) == (pytest.approx(2.5), pytest.approx(1.5))


def test_inception_score_is_the_mean_divergence_from_the_marginal():
    p = softmax(REAL_LOGITS)
    expected = np.exp(np.mean([kl(row, p.mean(0)) for row in p]))
    assert metrics.inception_score(REAL_LOGITS, 1)[0] == pytest.approx(expected, rel=1e-12)


def test_inception_score_needs_a_clip_in_each_split():
    with pytest.raises(ValueError, match="splits=4: expected 1 to 3"):
        metrics.inception_score(np.eye(3), 4)


# Modified inception score and mode score


def test_modified_inception_score_is_the_mean_over_ordered_pairs_of_a_class():
    p = softmax(FAKE_LOGITS)
    of_class = []
    for label in range(3):
        inside = p[LABELS == label]
        of_class.append(np.exp(np.mean([kl(inside[i], inside[j]) for i in range(len(inside)) for j in range(len(inside)) if i != j])))
    assert metrics.modified_inception_score(FAKE_LOGITS, LABELS) == pytest.approx(np.mean(of_class), rel=1e-10)


def test_modified_inception_score_by_hand():
    # KL((3/4, 1/4) || (1/4, 3/4)) = 1/2 log 3, both ways round: sqrt 3. The one clip of class 1 has no pair.
    assert metrics.modified_inception_score(np.log([[3.0, 1], [1, 3], [9, 1]]), np.array([0, 0, 1])) == pytest.approx(3**0.5)


def test_modified_inception_score_sees_a_memorized_clip_where_the_inception_score_does_not():
    logits, labels = np.tile(50 * np.eye(4), [5, 1]), np.arange(20) % 4
    assert metrics.inception_score(logits, 1)[0] == pytest.approx(4)
    assert metrics.modified_inception_score(logits, labels) == pytest.approx(1)


def test_modified_inception_score_wants_two_clips_of_a_class():
    with pytest.raises(ValueError, match="3 classes of one clip each"):
        metrics.modified_inception_score(np.eye(3), np.arange(3))


def test_mode_score_is_the_inception_score_less_the_marginals_divergence():
    fake, real = softmax(FAKE_LOGITS), softmax(REAL_LOGITS)
    expected = np.exp(np.mean([kl(row, fake.mean(0)) for row in fake]) - kl(fake.mean(0), real.mean(0)))
    assert metrics.mode_score(REAL_LOGITS, FAKE_LOGITS) == pytest.approx(expected, rel=1e-10)


def test_mode_score_by_hand():
    # Half of the real clips are of each class; all fake ones are of the first: IS 1, and KL((1,0) || (1/2,1/2)) = log 2.
    real, one_class = 1000 * np.eye(2), 1000 * np.eye(2)[[0, 0, 0]]
    assert metrics.mode_score(real, real) == pytest.approx(2)
    assert metrics.mode_score(real, one_class) == pytest.approx(0.5)


def test_mode_score_of_a_class_no_real_clip_has_is_0():
    assert metrics.mode_score(1000 * np.eye(3)[[0, 0, 1]], 1000 * np.eye(3)) < 1e-100


# Frechet distance


def test_frechet_distance_of_a_shift_is_the_shift_squared():
    mean, deviation = np.array([3.0, 0.0, -4.0]), np.ones(3)
    assert metrics.frechet_distance(gaussian_set(50, 0 * mean, deviation), gaussian_set(70, mean, deviation)) == pytest.approx(25)


def test_frechet_distance_of_diagonal_covariances():
    # sum (sqrt a - sqrt b)^2 = (1 - 2)^2 + (3 - 1)^2
    real, fake = gaussian_set(40, np.zeros(2), np.array([1.0, 3.0])), gaussian_set(60, np.zeros(2), np.array([2.0, 1.0]))
    assert metrics.frechet_distance(real, fake) == pytest.approx(5)


def test_frechet_distance_of_a_scaled_gaussian():
    # d (1 - s)^2
    one, three = (gaussian_set(50, np.zeros(6), s * np.ones(6)) for s in (1.0, 3.0))
    assert metrics.frechet_distance(one, three) == pytest.approx(6 * 4)


def test_frechet_distance_by_the_eigenvalues_of_the_product_of_covariances():
    product = np.cov(REAL, rowvar=False) @ np.cov(FAKE, rowvar=False)  # not symmetric, and of positive eigenvalues all the same
    cross = np.sqrt(np.linalg.eigvals(product).real).sum()
    expected = square(REAL.mean(0), FAKE.mean(0)) + REAL.var(0, ddof=1).sum() + FAKE.var(0, ddof=1).sum() - 2 * cross
    assert metrics.frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("clips", [60, 5], ids=["N above F", "N below F"])
def test_frechet_distance_is_tfgans(clips):
    real, fake = REAL[:clips], FAKE[:clips]
    expected = tfgan.load().eval.frechet_classifier_distance_from_activations(tf.constant(real), tf.constant(fake))
    assert metrics.frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("clips", [5, 200])
def test_frechet_distance_of_a_set_to_itself_is_0(clips):
    real = np.random.default_rng(1).normal(size=(clips, 20))  # 5 clips: singular covariance
    assert 0 <= metrics.frechet_distance(real, real) < 1e-6


def test_frechet_distance_of_constant_features_is_that_of_the_means():
    assert metrics.frechet_distance(np.ones([9, 3]), np.ones([8, 3]) + [3, 0, 4]) == pytest.approx(25)


# MMD and the kernel distance


def unbiased(real: np.ndarray, fake: np.ndarray, kernel) -> float:
    """The estimator, pair by pair."""
    within = [np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (real, fake)]
    return sum(within) - 2 * np.mean([kernel(x, y) for x in real for y in fake])


def test_mmd_is_the_mean_over_pairs():
    expected = unbiased(REAL, FAKE, lambda x, y: np.exp(-square(x, y) / (2 * 1.7**2)))
    assert metrics.mmd(REAL, FAKE, gaussian(1.7)) == pytest.approx(expected, rel=1e-9)
    assert metrics.mmd(REAL, FAKE, cubic) == pytest.approx(unbiased(REAL, FAKE, lambda x, y: (x @ y / 7 + 1) ** 3), rel=1e-9)


def test_mmd_of_more_clips_than_a_block():
    real, fake = np.tile(REAL, [20, 1]), np.tile(FAKE, [30, 1])  # 1,200 and 1,350 rows, 1,024 a block
    matrices = [(x @ y.T / 7 + 1) ** 3 for x, y in ((real, real), (fake, fake), (real, fake))]
    within = [(m.sum() - np.trace(m)) / (len(m) * (len(m) - 1)) for m in matrices[:2]]
    assert metrics.mmd(real, fake, cubic) == pytest.approx(sum(within) - 2 * matrices[2].mean(), rel=1e-9)


def test_the_bandwidth_is_the_root_mean_square_distance():
    expected = np.sqrt(np.mean([square(x, y) for x in REAL for y in REAL]))
    assert root_mean_square_distance(REAL) == pytest.approx(expected)


def test_kernel_distance_of_the_whole_sets_is_the_cubic_mmd_and_tfgans():
    whole = metrics.kernel_distance(REAL, np.tile(FAKE, [2, 1])[:60], subset_size=60, subsets=3, seed=0)
    theirs = tfgan.load().eval.kernel_classifier_distance_from_activations(tf.constant(REAL), tf.constant(np.tile(FAKE, [2, 1])[:60]))
    assert whole == (pytest.approx(float(theirs), rel=1e-9), pytest.approx(0, abs=1e-9))


def test_kernel_distance_of_subsets_is_unbiased():
    mean, deviation = metrics.kernel_distance(REAL, FAKE, subset_size=20, subsets=400, seed=0)
    assert deviation > 0
    assert mean == pytest.approx(metrics.mmd(REAL, FAKE, cubic), abs=4 * deviation / 20)


def test_kernel_distance_of_a_set_with_itself_by_hand():
    # -(2/m) (mean diagonal k - mean off-diagonal k)
    k = (REAL @ REAL.T / 7 + 1) ** 3
    off = (k.sum() - np.trace(k)) / (60 * 59)
    expected = -2 / 60 * (np.trace(k) / 60 - off)
    assert metrics.kernel_distance(REAL, REAL, 60, 1, seed=0)[0] == pytest.approx(expected, rel=1e-9)
    assert expected < 0


def test_kernel_distance_of_two_halves_scatters_around_0():
    x = np.random.default_rng(5).normal(size=[40, 400, 3])
    distances = [metrics.mmd(*np.split(part, 2), cubic) for part in x]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / 40**0.5


def test_kernel_distance_follows_from_the_seed():
    first, again, other = (metrics.kernel_distance(REAL, FAKE, 10, 5, seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    "size, subsets, words", [(46, 1, "subset_size=46: expected 2 to 45"), (1, 1, "expected 2 to 45"), (5, 0, "subsets=0")]
)
def test_kernel_distance_refuses_impossible_subsets(size, subsets, words):
    with pytest.raises(ValueError, match=words):
        metrics.kernel_distance(REAL, FAKE, size, subsets, seed=0)


def test_constant_features_have_no_bandwidth():
    assert metrics.mmd(np.ones([5, 2]), np.ones([6, 2]), gaussian(1.0)) == pytest.approx(0)
    with pytest.raises(ValueError, match="bandwidth=0.0: expected more than 0"):
        gaussian(root_mean_square_distance(np.ones([5, 2])))


# Precision and recall, density and coverage

LINE = np.array([[0.0], [1], [2], [10]])  # to the nearest other: 1, 1, 1, 8


def test_precision_and_recall_by_hand():
    # Fake balls: 20 reaches to 29, 29 to 20, 2.5 to 20 (17.5). Real ones: [-1,1], [0,2], [1,3], [2,18].
    assert metrics.precision_recall(LINE, np.array([[2.5], [20], [29]]), k=1) == (pytest.approx(1 / 3), 1)
    assert metrics.precision_recall(LINE, np.array([[-0.5], [0.5], [50], [51]]), k=1) == (0.5, 0.5)  # 0 and 1 are within 1


def test_density_and_coverage_by_hand():
    # 0.5 lies in two balls and 2.5 in two: (2 + 2 + 0) / (1 * 3). Those of 0, 1, 2 and 10 hold one of them.
    assert metrics.density_coverage(LINE, np.array([[0.5], [2.5], [50]]), k=1) == (pytest.approx(4 / 3), 1)
    assert metrics.density_coverage(LINE, np.array([[-0.5], [-0.7]]), k=1) == (1, 0.25)


def neighborhoods(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which fake clip lies in which real ball, and the other way round, with every distance computed alone."""

    def inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        radii = [sorted(square(x, y) for y in a)[k] for x in a]
        return np.array([[square(x, y) <= radius for y in b] for x, radius in zip(a, radii, strict=True)])

    return inside(real, fake), inside(fake, real)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighborhoods_written_out(k):
    of_real, of_fake = neighborhoods(REAL, FAKE, k)
    assert metrics.precision_recall(REAL, FAKE, k) == (of_real.any(0).mean(), of_fake.any(0).mean())
    assert metrics.density_coverage(REAL, FAKE, k) == (pytest.approx(of_real.sum() / (k * 45)), of_real.any(1).mean())


def test_neighborhoods_of_a_set_and_itself():
    assert metrics.precision_recall(REAL, REAL, k=3) == (1, 1)
    density, coverage = metrics.density_coverage(REAL, REAL, k=3)
    assert coverage == 1 and density == pytest.approx(4 / 3)  # each ball holds its own clip and k others


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_repeated_clips_have_balls_of_radius_0(far):
    """Rounding must neither open nor shut them."""
    real = np.repeat(np.random.default_rng(1).normal(size=[10, 300]), 5, axis=0) + far
    assert metrics.precision_recall(real, real[::-1], k=3) == (1, 1)
    assert metrics.precision_recall(real, real + 1e-3, k=3) == (0, 0)


def test_distances_of_more_clips_than_a_block():
    x = np.tile(REAL, [20, 1])
    squares = np.concatenate([block for _, block in distances_by_block(x, FAKE)])
    assert squares.shape == (1200, 45) and squares == pytest.approx(np.tile(squares[:60], [20, 1]))
    assert squares[3, 4] == pytest.approx(square(REAL[3], FAKE[4]))


@pytest.mark.parametrize("metric", ["precision_recall", "density_coverage"])
def test_as_many_neighbors_as_clips_are_refused(metric):
    with pytest.raises(ValueError, match="k=3 nearest neighbors among 3 clips: expected 1 to 2"):
        OF_FEATURES[metric](REAL[:3], FAKE)


# Class accuracy


def test_class_accuracy():
    assert metrics.class_accuracy(np.eye(4), np.array([0, 1, 2, 0])) == 0.75


def test_class_accuracy_wants_a_label_a_clip():
    with pytest.raises(ValueError, match=r"labels of shape \[1\]: expected \[4\]"):
        metrics.class_accuracy(np.eye(4), np.array([0]))


# What all refuse


@pytest.mark.parametrize("metric", OF_FEATURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(metric, bad):
    spoilt = FAKE.copy()
    spoilt[7, 2] = bad
    with pytest.raises(ValueError, match="fake: 1 of 45 rows hold NaN or infinity"):
        OF_FEATURES[metric](REAL, spoilt)


@pytest.mark.parametrize("metric", OF_FEATURES)
@pytest.mark.parametrize(
    "real, fake, words",
    [
        (REAL[:1], FAKE, "1 clip"),
        (REAL, FAKE[:, :3], "real has 7 features and fake 3"),
        (REAL, FAKE[0], r"fake of shape \[7\]: expected \[N,F\]"),
        (REAL[:0], FAKE, "0 clips"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(metric, real, fake, words):
    with pytest.raises(ValueError, match=words):
        OF_FEATURES[metric](real, fake)


@pytest.mark.parametrize("metric", OF_LOGITS)
def test_logits_that_are_not_finite_are_refused(metric):
    with pytest.raises(ValueError, match="1 of 6 rows hold NaN or infinity"):
        OF_LOGITS[metric](np.vstack([np.eye(5), [[0, 0, np.nan, 0, 0]]]))


@pytest.mark.parametrize("metric", OF_LOGITS)
def test_a_class_no_clip_is_of_is_no_trouble(metric):
    logits = np.tile(np.array([[9.0, 0, -2000], [0, 9, -2000]]), [5, 1])
    assert np.isfinite(OF_LOGITS[metric](logits))


# Standard errors, and endlessly many clips


@pytest.mark.parametrize(
    "error", [lambda *a, **k: standard_error(*a, **k, resamples=200), lambda *a, **k: group_standard_error(*a, **k, groups=100)]
)
def test_standard_error_of_a_mean_is_sigma_over_root_n(error):
    sample = gaussian_set(400, np.zeros(1), np.ones(1))
    assert error(np.mean, sample, seed=0) == pytest.approx(1 / 20, rel=0.15)


@pytest.mark.parametrize("error", [standard_error, group_standard_error])
def test_standard_error_follows_from_the_seed(error):
    sample = RANDOM.normal(size=50)
    errors = [error(np.mean, sample, seed=seed) for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.parametrize("error", [standard_error, group_standard_error])
def test_several_numbers_have_an_error_each(error):
    sample = gaussian_set(400, np.zeros(2), np.array([1.0, 5.0]))
    small, large = error(lambda x: x.mean(0), sample, seed=0)
    assert small == pytest.approx(1 / 20, rel=0.6) and large == pytest.approx(5 / 20, rel=0.6)


def test_groups_are_disjoint_and_hold_every_clip():
    seen = []
    group_standard_error(lambda x: seen.append(x) or 0.0, np.arange(30), seed=0, groups=4)
    assert sorted(np.concatenate(seen)) == list(range(30)) and [len(part) for part in seen] == [8, 8, 7, 7]


def test_too_few_clips_for_groups_are_refused():
    with pytest.raises(ValueError, match="8 groups of 1 clips"):
        group_standard_error(np.mean, np.arange(15), seed=0)


def test_extrapolation_of_a_bias_in_1_over_n_is_exact():
    assert extrapolate(lambda x, y: 3 + 40 / len(x), np.zeros(100), np.zeros(90), points=5, seed=0) == pytest.approx(3)


def test_extrapolation_takes_the_frechet_distances_bias_away():
    """Two sets of one Gaussian: the distance is all bias. One extrapolation scatters by 0.18 around 0."""
    sets = np.random.default_rng(0).normal(size=[4, 2, 1024, 64])
    assert min(metrics.frechet_distance(x, y) for x, y in sets) > 2
    found = [extrapolate(metrics.frechet_distance, x, y, points=8, seed=0) for x, y in sets]
    assert np.mean(found) == pytest.approx(0, abs=0.3)


def test_extrapolation_wants_eight_clips():
    with pytest.raises(ValueError, match="up to 7 clips"):
        extrapolate(np.mean, np.arange(7.0), points=5, seed=0)
