"""Frames of a clip that lie apart, with the flows between them: what a discriminator of motion reads at several spacings."""

import collections

import tensorflow as tf

from tfvideogan.layers.warp import warp
from tfvideogan.ops.in_order import copies


def several_frames(video: tf.Tensor, flows: tf.Tensor, ends: list[int], spacing: int, count: int, unit: float) -> tf.Tensor:
    """For each end `count` frames, `spacing` apart, of which that is the last, and the flows from each to the one before.

    Args:
        video, flows: [N,T,H,W,3] and [N,T,H,W,2], each flow to the frame before, in pixels.
        ends: numbers of frames.
        unit: pixels that the flows are divided by.

    Returns: [len(ends)*N,H,W,3*count+2*(count-1)], end after end: frames, then flows.
    """
    shown = [range(end - spacing * (count - 1), end + 1, spacing) for end in ends]
    readers, frames = collections.Counter(place for places in shown for place in places), tf.unstack(video, axis=1)
    frame_at = {place: iter(copies(frames[place], number)) for place, number in readers.items()}
    found = []
    for places in shown:
        far = [flow_over(flows, place, spacing) / unit for place in places[1:]]
        found.append(tf.concat([*(next(frame_at[place]) for place in places), *far], -1))
    return tf.concat(found, 0)


def flow_over(flows: tf.Tensor, place: int, spacing: int) -> tf.Tensor:
    """The flow from a frame to one several before, put together from those between [N,T,H,W,2]: [N,H,W,2]."""
    found = flows[:, place]
    for before in range(place - 1, place - spacing, -1):
        found = found + warp(flows[:, before], found)
    return found
