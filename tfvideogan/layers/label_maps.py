"""What networks read of pictures of labels."""

import tensorflow as tf


def label_maps(labels: tf.Tensor, count: int, instances: tf.Tensor | None) -> tf.Tensor:
    """A plane for each label, and one of the edges of instances, where a pixel differs from one of its four neighbors.

    Args:
        labels: int32 [N,T,H,W], below `count`; the pixels of others are in no plane.
        instances: int32 [N,T,H,W]; None: there are no edges.

    Returns: float32 [N,T,H,W,count or count + 1] of 0 and 1.
    """
    planes = tf.one_hot(labels, count)
    if instances is None:
        return planes
    down = tf.not_equal(instances[:, :, 1:], instances[:, :, :-1])  # != compares objects in the graph of --dry_run
    right = tf.not_equal(instances[..., 1:], instances[..., :-1])
    rows, columns = ([[0, 0]] * axis + [[1, 1]] + [[0, 0]] * (3 - axis) for axis in (2, 3))
    down, right = tf.pad(down, rows), tf.pad(right, columns)
    edges = down[:, :, 1:] | down[:, :, :-1] | right[..., 1:] | right[..., :-1]
    return tf.concat([planes, tf.cast(edges, tf.float32)[..., None]], -1)
