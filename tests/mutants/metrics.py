"""Faults of the metrics, of evaluation and of latent distributions."""

from tests.mutants import Mutant

METRICS, EVALUATION, EVALUATORS = "tfvideogan/metrics", "tfvideogan/evaluation", "tfvideogan/evaluators"
ACD, ARRAYS, FRECHET = (f"{METRICS}/{name}.py" for name in ("average_content_distance", "arrays", "frechet_distance"))
PSNR, SSIM, SWD = (f"{METRICS}/{name}.py" for name in ("psnr", "ssim", "sliced_wasserstein_distance"))
FINGERPRINT, SCORES, RUN = (f"{EVALUATION}/{name}.py" for name in ("fingerprint", "scores", "evaluation"))
LATENT = "tfvideogan/ops/latent.py"

OF_PIXELS, OF_SCORES = "tests/metrics/pixels_test.py", "tests/metrics/scores_test.py"
OF_EVALUATION, OF_GENERATOR, OF_FOLDERS = (f"tests/evaluation/{name}_test.py" for name in ("evaluation", "generator", "folders"))
OF_CACHE, OF_REPEATS = "tests/evaluation/cache_test.py", "tests/evaluation/repeats_test.py"
OF_LATENT = "tests/ops/latent_test.py"

MUTANTS = [
    # Pixels
    Mutant(
        PSNR,
        "np.mean((x - y) ** 2, axis=(1, 2, 3, 4))",
        "np.mean((x - y) ** 2, axis=(2, 3, 4)).min(1)",
        f"{OF_PIXELS} -k psnr",
        "of one frame",
    ),
    Mutant(
        PSNR,
        "np.maximum(error, data_range**2 / 10 ** (MOST / 10))",
        "error",
        f"{OF_PIXELS} -k psnr",
        "infinite for equal clips",
    ),
    Mutant(PSNR, "data_range**2 / 10 **", "1 / 10 **", f"{OF_PIXELS} -k psnr", "the limit of a range of 1 for every range"),
    Mutant(
        ACD,
        "np.any(inside, axis=(2, 3), keepdims=True), inside, shape)",
        "np.any(inside, axis=(2, 3), keepdims=True), shape, shape)",
        f"{OF_PIXELS} -k color",
        "edges blend into the shape's color",
    ),
    Mutant(
        ACD,
        "np.any(np.abs(pixels - background) >= CONTRAST, axis=-1)",
        "np.ones(pixels.shape[:4], bool)",
        f"{OF_PIXELS} -k shape",
        "the whole frame for the shape",
    ),
    Mutant(
        ACD,
        "np.median(pixels, axis=(1, 2, 3), keepdims=True)",
        "np.median(pixels, axis=(0, 1, 2, 3), keepdims=True)",
        f"{OF_PIXELS} -k background",
        "one background for all clips",
    ),
    Mutant(
        ACD,
        "np.maximum(count, 1), background[:, 0, 0])",
        "np.maximum(count, 1), 0 * background[:, 0, 0])",
        f"{OF_PIXELS} -k vanishes",
        "no shape is black",
    ),
    Mutant(
        ACD,
        "np.triu_indices(features.shape[1], 1)",
        "np.triu_indices(features.shape[1], 0)",
        f"{OF_PIXELS} -k content_distance",
        "frames paired with themselves",
    ),
    Mutant(SSIM, "K1, K2 = 0.01, 0.03", "K1, K2 = 0.03, 0.01", f"{OF_PIXELS} -k ssim", "the two constants exchanged"),
    Mutant(SWD, "np.sort(some @ patches.T, axis=1)", "some @ patches.T", f"{OF_PIXELS} -k swd", "projections not sorted"),
    # Features and logits
    Mutant(FRECHET, "/ (len(x) - 1)", "/ len(x)", f"{OF_SCORES} -k frechet", "covariance over N"),
    Mutant(FRECHET, "- 2 * cross", "- cross", f"{OF_SCORES} -k frechet", "the cross term once"),
    Mutant(
        f"{METRICS}/mmd.py",
        "x @ y.T / x.shape[1] + 1",
        "x @ y.T + 1",
        f"{OF_SCORES} -k 'kernel or mmd'",
        "the cubic kernel not divided by F",
    ),
    Mutant(
        f"{METRICS}/mmd.py",
        "- diagonal) / (len(x) * (len(x) - 1))",
        ") / (len(x) * len(x))",
        f"{OF_SCORES} -k 'kernel or mmd'",
        "the biased MMD",
    ),
    Mutant(
        f"{METRICS}/inception_score.py",
        "np.array_split(logits, splits)",
        "[logits] * splits",
        f"{OF_SCORES} -k inception",
        "every split is the whole",
    ),
    Mutant(
        f"{METRICS}/modified_inception_score.py",
        "of_all * n / (n - 1)",
        "of_all",
        f"{OF_SCORES} -k modified",
        "pairs of a clip with itself",
    ),
    Mutant(
        f"{METRICS}/mode_score.py", "quality - np.sum", "quality + np.sum", f"{OF_SCORES} -k mode_score", "the classes' divergence added"
    ),
    Mutant(
        f"{METRICS}/precision_recall.py",
        "real_radii[rows, None], 0)",
        "fake_radii, 0)",
        f"{OF_SCORES} -k 'precision or written'",
        "precision by the fake balls",
    ),
    Mutant(
        f"{METRICS}/density_coverage.py",
        "held / (k * len(fake))",
        "held / len(fake)",
        f"{OF_SCORES} -k 'density or written'",
        "density not divided by k",
    ),
    Mutant(
        ARRAYS,
        "np.partition(squares, k, axis=1)[:, k]",
        "np.partition(squares, k - 1, axis=1)[:, k - 1]",
        f"{OF_SCORES} -k written",
        "a clip is its own neighbor",
    ),
    Mutant(
        f"{METRICS}/class_accuracy.py",
        "np.argmax(logits, axis=1)",
        "np.argmin(logits, axis=1)",
        f"{OF_SCORES} -k accuracy",
        "the least likely class",
    ),
    # Evaluators
    Mutant(
        f"{EVALUATORS}/c3d.py",
        "127.5 * tf.reshape(frames",
        "128 * tf.reshape(frames",
        "tests/evaluators/c3d_test.py -k 'values or aligns'",
        "pixels of C3D up to 255.5",
    ),
    Mutant(
        f"{EVALUATORS}/c3d.py",
        "(127.5 * video + (127.5 - mean",
        "(128 * video + (128 - mean",
        "tests/evaluators/c3d_test.py -k 'values or center'",
        "pixels of TGAN's C3D 0 to 256",
    ),
    Mutant(
        f"{EVALUATORS}/i3d.py",
        "from_uint8(to_uint8(video)) if self.uint8",
        "from_uint8(to_uint8(video)) if not self.uint8",
        "tests/evaluators/i3d_test.py -k rounded",
        "clips to I3D not rounded",
    ),
    # Scores and their protocol
    Mutant(
        SCORES,
        "inception_score(_flat(x), is_splits)",
        "inception_score(_flat(x), 1)",
        f"{OF_EVALUATION} -k splits",
        "--is_splits is not used",
    ),
    Mutant(
        SCORES,
        'Score("fvd", _frechet, (real.logits, fake.logits))',
        'Score("fvd", _frechet, of_both)',
        f"{OF_EVALUATION} -k values_are",
        "FVD of the features",
    ),
    Mutant(
        SCORES,
        'mean("acd_shape", "shape_drift"',
        'mean("acd_shape", "frame_drift"',
        f"{OF_EVALUATION} -k values_are",
        "acd_shape is the whole frame's",
    ),
    Mutant(SCORES, "clips //= is_splits", "clips //= 1", f"{OF_EVALUATION} -k splits", "clips of all splits are said to be in each"),
    Mutant(
        RUN,
        "videos = config.evaluate_videos if real_videos is None else real_videos or dataset.size",
        "videos = config.evaluate_videos",
        f"{OF_EVALUATION} -k more_or_fewer",
        "--num_real is not used",
    ),
    Mutant(RUN, "if not self.as_real:", "if True:", f"{OF_EVALUATION} -k shares", "labels take turns where the data are unbalanced"),
    Mutant(
        RUN,
        "np.random.default_rng(seed).permutation(np.repeat",
        "np.random.default_rng().permutation(np.repeat",
        f"{OF_EVALUATION} -k shares",
        "labels of another order each time",
    ),
    Mutant(
        RUN, "self.missing[metric] = table[metric].missing", "pass", f"{OF_EVALUATION} -k reason", "no reason kept for a metric left out"
    ),
    Mutant(
        f"{EVALUATION}/generator.py",
        "range(config.seed + 1, config.seed + settings.repeats)",
        "[config.seed] * (settings.repeats - 1)",
        f"{OF_GENERATOR} -k repeats",
        "repeats of one seed",
    ),
    Mutant(
        f"{EVALUATION}/generator.py",
        "    result.require(runs[0], settings.metrics, scored.missing)\n",
        "",
        f"{OF_GENERATOR} -k reason",
        "no metric, and no error",
    ),
    Mutant(
        f"{EVALUATION}/repeats.py",
        "np.std(values, ddof=1) / np.sqrt(len(values))",
        "np.std(values, ddof=1)",
        OF_REPEATS,
        "the deviation for the error of the mean",
    ),
    Mutant(
        f"{EVALUATION}/folders.py",
        'folder.listing(path, "", known)',
        'folder.listing(path, "")',
        f"{OF_FOLDERS} -k knows",
        "classes not numbered as the evaluator's",
    ),
    Mutant(
        f"{EVALUATION}/frames.py",
        'if "ssim" in found and side < WINDOW:',
        "if False:",
        f"{OF_FOLDERS} -k small",
        "a traceback for small frames",
    ),
    # The cache's key
    Mutant(FINGERPRINT, "followlinks=True", "followlinks=False", f"{OF_CACHE} -k linked", "linked folders are not looked into"),
    Mutant(FINGERPRINT, " {status.st_ctime_ns}", "", f"{OF_CACHE} -k same_size", "a file with its old time passes for the old one"),
    Mutant(FINGERPRINT, "onerror=refuse, ", "", f"{OF_CACHE} -k looked_at", "an unreadable folder passes for an empty one"),
    Mutant(FINGERPRINT, "if not status.mtime_nsec > 0:", "if False:", f"{OF_CACHE} -k remote", "remote files without a time are trusted"),
    Mutant(
        FINGERPRINT,
        "        for named in _named(table):",
        "        for named in ():",
        f"{OF_CACHE} -k csv",
        "videos that a CSV file names are not looked at",
    ),
    Mutant(
        FINGERPRINT,
        'os.path.dirname(root) or "." if is_table else root',
        "root",
        f"{OF_CACHE} -k csv",
        "videos beside a CSV file are not looked at",
    ),
    Mutant(
        f"{EVALUATION}/cache.py",
        'if fingerprint.of_files(settings.get("data_dir", "")) != files:',
        "if False:",
        f"{OF_CACHE} -k during",
        "what changed during the look is kept",
    ),
    # Latents
    Mutant(
        LATENT,
        "first, last = _weights(t)\n        return first * a",
        "first, last = 1 - t, t\n        return first * a",
        OF_LATENT,
        "normal latents on the straight line",
    ),
    Mutant(
        LATENT,
        "between = tf.math.erf(first * _quantile(a) + last * _quantile(b))",
        "between = first * a + last * b",
        OF_LATENT,
        "uniform latents as if normal",
    ),
    Mutant(
        LATENT,
        "return tf.where(last == 0, a, tf.where(first == 0, b, between))",
        "return between",
        OF_LATENT,
        "ends that are not the draws",
    ),
    Mutant(LATENT, "tf.clip_by_value(u, -inside, inside)", "u", OF_LATENT, "infinite quantiles at the ends"),
    Mutant(LATENT, "return truncation * z", "return z / truncation", OF_LATENT, "truncation widens"),
    Mutant(
        f"{EVALUATION}/interpolation.py",
        "distribution.truncate(distribution.interpolate(ends[:1], ends[1:], share), truncation)",
        "distribution.interpolate(ends[:1], ends[1:], share)",
        "tests/evaluation/interpolation_test.py -k follow",
        "interpolation sheets without truncation",
    ),
]
