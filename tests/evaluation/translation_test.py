"""Evaluation of a translation: of one that is made up, whose scores one can follow, and of every model that translates."""

import dataclasses
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageSequence

from tests.conftest import small
from tests.evaluation.evaluation_test import Means
from tests.evaluation.poses_test import Dots
from tfvideogan import data, metrics, models
from tfvideogan.config import Config, UserError
from tfvideogan.data import pose_estimation
from tfvideogan.evaluation import result, translation
from tfvideogan.evaluation.nearest import Nearest
from tfvideogan.evaluation.settings import Settings
from tfvideogan.evaluators import lpips
from tfvideogan.generation import module
from tfvideogan.generation.module import Generator
from tfvideogan.generation.sampler import Sampler
from tfvideogan.metrics.warp_error import trusted_pixels
from tfvideogan.ops import forms
from tfvideogan.ops.flow_color import flow_to_color
from tfvideogan.ops.label_color import source_to_color
from tfvideogan.ops.video import to_uint8
from tfvideogan.training.loop import train
from tfvideogan.training.run_folder import from_run

FRAMES, SIZE, CLIPS = 4, 16, 20
LABELED = small("vid2vid", evaluate_videos=CLIPS, frames=FRAMES, seed=5)  # the data and settings; the network is made up
TEST = models.dataset(LABELED, "test", ["flow"])


@pytest.fixture(autouse=True, scope="module")
def plain():
    """Nothing is compiled, as every network here runs once or twice; and few training frames are looked at."""
    with forms.plain(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfvideogan.evaluation.nearest.FRAMES", 80)
        yield


class Module(tf.Module):
    """Paints label k as k / 4 of gray, and adds to it .8 of the frame before, less the gray of that frame's labels; which frames of the
    clip those are it cannot tell. The first frame, or the first after those that are given, has nothing before."""

    def __init__(self, given: int = 0):
        super().__init__()
        source = tf.TensorSpec([None, FRAMES, SIZE, SIZE], tf.int32, "source")
        first = [tf.TensorSpec([None, given, SIZE, SIZE, 3], tf.float32, "video")] if given else []
        self.given, self.translate = given, tf.function(self.whole, input_signature=[source, *first])
        begun = tf.TensorSpec([None, given or 1, SIZE, SIZE], tf.int32, "source")
        self.generate, self.start = self.translate, tf.function(self.begin, input_signature=[begun, *first])

    def whole(self, source: tf.Tensor, video: tf.Tensor | None = None) -> tf.Tensor:
        state, frames = None if video is None else {"past": video[:, -1]}, [] if video is None else tf.unstack(video, axis=1)
        for t in range(self.given, FRAMES):
            frame, state = self.frame(state, source[:, t])
            frames.append(frame)
        return tf.stack(frames, 1)

    def frame(self, state: dict | None, source: tf.Tensor) -> tuple[tf.Tensor, dict]:
        painted = tf.repeat(tf.cast(source, tf.float32)[..., None] / 4, 3, -1)
        frame = painted if state is None else 0.6 * painted + 0.4 * state["past"]
        return frame, {"past": frame}

    def begin(self, source: tf.Tensor, video: tf.Tensor | None = None) -> tuple[tf.Tensor, dict]:
        if video is not None:
            return video, {"past": video[:, -1]}
        frame, state = self.frame(None, source[:, 0])
        return frame[:, None], state

    def next(self, state: dict, inputs: dict) -> tuple[tf.Tensor, dict]:
        assert inputs["source"].shape[1] == 1
        frame, state = self.frame(state, inputs["source"][:, 0])
        return frame[:, None], state


def evaluated(given: int = 0, **settings) -> result.Result:
    generator = Generator("some/run", LABELED, TEST.labels, 8, Module(given))
    return translation.evaluate(generator, Settings(**{"metrics": translation.USUAL, **settings}), Means())


@pytest.fixture(scope="module")
def found() -> result.Result:
    return evaluated(report=True)


@pytest.fixture(scope="module")
def batch() -> data.Batch:
    """The clips that are translated."""
    return next(iter(TEST.batches(CLIPS)))


def of(found: result.Result, metric: str) -> dict:
    (record,) = [record for record in found.records if record["metric"] == metric]
    return record


# Scores


def test_baselines_stand_beside_every_metric(found):
    assert [record["metric"] for record in found.records] == [
        *("fvd/means", "fvd/means/nearest", "fvd/means/no_history", "fid/means", "fid/means/nearest", "fid/means/no_history"),
        *("ssim/translated", "ssim/nearest", "ssim/no_history", "psnr/translated", "psnr/nearest", "psnr/no_history"),
        *("warp_error/translated", "warp_error/nearest", "warp_error/no_history"),
    ]


@pytest.fixture(scope="module")
def by_hand(batch) -> dict[str, np.ndarray]:
    """Clips [N,T,H,W,3] in [-1,1] of the made-up network, of the same without history, and of the nearest training frames."""
    painted = np.repeat(batch["source"].numpy()[..., None] / 4, 3, -1)
    made = [painted[:, 0]]
    for t in range(1, FRAMES):
        made.append(0.6 * painted[:, t] + 0.4 * made[-1])
    nearest = Nearest(data.load(LABELED, "train", ["source"]))({"source": batch["source"].numpy()}, FRAMES)
    return {"translated": np.stack(made, 1) * 2 - 1, "no_history": painted * 2 - 1, "nearest": nearest}


def test_scores_of_frames_are_those_of_each_and_its_true_one(found, batch, by_hand):
    truth = batch["video"].numpy()
    for name, clips in by_hand.items():
        for metric, function in (("ssim", metrics.ssim), ("psnr", metrics.psnr)):
            curve = [np.mean(function(clips[:, [t]], truth[:, [t]], 2.0)) for t in range(FRAMES)]
            assert of(found, f"{metric}/{name}")["curve"] == pytest.approx(curve, abs=1e-4)
            assert of(found, f"{metric}/{name}")["value"] == pytest.approx(np.mean(curve), abs=1e-4)


def test_the_warp_error_goes_by_the_true_clips_flow(found, batch, by_hand):
    truth, flow = batch["video"].numpy(), batch["flow"].numpy()
    trusted = trusted_pixels(truth, flow, 2.0)
    for name, clips in by_hand.items():
        record = of(found, f"warp_error/{name}")
        assert record["value"] == pytest.approx(np.mean(metrics.warp_error(clips, flow, trusted, 2.0)), rel=1e-4)
        assert record["real"] == pytest.approx(np.mean(metrics.warp_error(truth, flow, trusted, 2.0)), rel=1e-4)
        assert record["stderr"] > 0 and record["protocol"]["flow"] == "of the data set"
        assert record["protocol"]["trusted_share"] == pytest.approx(trusted[:, 1:].mean(), abs=1e-4)


def test_sets_are_scored_against_the_true_clips(found, batch, by_hand):
    features, truth = (Means().compute(clips)[0].numpy() for clips in (by_hand["translated"], batch["video"]))
    assert of(found, "fid/means")["value"] == pytest.approx(metrics.frechet_distance(truth, features), rel=1e-3)
    assert of(found, "fid/means/no_history")["value"] != of(found, "fid/means")["value"]


def test_the_protocol_says_how(found):
    told = of(found, "ssim/translated")["protocol"]
    assert (told["given_frames"], told["paired"], told["split"], told["num_real"], told["num_fake"]) == (0, True, "test", CLIPS, CLIPS)
    assert "as if it were the first one" in of(found, "fid/means/no_history")["protocol"]["no_history"]
    assert "whose source is nearest" in of(found, "psnr/nearest")["protocol"]["nearest"] and "nearest" not in told


def test_the_report_plays_source_target_and_output(found, batch, by_hand, tmp_path):
    (section,) = found.sections
    assert section.text == "From the left: source, target, translated, nearest, no_history." and section.columns == 5
    assert len(section.clips) == 5 * translation.SHOWN
    np.testing.assert_array_equal(section.clips[0::5], source_to_color(batch["source"])[: translation.SHOWN])
    for column, clips in (
        (1, batch["video"].numpy()),
        *zip((2, 3, 4), (by_hand[name] for name in ("translated", "nearest", "no_history")), strict=True),
    ):
        shown = section.clips[column::5].astype(float)
        np.testing.assert_allclose(shown, 127.5 * clips[: translation.SHOWN] + 127.5, atol=0.51)
    result.write_report(tmp_path, found)
    assert "Translations" in (tmp_path / "report.html").read_text()


def test_given_first_frames_are_in_sets_and_pictures_and_not_scored(batch):
    found = evaluated(given=2, report=True)
    assert of(found, "psnr/translated")["protocol"]["given_frames"] == 2
    truth, painted = batch["video"].numpy(), np.repeat(batch["source"].numpy()[..., None] / 4, 3, -1) * 2 - 1
    third = 0.6 * painted[:, 2] + 0.4 * truth[:, 1]
    made = np.stack([truth[:, 0], truth[:, 1], third, 0.6 * painted[:, 3] + 0.4 * third], 1)
    alone = np.stack([*made[:, :3].swapaxes(0, 1), 0.6 * painted[:, 3] + 0.4 * truth[:, 1]], 1)  # from the given ones, ever again
    flow, trusted = batch["flow"].numpy(), trusted_pixels(truth, batch["flow"].numpy(), 2.0)
    still = np.stack([truth[:, min(t, 1)] for t in range(FRAMES)], 1)
    for name, clips in (("translated", made), ("no_history", alone), ("copy_last", still)):
        curve = [np.mean(metrics.psnr(clips[:, [t]], truth[:, [t]], 2.0)) for t in (2, 3)]
        assert of(found, f"psnr/{name}")["curve"] == pytest.approx(curve, abs=1e-4)
        steady = metrics.warp_error(clips[:, 1:], flow[:, 1:], trusted[:, 1:], 2.0)  # the step from the last one that is given counts
        assert of(found, f"warp_error/{name}")["value"] == pytest.approx(np.mean(steady), rel=1e-4)
    (section,) = found.sections
    assert section.text.endswith("The first 2 frames were given.")
    assert section.text.startswith("From the left: source, target, translated, copy_last, nearest, no_history.")
    for column in (1, 2, 3, 4, 5):
        np.testing.assert_allclose(section.clips[column][:2].astype(float), 127.5 * truth[0, :2] + 127.5, atol=0.51)


class Squared(lpips.Lpips):
    """The mean squared difference."""

    def __init__(self):
        self.network, self.sha256, self.name, self.least = "alex", "0123", "lpips_alex_0123", 11

    def __call__(self, x, y, data_range):
        return np.mean((x - y) ** 2, axis=(1, 2, 3, 4))


def test_lpips_joins_them(batch, by_hand):
    found = evaluated(lpips=Squared(), metrics=("psnr",))
    names = [record["metric"] for record in found.records]
    assert names[3:6] == [f"lpips_alex_0123/{of}" for of in ("translated", "nearest", "no_history")]
    expected = np.mean((by_hand["translated"] - batch["video"]) ** 2)
    assert found.records[3]["value"] == pytest.approx(expected, rel=1e-4)


def test_the_pose_distance_joins_them_where_there_is_an_estimator(batch, by_hand, monkeypatch):
    monkeypatch.setattr(pose_estimation, "Tracker", Dots)
    monkeypatch.setattr(pose_estimation, "estimator", lambda: "dots")
    found = evaluated(metrics=("pose_distance",))
    names = [record["metric"] for record in found.records]
    assert names[3:6] == [f"pose_distance/{of}" for of in ("translated", "nearest", "no_history")]
    assert names[6:] == [f"missed_points/{of}" for of in ("translated", "nearest", "no_history")]

    def points(clips: np.ndarray) -> np.ndarray:
        return np.stack([[tracker(frame) for frame in to_uint8(clip).numpy()] for clip in clips for tracker in (Dots(),)])

    for name, clips in by_hand.items():
        distances = metrics.pose_distance(points(batch["video"].numpy()), points(clips), 1.0)
        record = of(found, f"pose_distance/{name}")
        assert record["value"] == pytest.approx(np.mean(distances), rel=1e-3) and record["protocol"]["num_fake"] == CLIPS
    given = evaluated(metrics=("pose_distance",), given=2)
    assert of(given, "pose_distance/translated")["value"] != of(found, "pose_distance/translated")["value"]


def test_without_an_estimator_the_pose_distance_alone_is_refused_and_others_are_told(monkeypatch):
    def none() -> str:
        raise UserError("needs an estimator")

    monkeypatch.setattr(pose_estimation, "estimator", none)
    with pytest.raises(UserError, match="^--metrics=pose_distance: none of them can be computed: no pose_distance: needs an estimator$"):
        evaluated(metrics=("pose_distance",))
    assert evaluated(metrics=("psnr", "pose_distance")).records[0]["metric"] == "psnr/translated"


def test_what_cannot_be_asked_of_a_translation_is_refused():
    with pytest.raises(UserError, match="^--repeats=2: expected 1 for a translation"):
        evaluated(repeats=2)
    with pytest.raises(UserError, match="^--futures=3: expected 1 for a translation, as some/run makes one clip of a source"):
        evaluated(futures=3)


# Models


def of_model(name: str, **changes) -> Generator:
    config = small(name, evaluate_videos=6, **changes)
    return Generator("some/run", config, ("one",), 8, Sampler(models.build(config)))


def scores_of(generator: Generator, *metrics: str, **settings) -> result.Result:
    return translation.evaluate(generator, Settings(metrics or ("psnr",), **settings), Means())


@pytest.mark.parametrize("changes", [{}, pytest.param({"first_frames": "real", "frames": 5}, marks=pytest.mark.slow)])
def test_vid2vid_frame_by_frame_is_the_whole_clip_and_each_without_history_its_first(changes):
    generator = of_model("vid2vid", **changes)
    for weight in generator.source._gan.ema_generator.scales[0].to_flow.weights:  # flows of a few pixels
        weight.assign(0.02 * weight)
    batch = next(iter(models.dataset(generator.config, "test").once(2)))
    whole, given = generator.draw(batch, tf.constant([0, 0]), 1.0).numpy(), generator.config.given_frames
    np.testing.assert_allclose(generator.in_turn(batch), whole, atol=1e-5)
    alone = generator.in_turn(batch, history=False).numpy()
    assert alone.shape == whole.shape and np.abs(alone[:, given + 1 :] - whole[:, given + 1 :]).max() > 0.01
    np.testing.assert_allclose(alone[:, : given + 1], whole[:, : given + 1], atol=1e-5)
    if not given:  # the last frame's is that of a clip of which it is the first
        rolled = {name: tf.roll(batch[name], 1, 1) for name in ("source", "instances")}
        np.testing.assert_allclose(alone[:, -1], generator.in_turn(rolled)[:, 0], atol=1e-5)
    with_few = dataclasses.replace(generator, config=dataclasses.replace(generator.config, evaluate_videos=2))
    found = scores_of(with_few, report=True)
    assert 0 < of(found, "painted_share/translated")["value"] < 1
    (section,) = found.sections
    baselines = [*(["copy_last"] if given else []), "nearest", "no_history"]
    columns = ["source", "target", "translated", "flow", "mask", *baselines]
    assert section.text.startswith(f"From the left: {', '.join(columns)}.") and section.columns == len(columns)
    flow, mask = (section.clips[place :: len(columns)] for place in (3, 4))
    assert (mask[..., 0] == mask[..., 1]).all() and (mask[:, 0] == (0 if given else 255)).all()  # without a frame before, all is painted
    assert len(np.unique(flow[:, given:])) > 10 and (flow[:, :given] == 255).all()


def write_dancer(folder, faces: bool) -> None:
    draw = np.random.default_rng(0)
    for name in ("source", "video"):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(draw.integers(0, 256, [32, 32, 3], np.uint8)).save(folder / name / f"f{i}.png")
    if faces:
        boxes = "".join(f"f{i},{i},{i + 16},8,24\n" for i in range(8))
        (folder / "faces.csv").write_text("frame,top,bottom,left,right\n" + boxes)


@pytest.mark.parametrize("phase", ["global", *(pytest.param(name, marks=pytest.mark.slow) for name in ("local", "face"))])
def test_everybody_dance_now_is_evaluated_in_its_phases(phase, tmp_path):
    write_dancer(tmp_path, faces=phase == "face")
    held_out = {"dataset": "pairs", "data_dir": str(tmp_path), "held_out": "f[4567]"}
    generator = of_model("everybody_dance_now", phase=phase, size=32, frames=3, halvings=1, face_size=16, **held_out)
    batch = next(iter(models.dataset(generator.config, "test").once(2)))
    whole = generator.draw(batch, tf.constant([0, 0]), 1.0).numpy()
    np.testing.assert_allclose(generator.in_turn(batch), whole, atol=1e-5)  # each from its own frame before
    longer = generator.in_turn({name: tf.repeat(value, 2, 1) if value.shape.rank > 2 else value for name, value in batch.items()})
    assert longer.shape[1] == 6
    np.testing.assert_allclose(longer[:, :1], whole[:, :1], atol=1e-5)
    changed = np.abs(generator.in_turn(batch, history=False).numpy() - whole).max(axis=(0, 2, 3, 4))
    assert changed[0] < 1e-5 < 1e-3 < min(changed[1:])
    found = scores_of(generator)
    names = [record["metric"] for record in found.records]
    assert names[:4] == [f"psnr/{name}" for name in ("translated", "copy_source", "nearest", "no_history")]
    assert of(found, "psnr/copy_source")["protocol"]["num_real"] == 2


def test_faces_that_are_missing_are_one_line(tmp_path):
    write_dancer(tmp_path, faces=False)
    changes = {"dataset": "pairs", "data_dir": str(tmp_path), "phase": "face", "size": 32, "halvings": 1, "face_size": 16}
    with pytest.raises(UserError, match=r"^--dataset=pairs: got flow, label, .*, expected 'face' too for --model=everybody_dance_now$"):
        scores_of(of_model("everybody_dance_now", **changes))


def test_an_unpaired_translation_is_scored_by_sets_and_steadiness_alone():
    generator = of_model("cartoongan")
    found = scores_of(generator, "fid", "ssim", "psnr", report=True)
    assert [r["metric"] for r in found.records] == ["fid/means", "fid/means/copy_source", "warp_error/translated", "warp_error/copy_source"]
    assert of(found, "warp_error/copy_source")["value"] == pytest.approx(of(found, "warp_error/copy_source")["real"])  # by the source's
    assert not found.records[0]["protocol"]["paired"] and found.sections[0].text == "From the left: source, translated."
    style = next(iter(models.dataset(generator.config, "test").batches(6)))
    photos = metrics.frechet_distance(*(Means().compute(style[name])[0].numpy() for name in ("video", "source")))
    assert of(found, "fid/means/copy_source")["value"] == pytest.approx(photos, rel=1e-3)
    with pytest.raises(UserError, match="none of them can be computed: no ssim: the data set is unpaired; no psnr: the"):
        scores_of(generator, "ssim", "psnr")
    with pytest.raises(UserError, match="no pose_distance: the data set is unpaired"):
        scores_of(generator, "pose_distance")
    with pytest.raises(UserError, match="^--lpips: expected a paired data set"):
        scores_of(generator, "fid", lpips=Squared())


def test_pictures_have_no_warp_error_and_pairs_of_the_same_model_have_scores_of_frames():
    found = scores_of(of_model("cartoongan", dataset="renderings/paired", frames=1))
    assert [record["metric"] for record in found.records] == ["psnr/translated", "psnr/copy_source", "psnr/nearest"]


# A run of flows


def test_a_generator_that_reads_flow_alone_is_shown_in_training_and_scored(tmp_path):
    """FTGAN's second phase: there is no source to copy, nor one to be near to."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    often = {"sample_every_steps": 1, "evaluate_every_steps": 1, "evaluator": "moving_shapes"}
    config = small("ftgan", phase="texture", steps=1, batch_size=2, evaluate_videos=6, standing_batches=1, **often)
    train(config, models.dataset(config, "train"), str(tmp_path), tf.distribute.OneDeviceStrategy("CPU:0"))
    for number, handler in before.items():
        signal.signal(number, handler)
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(tmp_path / "samples" / "step_0000001.gif"))]
    assert np.shape(frames) == (config.frames, 4 * (config.size + 1), 3 * (config.size + 1), 3)
    found = scores_of(from_run(str(tmp_path), config, best=False), *translation.USUAL, report=True)
    names = "fvd/means", "fid/means", "ssim/translated", "psnr/translated", "warp_error/translated"
    assert tuple(record["metric"] for record in found.records) == names
    (section,) = found.sections
    assert section.text == "From the left: flow, target, translated."
    batch = next(iter(models.dataset(config, "test").batches(6)))
    np.testing.assert_array_equal(section.clips[0::3], flow_to_color(batch["flow"], config.size / 8)[: translation.SHOWN])


# A run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Config:
    """Two steps of vid2vid."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    config = small("vid2vid", steps=2, batch_size=2, sample_every_steps=2, log_every_steps=1, evaluate_videos=6)
    config = dataclasses.replace(config, data_dir=str(tmp_path_factory.mktemp("runs") / "run"))  # which is not read: the run's folder
    train(config, models.dataset(config, "train"), config.data_dir, tf.distribute.OneDeviceStrategy("CPU:0"))
    for number, handler in before.items():
        signal.signal(number, handler)
    return config


@pytest.mark.slow
def test_a_run_is_evaluated_end_to_end(run, tmp_path):
    found = scores_of(from_run(run.data_dir, run, best=False), *translation.USUAL, report=True)
    assert found.step == 2 and len(found.records) == 4 * 3 + 3 + 1
    result.write_report(tmp_path, found)
    assert "painted_share/translated" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_samples_of_a_run_are_source_target_output_flow_and_mask(run):
    """Four clips of each column; a GIF and TensorBoard have the same."""
    folder = Path(run.data_dir)
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(folder / "samples" / "step_0000002.gif"))]
    assert np.shape(frames) == (run.frames, 4 * (run.size + 1), 5 * (run.size + 1), 3)
    shown = np.stack(frames).reshape(run.frames, 4, run.size + 1, 5, run.size + 1, 3)[:, :, :-1, :, :-1].transpose(3, 1, 0, 2, 4, 5)
    batch = next(iter(models.dataset(run, "train").once(4)))
    for column, expected in ((0, source_to_color(batch["source"])), (1, to_uint8(batch["video"]))):
        np.testing.assert_allclose(shown[column].astype(int), expected.numpy(), atol=32)  # a GIF has 256 colors
    tags: dict[str, float] = {}
    for file in (folder / "logs").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags |= {value.tag: tf.make_ndarray(value.tensor) for value in event.summary.value if value.tag.startswith("samples")}
    assert set(tags) == {"samples/ema", "samples/raw", "samples_ema/painted_share", "samples_raw/painted_share"}
    assert 0 < tags["samples_ema/painted_share"] < 1
    assert tags["samples/ema"][:2].tolist() == [b"%d" % (5 * (run.size + 1)), b"%d" % (4 * (run.size + 1))]


@pytest.mark.slow
def test_an_exported_module_has_the_scores_of_its_run(run, tmp_path):
    generator = from_run(run.data_dir, run, best=False)
    module.write(generator, str(tmp_path / "module"), False)
    opened = module.from_module(str(tmp_path / "module"), run)
    one, other = (scores_of(each, "psnr") for each in (generator, opened))
    assert len(one.records) == 1 + len(other.records)  # it does not tell what is painted
    for record in other.records:
        assert record["value"] == pytest.approx(of(one, record["metric"])["value"], rel=1e-3)
