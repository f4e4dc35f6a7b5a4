"""Moving an image's blocks to where the mask shows them: the assignment that keeps most saliency, less its way."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf import _graph
from kmix_tf._shapes import Size, reshaped, size_of
from kmix_tf.blend.puzzle.blocks import are_known, at_places, block_of, block_starts
from kmix_tf.blend.puzzle.staying import stays_best
from kmix_tf.pairing.in_graph import solve_in_graph
from kmix_tf.seeding import random_uniform

# Blocks of different sizes cannot change places. Saliency sums to 1, so no permutation gains as much.
FORBIDDEN = 1e3
# Above the rounding of saliency in float32, below what matters.
TIE_BREAK = 1e-6
# Of more blocks, the exact solver in the graph took 10 s a batch of 128 on two cores, for 256 blocks.
MOST_EXACT = 100
# Of so many blocks the costs of all ways, 32 KB, are kept in the graph.
MOST_CONSTANT = 64


def cells_moved(size: Size, blocks: int, transport_blocks: int) -> Size:
    """Into how many cells a mask's block is cut along an axis, to be moved one by one; 1 moves it whole."""
    most = max(1, transport_blocks // blocks)
    return (
        max(1, min(most, size // blocks))
        if isinstance(size, int)
        else tf.maximum(1, tf.minimum(most, size // blocks))
    )


def way_costs(sizes: Sequence[Size], counts: Sequence[Size], t_eps: float) -> tf.Tensor:
    """What it costs to move a block to another's place: float64 `(n, n)` for the n blocks, row by row. Of few blocks,
    whose number is known, it is computed beforehand.

    t_eps times the squared distance in blocks, along each axis as a share of the whole, as in the authors' code;
    `FORBIDDEN` besides for a place of another size; and up to a millionth, another one for each way, because many
    ways are equally long: so there is one best rearrangement, whatever finds it.
    """
    if are_known([*sizes, *counts]) and math.prod(counts) <= MOST_CONSTANT:
        with tf.init_scope():
            known = _way_costs(sizes, counts, t_eps).numpy()
        return tf.constant(known)
    return _way_costs(sizes, counts, t_eps)


def _way_costs(sizes: Sequence[Size], counts: Sequence[Size], t_eps: float) -> tf.Tensor:
    total = tf.zeros([1, 1], tf.float64)
    for size, count in zip(sizes, counts, strict=True):
        numbers = tf.cast(tf.range(count), tf.float64)
        whole = tf.cast(tf.maximum(tf.convert_to_tensor(count) - 1, 1), tf.float64)
        starts = block_starts(size, count)
        lengths = starts[1:] - starts[:-1]
        along = t_eps * tf.square((numbers[:, tf.newaxis] - numbers) / whole)
        along += tf.where(tf.equal(lengths[:, tf.newaxis], lengths), tf.zeros([], tf.float64), FORBIDDEN)
        # Row by row: earlier axes vary slowest.
        inner = along[tf.newaxis, :, tf.newaxis, :]
        shape = tf.shape(total) * count
        total = tf.reshape(total[:, tf.newaxis, :, tf.newaxis] + inner, shape)
    unlike = TIE_BREAK * tf.cast(0.5 + random_uniform(tf.shape(total), tf.constant([0, 1])) / 2, tf.float64)
    return total + tf.linalg.set_diag(unlike, tf.zeros(tf.shape(total)[:1], tf.float64))


def transport_plan(saliency: tf.Tensor, share: tf.Tensor, way: tf.Tensor, solver: str = "host") -> tf.Tensor:
    """For each place, the block to move there: the permutation p of least sum_j way[j, p_j] - share_j saliency_p_j.

    Staying costs no way, so the saliency kept, sum_j share_j saliency_p_j, is at least that of the blocks as they
    are. A mask of one value gains nothing and moves nothing. The authors find a near best permutation by letting
    blocks claim places in turn, and count any share above 0 as 1; this is the paper's objective, solved exactly.

    Args:
        saliency: float32 `(problems, n)`, >= 0, summing to 1.
        share: float32 `(problems, n)` in [0, 1], how much of the image is seen at each place.
        way: float64 `(n, n)`, >= 0; 0 on the diagonal.
        solver: as in `solve_assignment`; but "graph", for more than 100 blocks, exchanges two at a time until none
            of these saves: near the best, and the saliency kept is no less than of the blocks as they are.

    Returns:
        int32 `(problems, n)`, a permutation of `range(n)` each.

    Source: Puzzle Mix, the objective of transport for a fixed mask; xi is `t_eps`, part of `way`.

    Example:
        >>> way = way_costs([4], [4], t_eps=0.1)
        >>> transport_plan(tf.constant([[0.0, 0.0, 0.1, 0.9]]), tf.constant([[0.0, 1.0, 0.0, 0.0]]), way).numpy()
        array([[0, 3, 1, 2]], dtype=int32)
    """
    if solver == "graph":
        plan = _plan_in_graph(saliency, share, way)
    else:
        plan = tf.numpy_function(_plan_on_host, [saliency, share, way], tf.int32, stateful=False)
    plan = tf.ensure_shape(plan, share.shape)
    is_even = tf.reduce_all(tf.equal(share, share[:, :1]), axis=1, keepdims=True)
    return tf.where(is_even, tf.range(size_of(share, 1)), plan)


def _plan_in_graph(saliency: tf.Tensor, share: tf.Tensor, way: tf.Tensor) -> tf.Tensor:
    def exact() -> tf.Tensor:
        wide = tf.cast(saliency, tf.float64), tf.cast(share, tf.float64)
        # Without a check that costs are finite, as these are: an assertion in a choice between counts of blocks would
        # keep tf.data from saving its iterators.
        return solve_in_graph(way - wide[1][:, :, tf.newaxis] * wide[0][:, tf.newaxis, :])

    def near() -> tf.Tensor:
        return swap_assignment(tf.cast(way, tf.float32) - share[:, :, tf.newaxis] * saliency[:, tf.newaxis, :])

    if share.shape[1] is None:
        return tf.cond(tf.shape(share)[1] > MOST_EXACT, near, exact)
    return near() if share.shape[1] > MOST_EXACT else exact()


def _plan_on_host(saliency: np.ndarray, share: np.ndarray, way: np.ndarray) -> np.ndarray:
    """NumPy in, NumPy out. One function for all blends: each `numpy_function` registers its callee for good."""
    plan = np.tile(np.arange(share.shape[1], dtype=np.int32), (len(share), 1))
    saliency, share, cost = saliency.astype(np.float64), share.astype(np.float64), np.empty_like(way)
    for problem in np.flatnonzero(~stays_best(saliency, share, way)):
        np.multiply.outer(share[problem], saliency[problem], out=cost)
        plan[problem] = linear_sum_assignment(np.subtract(way, cost, out=cost))[1]
    return plan


def places_of(plan: tf.Tensor, sizes: Sequence[Size], counts: Sequence[Size]) -> tf.Tensor:
    """Where what is seen at each place comes from: int32 `(problems, *sizes)`, row-by-row numbers of places."""
    if are_known([*sizes, *counts]):
        with tf.init_scope():
            first, offset = (each.numpy() for each in _numbers_of(sizes, counts))
    else:
        first, offset = _numbers_of(sizes, counts)
    # Of blocks, which are few, not of places.
    moved = tf.gather(first, plan)
    return at_places(reshaped(moved, [None, *counts]), sizes) + offset


def _numbers_of(sizes: Sequence[Size], counts: Sequence[Size]) -> tuple[tf.Tensor, tf.Tensor]:
    """Row-by-row numbers of each block's first place, int32 `(n,)`, and how far each place is from it, `(*sizes)`."""
    axes = len(sizes)
    first, offset = tf.zeros([1] * axes, tf.int32), tf.zeros([1] * axes, tf.int32)
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        starts = block_starts(size, count)
        along = [-1 if other == axis else 1 for other in range(axes)]
        first = first * size + tf.reshape(starts[:-1], along)
        offset = offset * size + tf.reshape(tf.range(size) - tf.gather(starts, block_of(size, count)), along)
    return tf.reshape(first, [-1]), offset


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
