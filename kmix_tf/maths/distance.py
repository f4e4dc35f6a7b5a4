"""Euclidean distances of the pairs that are mixed."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf._graph import fused


@fused(features=2)
def pair_distances(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
    """The distance of each row to its partner, over all leaves together.

    Args:
        first, second: numeric leaves `(batch, ...)`; the same list for one batch.
        partner: int32 `(batch,)` or `(interpolations, batch)`, rows of `second`.

    Returns:
        float64, of `partner`'s shape. Features near the ends of their dtype's range neither overflow nor vanish.

    Source: Local Mixup, Section 4.1 (d is the Euclidean metric).

    Example:
        >>> x = tf.constant([[0.0, 0.0], [3.0, 4.0]])
        >>> pair_distances([x], [x], tf.constant([1, 0])).numpy().tolist()
        [5.0, 5.0]
    """
    rows = tf.shape(partner)
    differences = [
        tf.reshape(
            tf.cast(ours, tf.float64) - tf.cast(tf.gather(theirs, partner), tf.float64), tf.concat([rows, [-1]], 0)
        )
        for ours, theirs in zip(first, second, strict=True)
    ]
    # Measured in units of each row's largest difference, squares of 1e300 and of 1e-300 are as good as any.
    # (Features of width 0 have no largest one.)
    unit = tf.maximum(tf.reduce_max([tf.reduce_max(tf.abs(leaf), axis=-1) for leaf in differences], axis=0), 0.0)
    safe = tf.where(unit > 0, unit, tf.ones_like(unit))[..., tf.newaxis]
    squares = tf.add_n([tf.reduce_sum(tf.square(leaf / safe), axis=-1) for leaf in differences])
    return unit * tf.sqrt(squares)
