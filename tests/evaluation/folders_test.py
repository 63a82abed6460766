"""Evaluation of folders of videos, as --dataset=folder reads them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.evaluation_test import Means
from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.data.sources import moving_shapes
from tfvideogan.evaluation import folders
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators import lpips

CONFIG = Config(frames=4, size=16, seed=3)
CLASSES = ("bend", "jack")


def frames(folder: Path, video: np.ndarray) -> None:
    """A video [T,H,W,3] as a folder of pictures."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(video):
        Image.fromarray(picture).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """real/<class>/<clip>/*.png and fake/, whose clips have the same first frame, and noise in the others; few/ is too few; futures/
    has both of each clip."""
    root, draw = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    for index in range(20):
        video, _ = moving_shapes.render(index, 4, 16, "plain")
        noisy = np.clip(video + draw.normal(0, 25.5, video.shape), 0, 255).astype(np.uint8)
        noisy[0] = video[0]
        for kind, pixels in (("real", video), ("fake", noisy), *([("few", video)] if index < 4 else [])):
            frames(root / kind / CLASSES[index % 2] / f"clip{index:02d}", pixels)
        for future, pixels in enumerate((noisy, video)):
            frames(root / "futures" / CLASSES[index % 2] / f"clip{index:02d}_{future}", pixels)
    return root


def evaluated(root: Path, *metrics: str, fake="fake", config=CONFIG, videos=None, paired=False, evaluator=None, **settings):
    where = str(root / "real"), str(root / fake)
    return folders.evaluate(config, Settings(metrics, **settings), evaluator or Means(), *where, videos, paired)


def test_folders_of_frames_are_read_as_train_reads_them(root):
    found = evaluated(root, "is", "m_is", "fid")
    assert [record["metric"] for record in found.records] == ["is/means", "m_is/means", "fid/means"]
    told = found.records[0]["protocol"]
    assert (told["num_real"], told["num_fake"], told["frames"], told["real"]) == (20, 20, 4, str(root / "real"))
    trained = data.load(Config(frames=4, size=16, dataset="folder", data_dir=str(root / "real")), "train")
    opened = folders.open_folder(CONFIG, "real", str(root / "real"), ())
    assert opened.labels == trained.labels == CLASSES and opened.size == trained.size == 20
    for ours, theirs in zip(opened.once(20), trained.once(20), strict=True):
        np.testing.assert_array_equal(ours["video"], theirs["video"])
        np.testing.assert_array_equal(ours["label"], theirs["label"])


def test_classes_that_the_evaluator_knows_have_its_numbers(root):
    known = ("walk", "jack", "bend")
    opened = folders.open_folder(CONFIG, "real", str(root / "real"), known)
    assert opened.labels == known and set(np.concatenate([batch["label"] for batch in opened.once(20)])) == {1, 2}
    assert folders.open_folder(CONFIG, "real", str(root / "real"), ("jack", "walk")).labels == CLASSES


def test_pairs_with_a_given_first_frame_have_a_finite_psnr(root):
    found = evaluated(root, "fid", "ssim", "psnr", paired=True)
    assert [record["metric"] for record in found.records] == ["fid/means", "ssim/paired", "psnr/paired"]
    psnr = found.records[2]
    # Noise of a tenth of the range, less what is cut off at its ends, in three of four frames: 20 dB, and at least 1.25 more.
    assert 21.2 < psnr["value"] < 23 and 0 < psnr["stderr"] < 1
    assert psnr["protocol"]["psnr"] == "squared error pooled over a clip, at most 60 dB"
    same = evaluated(root, "psnr", fake="real", paired=True).records[0]
    assert (same["value"], same["stderr"]) == (pytest.approx(60), pytest.approx(0))


def test_pairs_alone_will_do_and_ssim_of_small_frames_is_left_out(root):
    small = Config(frames=4, size=8)
    assert [record["metric"] for record in evaluated(root, "ssim", "psnr", config=small, paired=True).records] == ["psnr/paired"]
    with pytest.raises(UserError, match="none of them can be computed: no ssim: frames of 8 pixels a side, where it takes at least 11"):
        evaluated(root, "ssim", config=small, paired=True)


def test_lpips_of_pairs_is_the_mean_over_a_clip_and_needs_them(root):
    class Squared(lpips.Lpips):
        """The mean squared difference."""

        def __init__(self):
            self.network, self.sha256, self.name, self.least = "alex", "0123", "lpips_alex_0123", 16

        def __call__(self, x, y, data_range):
            return np.mean((x - y) ** 2, axis=(1, 2, 3, 4))

    psnr, distance = evaluated(root, "psnr", paired=True, lpips=Squared()).records
    assert distance["metric"] == "lpips_alex_0123/paired" and 4 / 10**2.3 < distance["value"] < 4 / 10**2.1
    assert distance["protocol"]["lpips_alex_0123"] == "LPIPS 0.1 by alex, weights of sha256 0123"
    found = evaluated(root, "psnr", fake="futures", paired=True, futures=2, given=1, lpips=Squared()).records
    assert {record["metric"]: record["value"] for record in found}["lpips_alex_0123/predicted/best"] == 0
    with pytest.raises(UserError, match="^--lpips: expected --paired"):
        evaluated(root, "psnr", lpips=Squared())


def test_unequal_sets_are_no_pairs(root):
    with pytest.raises(UserError, match="--paired: 20 videos in --real and 4 in --fake"):
        evaluated(root, "psnr", fake="few", paired=True)


def test_predictions_are_scored_frame_by_frame_their_futures_one_after_the_other(root):
    found = evaluated(root, "psnr", fake="futures", paired=True, futures=2, given=1).records
    records = {record["metric"]: record for record in found}
    assert list(records) == ["psnr/predicted", "psnr/predicted/best", "spread/predicted", "psnr/copy_last"]
    assert records["psnr/predicted/best"]["curve"] == [60, 60, 60]  # the second future of each clip is the clip itself
    assert 40 < records["psnr/predicted"]["value"] < 41.5  # of noise of a tenth of the range: 20 dB, and what is cut off
    assert 0.08 < records["spread/predicted"]["value"] < 0.1
    clips = np.concatenate([batch["video"] for batch in folders.open_folder(CONFIG, "real", str(root / "real"), ()).once(20)])
    error = np.mean((clips[:, 1:] - clips[:, :1]) ** 2, axis=(2, 3, 4))
    assert records["psnr/copy_last"]["curve"] == pytest.approx(np.mean(10 * np.log10(4 / error), 0), abs=1e-3)
    told = records["psnr/copy_last"]["protocol"]
    assert (told["given_frames"], told["futures"], told["num_real"], told["num_fake"]) == (1, 1, 20, 20)


def test_what_no_folder_of_predictions_can_be_is_refused(root):
    for changes, told in (
        ({"futures": 2}, "--given=0 --futures=2: expected 0 and 1 without --paired"),
        ({"given": 4, "paired": True}, "--given=4: expected less than --frames=4"),
        ({"futures": 3, "paired": True}, "--futures=3: got 20 videos in --fake, expected 3 for each of 20 in --real"),
        ({"given": -1}, "--given=-1: expected 0 or more"),
    ):
        with pytest.raises(UserError, match=f"^{told}"):
            evaluated(root, "psnr", **changes)


@pytest.mark.parametrize(
    "videos, real_videos, expected", [(None, None, (20, 20)), (12, None, (12, 12)), (12, 0, (20, 12)), (None, 16, (16, 20))]
)
def test_numbers_of_clips(root, videos, real_videos, expected):
    told = evaluated(root, "is", videos=videos, real_videos=real_videos).records[0]["protocol"]
    assert (told["num_real"], told["num_fake"]) == expected


def test_where_no_metric_can_be_computed_each_has_its_reason(root):
    evaluator = Means()
    evaluator.labels = ("walk",)
    with pytest.raises(UserError) as caught:
        evaluated(root, "accuracy", "kid", fake="few", report=True, evaluator=evaluator)
    assert str(caught.value) == (
        "--metrics=accuracy,kid: none of them can be computed: no accuracy: evaluator means knows other classes than the generator's; "
        "no kid: 4 clips, where it needs 16"
    )


def test_folders_have_no_seeds_to_repeat(root):
    with pytest.raises(UserError, match="--repeats=2: expected 1 with --real and --fake"):
        evaluated(root, "is", repeats=2)


def test_what_cannot_be_read_names_the_flag(root, tmp_path):
    with pytest.raises(UserError, match="--fake=.*nowhere: no such folder"):
        evaluated(root, "is", fake="nowhere")
    frames(tmp_path / "one" / "a" / "clip", np.zeros([4, 16, 16, 3], np.uint8))
    with pytest.raises(UserError, match="--real=.*one: 1 video that can be used; expected at least 2"):
        folders.open_folder(CONFIG, "real", str(tmp_path / "one"), ())
