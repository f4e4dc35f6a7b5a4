"""What mixtures show whose places come from rows of the batch, each from its own."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf._graph import at_least_float32


def take_sources(leaf: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
    """At each place of a mixture what a leaf holds there in a row of its own: `(mixtures, *sizes, ...)`.

    Args:
        leaf: `(batch, *sizes, ...)`, of any dtype.
        source: int32 `(mixtures, *sizes)`, rows of the batch.
    """
    axes = source.shape.rank - 1
    shape = tf.shape(leaf)
    sizes = shape[1 : 1 + axes]
    number = tf.reduce_prod(sizes)
    flat = tf.reshape(leaf, tf.concat([[shape[0] * number], shape[1 + axes :]], 0))
    taken = tf.gather(flat, source * number + tf.reshape(tf.range(number), sizes))
    return tf.ensure_shape(taken, [*source.shape, *leaf.shape[1 + axes :]])


def mean_of_sources(leaf: tf.Tensor, sources: Sequence[tf.Tensor]) -> tf.Tensor:
    """The mean of what several sources take: in the leaf's dtype if that is a float, in float32 otherwise.

    Where all sources are one row, its values come back exactly.

    Example:
        >>> x = tf.constant([[1.0, 2.0], [5.0, 6.0]])
        >>> mean_of_sources(x, [tf.constant([[0, 0]]), tf.constant([[0, 1]])]).numpy()
        array([[1., 4.]], dtype=float32)
    """
    parts = [at_least_float32(take_sources(leaf, source)) / len(sources) for source in sources]
    mean = parts[0] if len(parts) == 1 else tf.add_n(parts)
    return tf.cast(mean, leaf.dtype) if leaf.dtype.is_floating else mean
