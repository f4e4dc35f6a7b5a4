"""Euclidean distances of the pairs that are mixed."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf._graph import fused, size_of_rows

# Of more numbers in a row than this, the time is that of reading them, once if their squares are float32.
_MANY = 256
_HELD_BY_FLOAT32 = {tf.float32, tf.float16, tf.bfloat16, tf.bool, tf.uint8, tf.int8, tf.uint16, tf.int16}

# Squares within neither overflow float32 nor lose digits among its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33


def pair_distances(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
    """The distance of each row to its partner, over all leaves together.

    Args:
        first, second: numeric leaves `(batch, ...)`; the same list for one batch.
        partner: int32 `(batch,)` or `(interpolations, batch)`, rows of `second`.

    Returns:
        float64, of `partner`'s shape. Features near the ends of their dtype's range neither overflow nor vanish. Up
        to 256 features, and wide dtypes, are squared in float64; more of others in float32, off by a millionth at
        most.

    Source: Local Mixup, Section 4.1 (d is the Euclidean metric).

    Example:
        >>> x = tf.constant([[0.0, 0.0], [3.0, 4.0]])
        >>> pair_distances([x], [x], tf.constant([1, 0])).numpy().tolist()
        [5.0, 5.0]
    """
    size = size_of_rows(first)
    if size is None or size <= _MANY or not {leaf.dtype for leaf in first} <= _HELD_BY_FLOAT32:
        return _exact_distances(first, second, partner)
    # Of one rank: a compiled function no longer knows ranks that have varied.
    return _distances_of_many(*([_in_lines(leaf) for leaf in side] for side in (first, second)), partner)


def _in_lines(leaf: tf.Tensor) -> tf.Tensor:
    """A leaf of a known shape as `(batch, lines, numbers in a line)`."""
    lines = leaf.shape[1] if leaf.shape.rank > 1 else 1
    return tf.reshape(leaf, [tf.shape(leaf)[0], lines, leaf.shape[2:].num_elements()])


@fused(features=2)
def _distances_of_many(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
    """Distances in one pass over leaves `(batch, lines, numbers)`; squares that are no good are taken again."""
    squares = tf.add_n([_squares(*sides, partner) for sides in zip(first, second, strict=True)])
    # A sample is at distance 0 from itself; elsewhere, 0 may be what is left of a square that is too small.
    is_itself = tf.equal(partner, tf.range(tf.shape(partner)[-1]))
    is_sound = tf.reduce_all((squares < _LARGEST) & ((squares > _SMALLEST) | is_itself))
    return tf.cond(is_sound, lambda: tf.sqrt(squares), lambda: _exact(first, second, partner))


def _squares(ours: tf.Tensor, theirs: tf.Tensor, partner: tf.Tensor) -> tf.Tensor:
    """Sums of squares, float64 of sums of lines that are float32."""
    difference = tf.cast(ours, tf.float32) - tf.cast(tf.gather(theirs, partner), tf.float32)
    return tf.reduce_sum(tf.cast(tf.reduce_sum(tf.square(difference), axis=-1), tf.float64), axis=-1)


def _exact(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
    """Distances of numbers as small or as large as float64 holds, in two passes."""
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


_exact_distances = fused(features=2)(_exact)
