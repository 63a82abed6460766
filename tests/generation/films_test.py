"""Films translated frame by frame: their length, frame rate, size and sound."""

import resource
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import av
import numpy as np
import pytest
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.data import decode
from tfvideogan.generation import films


def film(path, frames: int, height: int, width: int, rate: Fraction, sound: str = "aac", times: list[float] | None = None) -> str:
    """A gray film that grows lighter, with a tone of its length unless `sound` is empty."""
    seconds = times[-1] if times else frames / float(rate)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream(sound, rate=16_000, layout="mono") if sound else None
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full([height, width, 3], 40 + 150 * i // frames, np.uint8), format="rgb24")
            if times:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[i])
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            tone = np.sin(np.arange(int(16_000 * seconds)) * 0.2)
            frame = av.AudioFrame.from_ndarray((tone * 10_000).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return str(path)


def sound_of(path: str) -> tuple[str, list[bytes], np.ndarray]:
    """(codec, packets, samples)."""
    with av.open(path) as container:
        track = container.streams.audio[0]
        packets = [packet for packet in container.demux(track) if packet.size]
    with av.open(path) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    return track.codec_context.name, [bytes(packet) for packet in packets], samples


def negative(picture: np.ndarray) -> np.ndarray:
    return 255 - picture


def test_a_film_keeps_size_rate_length_and_sound(tmp_path):
    rate = Fraction(30_000, 1001)
    source, output = film(tmp_path / "in.mp4", 40, 32, 48, rate), str(tmp_path / "new" / "out.mp4")
    assert films.translate(partial(map, negative), source, output) == 40
    before, after = decode.probe(source), decode.probe(output)
    assert (after.frames, after.height, after.width) == (40, 32, 48)
    np.testing.assert_allclose(after.times, before.times, atol=1e-3)
    with av.open(output) as container:
        assert container.streams.video[0].average_rate == rate
    frames = [decode.read(path, [0, 39], facts).astype(int) for path, facts in ((source, before), (output, after))]
    assert np.abs(frames[0] + frames[1] - 255).mean() < 3
    (codec, packets, _), (codec_after, packets_after, _) = sound_of(source), sound_of(output)
    assert codec == codec_after == "aac" and packets_after == packets
    assert not list(tmp_path.glob("new/*.tmp"))


def test_uneven_times_and_odd_sides_are_kept(tmp_path):
    times = [0.0, 0.1, 0.15, 0.5, 0.9, 1.0]
    source, output = film(tmp_path / "in.mp4", 6, 32, 48, Fraction(25), "", times), str(tmp_path / "out.mp4")
    films.translate(lambda pictures: pictures, source, output)
    np.testing.assert_allclose(decode.probe(output).times, times, atol=2e-3)
    with av.open(output) as container:
        assert not container.streams.audio
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        import PIL.Image

        PIL.Image.fromarray(np.full([15, 21, 3], 60 * i, np.uint8)).save(folder / f"{i}.png")
    films.translate(lambda pictures: pictures, str(folder), output)
    facts = decode.probe(output)
    assert (facts.frames, facts.height, facts.width) == (3, 16, 22)


def test_sound_that_mp4_does_not_hold_becomes_aac(tmp_path):
    source, output = film(tmp_path / "in.mkv", 30, 16, 16, Fraction(10), "pcm_s16le"), str(tmp_path / "out.mp4")
    films.translate(partial(map, negative), source, output)
    codec, _, samples = sound_of(output)
    _, _, original = sound_of(source)
    assert codec == "aac" and len(samples) == pytest.approx(len(original), rel=0.05)
    assert np.std(samples) == pytest.approx(np.std(original / 32768), rel=0.1)


def test_what_is_no_film_or_is_damaged_leaves_nothing(tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UserError, match="^--source=.*text.mp4: "):
        films.translate(partial(map, negative), str(tmp_path / "text.mp4"), str(tmp_path / "out.mp4"))

    def breaks(picture: np.ndarray) -> np.ndarray:
        raise ValueError("frame lost")

    source = film(tmp_path / "in.mp4", 4, 16, 16, Fraction(10))
    with pytest.raises(UserError, match="frame lost, after 0 frames; nothing is written"):
        films.translate(partial(map, breaks), source, str(tmp_path / "out.mp4"))
    assert not list(tmp_path.glob("out*"))


class Counting(tf.Module):
    """Begins with two frames, which it makes darker; of the others each is lighter than the one before."""

    def __init__(self):
        self.start = tf.function(
            lambda source: (0.5 * source, {"count": tf.zeros([1])}), [tf.TensorSpec([None, 2, 16, 24, 3], tf.float32, "source")]
        )

    def next(self, state, inputs):
        count = state["count"] + 1.0
        return tf.zeros_like(inputs["source"]) + 0.25 * count, {"count": count}


def test_a_translation_that_begins_with_several_frames_streams(tmp_path):
    source = film(tmp_path / "in.mp4", 4, 16, 24, Fraction(10), "")
    generator = SimpleNamespace(name="run", source=Counting(), config=SimpleNamespace(frame_size=(16, 24)))
    made = list(films.Stream(generator, None)(iter(np.full([5, 16, 24, 3], 200, np.uint8))))
    assert [int(frame[0, 0, 0]) for frame in made] == [100, 100, 64, 128, 191]
    assert films.translate(films.Stream(generator, None), source, str(tmp_path / "out.mp4")) == 4
    short = film(tmp_path / "short.mp4", 1, 16, 24, Fraction(10), "")
    with pytest.raises(UserError, match="got 1 frames, expected at least 2, after 0 frames; nothing is written"):
        films.translate(films.Stream(generator, None), short, str(tmp_path / "short_out.mp4"))
    assert not (tmp_path / "short_out.mp4").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    short, long = (film(tmp_path / f"{n}.mp4", n, 720, 1280, Fraction(25)) for n in (30, 250))
    films.translate(partial(map, negative), short, str(tmp_path / "out.mp4"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert films.translate(partial(map, negative), long, str(tmp_path / "out.mp4")) == 250
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB; 220 more frames are 608,256
    assert len(sound_of(str(tmp_path / "out.mp4"))[1]) == len(sound_of(long)[1])
