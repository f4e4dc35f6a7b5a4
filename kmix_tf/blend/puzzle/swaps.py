"""Near-optimal assignments of many blocks, by exchanges of two: for where the exact solver in the graph is slow."""

import tensorflow as tf

from kmix_tf import _graph

# An exchange must save this much: less is rounding, and could go back and forth for ever.
LEAST = 1e-6


@_graph.compiled
def swap_assignment(cost: tf.Tensor) -> tf.Tensor:
    """From every column at the row of its number, exchanges two columns where that saves cost, until none does.

    All pairs that are each other's best exchange, of all problems, exchange at once. Every round saves cost, so it
    ends, and never above the cost of leaving all where they are.

    Args:
        cost: float32 `(problems, n, n)`.

    Returns:
        int32 `(problems, n)`: the column of each row.
    """
    number = tf.shape(cost)[1]
    rows = tf.range(number)

    def exchange(placed: tf.Tensor, column: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """`placed`: the costs with columns in the order of the rows they are at."""
        stay = tf.linalg.diag_part(placed)
        change = placed + tf.transpose(placed, [0, 2, 1]) - stay[:, :, tf.newaxis] - stay[:, tf.newaxis]
        least = tf.reduce_min(change, axis=1)
        best = tf.reduce_min(tf.where(change <= least[:, tf.newaxis], rows[:, tf.newaxis], number), axis=1)
        agreed = (tf.gather(best, best, batch_dims=1) == rows) & (least < -LEAST)
        taken = tf.where(agreed, best, rows)
        placed = tf.gather(placed, taken, axis=2, batch_dims=1)
        return placed, tf.gather(column, taken, batch_dims=1), tf.reduce_any(agreed)

    start = tf.broadcast_to(rows, tf.shape(cost)[:2])
    return tf.while_loop(lambda *state: state[2], exchange, (cost, start, True), parallel_iterations=1)[1]
