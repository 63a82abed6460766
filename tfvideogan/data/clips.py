"""From a video to a clip: which frames, and what of them, as the config says."""

import tensorflow as tf

from tfvideogan.config import Clips

START, STRIDE, FLIP, TOP, LEFT = range(1000, 1005)  # streams of an example's seed
TOLERANCE = 1e-3  # seconds by which times of frames may be rounded


def cut(config: Clips, times: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """The numbers of a clip's frames, int32 [T], in a video whose frames are at `times`, float32 [L], in seconds.

    With config.fps, the frames a player shows at each 1/fps seconds; else frames a stride apart, drawn from [stride, max_stride]
    in training. Training starts at random, else the clip is from the middle. The last frame stands in for missing ones.
    """
    return cut_by_time(config, times, seed, training) if config.fps else cut_by_stride(config, tf.size(times), seed, training)


def cut_by_stride(config: Clips, length: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """`cut` in a video of `length` frames, by config.stride and max_stride."""
    steps, stride = config.frames - 1, tf.constant(config.stride)
    if training and config.max_stride > config.stride:
        most = tf.clip_by_value((length - 1) // max(steps, 1), config.stride, config.max_stride)
        stride += _draw(seed, STRIDE, most - config.stride + 1)
    start = _start(tf.maximum(length - steps * stride, 1), seed, training)
    return tf.minimum(start + stride * tf.range(config.frames), length - 1)


def cut_by_time(config: Clips, times: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """`cut` by config.fps, whatever the frame rate of the video, constant or not."""
    ticks = tf.range(config.frames, dtype=tf.float32) / config.fps
    fitting = tf.reduce_sum(tf.cast(times + ticks[-1] <= times[-1] + TOLERANCE, tf.int32))
    start = _start(tf.maximum(fitting, 1), seed, training)
    return tf.searchsorted(times, times[start] + ticks + TOLERANCE, side="right") - 1


def seconds_needed(config: Clips) -> float:
    """From the first frame of a clip to its last, if config.fps is set."""
    return (config.frames - 1) / config.fps


def shape(config: Clips, video: tf.Tensor, seed: tf.Tensor, training: bool, nearest: bool = False) -> tf.Tensor:
    """uint8 [T,h,w,3] -> uint8 [T,H,W,3]: resized to cover a frame, or to config.short_side, then the center.

    In training with config.random_crop a random place instead, and with config.flip mirrored half of the time. `nearest`: colors, as
    those of labels, are not mixed where it is resized.
    """
    video = fit(tf.ensure_shape(video, [config.frames, None, None, 3]), *config.frame_size, config.short_side, nearest)
    return mirror(config, _window(config, video, seed, training), seed, training)


def mirror(config: Clips, video: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """[T,H,W,C], in training with config.flip mirrored left to right half of the time."""
    if training and config.flip:
        return tf.cond(_is_mirrored(seed), lambda: video[:, :, ::-1], lambda: video)
    return video


def shape_flow(config: Clips, flow: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """float32 [T,h,w,2] in pixels of h x w -> float32 [T,H,W,2] in pixels of the clip: what `shape` does to the clip of the same seed.

    Vectors grow and shrink with the frame, and of a mirrored one x changes its sign.
    """
    flow = fit_flow(tf.ensure_shape(flow, [config.frames, None, None, 2]), *config.frame_size, config.short_side)
    flow = _window(config, flow, seed, training)
    if training and config.flip:
        flow = tf.cond(_is_mirrored(seed), lambda: flow[:, :, ::-1] * [-1.0, 1.0], lambda: flow)
    return flow


def place(config: Clips, places: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Rows and columns float32 [T,2] in frames of a size, int32 [2] -> int32 [T,2] in those of the clip: where `shape` puts them, without
    random crops and flips. They may be outside."""
    before, after = _sizes(size, *config.frame_size, config.short_side)
    scaled = places * tf.cast(after / before, tf.float32)
    return tf.cast(tf.floor(scaled), tf.int32) - (after - tf.constant(config.frame_size)) // 2


def fit(video: tf.Tensor, height: int, width: int, short_side: int = 0, nearest: bool = False) -> tf.Tensor:
    """uint8 [T,h,w,3] -> uint8 [T,h',w',3], the smallest that covers height x width and whose short side is at least
    `short_side`: bilinear with antialiasing, or the nearest pixel, the aspect ratio kept."""
    before, after = _sizes(tf.shape(video)[1:3], height, width, short_side)

    def resize() -> tf.Tensor:
        if nearest:
            return tf.image.resize(video, after, "nearest")
        resized = tf.image.resize(video, after, "bilinear", antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.uint8)

    return tf.cond(tf.reduce_all(before == after), lambda: video, resize)


def fit_flow(flow: tf.Tensor, height: int, width: int, short_side: int = 0) -> tf.Tensor:
    """float32 [T,h,w,2] -> float32 [T,h',w',2]: resized as `fit` does its frames, and in pixels of the new size."""
    before, after = _sizes(tf.shape(flow)[1:3], height, width, short_side)

    def resize() -> tf.Tensor:
        scale = tf.cast(after, tf.float32) / tf.cast(before, tf.float32)
        return tf.image.resize(flow, after, "bilinear", antialias=True) * scale[::-1]  # x goes along the width

    return tf.cond(tf.reduce_all(before == after), lambda: flow, resize)


def crop(video: tf.Tensor, height: int, width: int, top: tf.Tensor | None = None, left: tf.Tensor | None = None) -> tf.Tensor:
    """[T,h,w,c] -> [T,height,width,c] from row `top` and column `left`; from the center if None."""
    top = (tf.shape(video)[1] - height) // 2 if top is None else top
    left = (tf.shape(video)[2] - width) // 2 if left is None else left
    return tf.ensure_shape(video[:, top : top + height, left : left + width], [video.shape[0], height, width, video.shape[-1]])


def _sizes(before: tf.Tensor, height: int, width: int, short_side: int) -> tuple[tf.Tensor, tf.Tensor]:
    """(height, width) of frames, int32 [2], before and after `fit`."""
    h, w = before[0], before[1]
    over, under = tf.cond(height * w >= width * h, lambda: (height, h), lambda: (width, w))  # the scale, as a fraction
    short = tf.minimum(h, w)
    over, under = tf.cond(short_side * under > over * short, lambda: (short_side, short), lambda: (over, under))
    return before, tf.cast(tf.round(before * over / under), tf.int32)


def _window(config: Clips, video: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    """[T,h,w,c] -> [T,H,W,c]: the center, or in training with config.random_crop a place that is drawn."""
    height, width = config.frame_size
    top = left = None
    if training and config.random_crop:
        top = _draw(seed, TOP, tf.shape(video)[1] - height + 1)
        left = _draw(seed, LEFT, tf.shape(video)[2] - width + 1)
    return crop(video, height, width, top, left)


def _is_mirrored(seed: tf.Tensor) -> tf.Tensor:
    return _draw(seed, FLIP, tf.constant(2)) == 1


def _start(starts: tf.Tensor, seed: tf.Tensor, training: bool) -> tf.Tensor:
    return _draw(seed, START, starts) if training else (starts - 1) // 2


def _draw(seed: tf.Tensor, stream: int, limit: tf.Tensor) -> tf.Tensor:
    """An integer from [0, limit), int32 []."""
    return tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, stream), maxval=limit, dtype=tf.int32)
