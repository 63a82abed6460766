"""The parts of a frame that vid2vid composes (Wang et al. 2018, arXiv 1808.06601, 3.1 and 3.2): the last frame, warped by a flow, where a
mask lets it through, and painted pixels elsewhere; things of the foreground from a network of their own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvideogan.layers.pix2pix_hd import Decoder, Encoder, Enhancer, Norm, Painter, Trunk, outer
from tfvideogan.layers.warp import warp
from tfvideogan.ops.in_order import add, copies


class Frame(NamedTuple):
    """A generated frame: [N,H,W,3] as it is shown and as painted, both in [-1,1]; the flow to the frame before [N,H,W,2], in pixels; and
    the share of the painted one, 0 to 1 [N,H,W,1]. Of several frames with an axis of time, [N,T,...]."""

    final: tf.Tensor
    painted: tf.Tensor
    flow: tf.Tensor
    mask: tf.Tensor


class Composer(keras.layers.Layer):
    """One scale of vid2vid's generator: the coarsest, or a finer one, which reads the features of the one before.

    Args:
        maps: channels of a frame's source.
        past: frames before that are read.
        channels: of the first map and the last.
        halvings: of height and width.
        blocks: residual blocks: of the coarsest scale half of them, and one more if odd, before the sum; of a finer one all after it.
        norm: after every convolution but the last.
        flow_unit: pixels of flow for each 1 of the network's; 0: nothing is warped.
        foreground: planes of the source that are labels of the foreground, which has a network of its own; none: it has not.
        foreground_channels: of that network's first map and last.
        finer: whether it is a finer scale.
    """

    def __init__(
        self,
        maps: int,
        past: int,
        channels: int,
        halvings: int,
        blocks: int,
        norm: Norm,
        flow_unit: float,
        foreground: Sequence[int],
        foreground_channels: int,
        finer: bool,
    ):
        super().__init__(dtype="float32", autocast=False)
        before, after = (0, blocks) if finer else (blocks - blocks // 2, blocks // 2)
        read, ch = (past + 1) * maps, foreground_channels
        self.of_source = Encoder(read, channels, halvings, before, norm)
        self.of_past = Encoder(3 * past, channels, halvings, before, norm)
        self.image, self.paint = Decoder(channels, halvings, after, norm), Painter(channels, 3)
        if flow_unit:
            self.motion, self.to_flow, self.to_mask = Decoder(channels, halvings, after, norm), outer(channels, 2), outer(channels, 1)
        if foreground:
            self.foreground = Enhancer(read, ch, blocks, norm) if finer else Trunk(read, ch, halvings, blocks, norm)
            self.paint_foreground = Painter(ch, 3)
        self.flow_unit, self.foreground_labels = flow_unit, tuple(foreground)
        self.labels_now = past * maps  # the planes of the frame itself begin here
        self.built = True

    @property
    def heads(self) -> list[keras.layers.Layer]:
        """Its last convolutions."""
        names = "paint", "to_flow", "to_mask", "paint_foreground"
        return [getattr(self, name) for name in names if hasattr(self, name)]

    def call(
        self, source: tf.Tensor, past: tf.Tensor, painted_only: tf.Tensor, coarser: dict[str, tf.Tensor]
    ) -> tuple[Frame, dict[str, tf.Tensor]]:
        """A frame, and the features that the next scale reads.

        Args:
            source: of the frames before and this one, oldest first [N,H,W,(past+1)*maps].
            past: the frames before, oldest first [N,past,H,W,3].
            painted_only: [N], 1 where nothing is to be warped, else 0.
            coarser: features of the scale before, by name; none for the coarsest.
        """
        features = iter(copies(add(self.of_source(source), self.of_past(tf.concat(tf.unstack(past, axis=1), -1))), 2))

        def joined(name: str) -> tf.Tensor:
            own = next(features)
            return add(own, tf.cast(coarser[name], own.dtype)) if coarser else own

        made = {"image": self.image(joined("image"))}
        painted = self.paint(made["image"])
        if self.flow_unit:
            made["motion"], for_flow, for_mask = copies(self.motion(joined("motion")), 3)
            flow = self.flow_unit * tf.cast(self.to_flow(for_flow), tf.float32)
            mask = tf.sigmoid(tf.cast(self.to_mask(for_mask), tf.float32))
            alone = painted_only[:, None, None, None]
            mask, of_painted, of_warped = copies(alone + (1.0 - alone) * mask, 3)
            final = painted * of_painted + warp(past[:, -1], flow) * (1.0 - of_warped)
        else:
            flow, mask, final = tf.zeros_like(painted[..., :2]), tf.ones_like(painted[..., :1]), painted
        if self.foreground_labels:
            made["foreground"] = self.foreground(source, coarser["foreground"]) if coarser else self.foreground(source)
            foreground = self.paint_foreground(made["foreground"])
            planes = [source[..., self.labels_now + label] for label in self.foreground_labels]
            there = tf.clip_by_value(tf.add_n(planes), 0.0, 1.0)[..., None]
            final, painted = (foreground * there + picture * (1.0 - there) for picture in (final, painted))
        return Frame(final, painted, flow, mask), made
