"""Clips of any length in constant memory: in parts, each from the state that the one before left.

Two ways. Feeding back: a prediction continues the last frames of what there is, and of these again. Unrolling: a recurrent generator
goes on from its own state (`GAN.unroll`); per-frame statistics of BN are then those of the last frame of training. Both are a pair of
functions, `start` and `next`, of a Sampler and of an exported module:

    video, state = start(...)      the arguments of `sample` or `predict`, which gives the same video
    video, state = next(state)     the frames that follow

A recurrent translation goes on frame by frame, in the same two functions, each of which reads the source of its frames:

    video, state = start(...)              the arguments of `translate`, of the first frame, or of the first frames that are given
    video, state = next(state, {"source": ..})

A state is a dict of tensors, and of one such dict, that holds all there is to know, the seed and the truncation too.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfvideogan.gan import Inputs

State = dict[str, Any]
Start = Callable[..., tuple[tf.Tensor, State]]
Next = Callable[[State], tuple[tf.Tensor, State]]


def feeding_back(predict: Callable[..., tf.Tensor]) -> tuple[Start, Next]:
    """A prediction that is given its own last frames. Each part has a latent of its own.

    Args:
        predict: (first_frames [N,C,H,W,3], seed [2], truncation [], label [N] of a model with classes) -> the frames that follow.
    """

    def part(first: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        label = [state["label"]] if "label" in state else []
        video = predict(first, seed_of(state), state["truncation"], *label)
        last = tf.concat([first, video], 1)[:, -first.shape[1] :]
        return video, {**state, "first_frames": last, "part": state["part"] + 1}

    def start(first_frames: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor, *label: tf.Tensor) -> tuple[tf.Tensor, State]:
        return part(first_frames, {**beginning(seed, truncation), **({"label": label[0]} if label else {})})

    return start, lambda state: part(state["first_frames"], state)


def unrolling(draw: Callable[..., Inputs], unroll: Callable[..., tuple[tf.Tensor, Inputs]], given_frames: int) -> tuple[Start, Next]:
    """A generator that goes on from its state.

    Args:
        draw: (number of clips, seed [2], truncation []) -> {"z": latents}.
        unroll: (inputs by name, the network's state or {}, truncation []) -> (frames, the network's state), as GAN.unroll with pictures
            in [0,1].
        given_frames: of a prediction, whose `start` reads first_frames [N,C,H,W,3]; 0 for synthesis, which reads a label.
    """

    def part(inputs: Inputs, clips: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        inputs = {**inputs, **draw(clips, seed_of(state), state["truncation"])}
        video, network = unroll(inputs, state["network"], state["truncation"])
        return video, {**state, "network": network, "part": state["part"] + 1}

    def begin(inputs: Inputs, clips: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tuple[tf.Tensor, State]:
        kept = {"label": inputs["label"]} if "label" in inputs else {}
        video, state = part(inputs, clips, {**beginning(seed, truncation), **kept, "network": {}})
        return video[:, given_frames:], state

    def continued(first_frames: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor, *label: tf.Tensor) -> tuple[tf.Tensor, State]:
        named = {"first_frames": first_frames, **({"label": label[0]} if label else {})}
        return begin(named, tf.shape(first_frames)[0], seed, truncation)

    def drawn(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor) -> tuple[tf.Tensor, State]:
        return begin({"label": label}, tf.size(label), seed, truncation)

    def following(state: State) -> tuple[tf.Tensor, State]:
        kept = {"label": state["label"]} if "label" in state else {}
        return part(kept, tf.shape(tf.nest.flatten(state["network"])[0])[0], state)

    return continued if given_frames else drawn, following


def beginning(seed: tf.Tensor, truncation: tf.Tensor) -> State:
    """What the state of every way holds, before the first part."""
    return {"seed": seed, "truncation": truncation, "part": tf.constant(0)}


def seed_of(state: State) -> tf.Tensor:
    """Of the latents of the part that follows: int32 [2]. The first part has the clip's own, as a clip that is not continued."""
    # Clips fold in 0, 1, ...; Philox as in the Sampler, wherever it is computed.
    later = tf.random.experimental.stateless_fold_in(state["seed"], -state["part"], "philox")
    return tf.where(state["part"] == 0, state["seed"], later)


def parts(start: Start, following: Next, inputs: tuple[tf.Tensor, ...], frames: int) -> Iterator[np.ndarray]:
    """`frames` frames of clips, a part [N,t,H,W,3] in [0,1] at a time."""
    video, state = start(*inputs)
    while True:
        yield video[:, :frames].numpy()
        frames -= video.shape[1]
        if frames <= 0:
            return
        video, state = following(state)
