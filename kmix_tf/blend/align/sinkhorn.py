"""Sinkhorn's iterations: which place of one map belongs to which of another, by entropic optimal transport."""

from typing import NamedTuple

import tensorflow as tf


class SinkhornSettings(NamedTuple):
    """epsilon: weight of the entropy, in units of the cost. iterations: at most so many. tolerance: the share by
    which sums of columns may miss what they should be."""

    epsilon: float = 0.1
    iterations: int = 100
    tolerance: float = 0.01


def squared_distances(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Squared distances of all places of one map to all of another: float `(pairs, places, places)`.

    Args:
        first, second: float `(pairs, places, channels)`.
    """
    # Squares of what all places have in common would cancel, and round the differences away.
    middle = tf.reduce_mean(second, axis=1, keepdims=True)
    first, second = first - middle, second - middle
    squares = [tf.reduce_sum(tf.square(side), axis=2) for side in (first, second)]
    products = tf.matmul(first, second, transpose_b=True)
    return tf.maximum(squares[0][:, :, tf.newaxis] + squares[1][:, tf.newaxis] - 2 * products, 0)


def sinkhorn_weights(cost: tf.Tensor, settings: SinkhornSettings) -> tf.Tensor:
    """The entropic transport plan between uniform marginals, its rows divided by their sums.

    The plan minimises <plan, cost> - epsilon entropy(plan); it is computed in logarithms, in which no cost is too
    large. Rows sum to 1 exactly: a row says of which columns' places its own is the mean. A pair is left alone once
    the sums of its columns are right to within `tolerance`, so its plan does not depend on the other pairs.

    Args:
        cost: float `(pairs, rows, columns)`, finite and >= 0.

    Returns:
        float `(pairs, rows, columns)`, >= 0; no gradient flows through it.

    Source: Cuturi 2013, *Sinkhorn Distances*; as AlignMixup's published code computes it, but for the rule to stop.

    Example:
        >>> sinkhorn_weights(tf.constant([[[0.0, 9.0], [9.0, 0.0]]]), SinkhornSettings()).numpy().round(3).tolist()
        [[[1.0, 0.0], [0.0, 1.0]]]
    """
    scaled = -tf.stop_gradient(cost) / settings.epsilon
    return tf.stop_gradient(tf.nn.softmax(scaled + _potential(scaled, settings)[:, tf.newaxis], axis=2))


def _potential(scaled: tf.Tensor, settings: SinkhornSettings) -> tf.Tensor:
    """The columns' potential in units of epsilon, `(pairs, columns)`."""
    shape = tf.shape(scaled)
    count = [tf.math.log(tf.cast(size, scaled.dtype)) for size in (shape[1], shape[2])]

    def updated(columns: tf.Tensor) -> tf.Tensor:
        rows = -count[0] - tf.reduce_logsumexp(scaled + columns[:, tf.newaxis], axis=2)
        return -count[1] - tf.reduce_logsumexp(scaled + rows[:, :, tf.newaxis], axis=1)

    def step(number: tf.Tensor, columns: tf.Tensor, is_done: tf.Tensor) -> tuple[tf.Tensor, ...]:
        new = updated(columns)
        # By so much, in logarithms, the sums of the columns were wrong.
        is_done |= tf.reduce_max(tf.abs(new - columns), axis=1) < settings.tolerance
        return number + 1, tf.where(is_done[:, tf.newaxis], columns, new), is_done

    begin = (tf.constant(0), tf.zeros_like(scaled[:, 0]), tf.zeros_like(scaled[:, 0, 0], tf.bool))
    return tf.while_loop(
        lambda number, columns, is_done: ~tf.reduce_all(is_done),
        step,
        begin,
        maximum_iterations=settings.iterations,
    )[1]
