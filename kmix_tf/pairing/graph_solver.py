"""The linear assignment problem solved by TensorFlow ops alone, many problems at once, compiled by XLA.

The usual solvers add one row at a time to the matching, each by a search that visits one column at a time. That is
many dependent steps of hardly any work, the worst case for ops that cost a microsecond each. Here a step works on
whole matrices instead, and there are few of them:

1. An auction (Bertsekas), with increment zero and all free rows bidding at once, matches most rows in a few rounds.
2. A phase then finds the shortest paths from all free rows to all columns at once, by Bellman and Ford's relaxation:
   as many steps as the longest of the paths has hops, not as many as there are columns. The paths form a tree for
   each free row. Every tree that reaches a free column is augmented along one path; trees do not touch, so all are
   augmented together. Phases follow until no row is free.

Both keep what makes the result optimal (linear programming duality): prices `v` of the columns under which each
matched row has no column cheaper than its own, in `cost - v`. Rounding can shift a price by units in the last place,
never end in anything but a permutation.

Time goes with hops and phases, which are few where points have many dimensions. Long paths are the worst case: for
k = 128, points on a line take ten times as long, and costs i * j, with nearly a phase for each row, seventy times.

All functions here take `(problems, k, k)` matrices and `(problems, k)` vectors. Rows are reduced along axis 1
wherever possible, which XLA vectorises on CPUs, unlike a reduction along the last axis or an argmin.
"""

import tensorflow as tf

# Measured on 64-dimensional squared distances: the first rounds match most rows, each later one hardly any, while
# a round costs as much as several relaxation steps. Anything from 3 to 6 takes the same time for k from 8 to 128.
AUCTION_ROUNDS = 4
# A power of two, so scaling by it is exact. No product is ever taken, so this much room on both sides is enough.
FAR = 2.0**600
NONE = -1
NEVER = 2**30


def solve_at_once(cost: tf.Tensor) -> tf.Tensor:
    """`in_graph.solve_in_graph` of all problems in the same steps, in plain ops: to be compiled."""
    cost = _reduced(_bounded(tf.cast(cost, tf.float64)))
    transposed = tf.transpose(cost, [0, 2, 1])
    price, row_of = _auction(transposed)
    row_of = _augmented(cost, transposed, price, row_of)
    return _inverse(_completed(row_of))


def _bounded(cost: tf.Tensor) -> tf.Tensor:
    """Makes every entry finite, and sums of entries neither over- nor underflow."""
    finite = tf.math.is_finite(cost)
    peak = tf.reduce_max(tf.where(finite, tf.abs(cost), _float(0)), axis=[1, 2], keepdims=True)
    factor = tf.where(peak > FAR, _float(1 / FAR), tf.where(peak < 1 / FAR, _float(FAR), _float(1)))
    # Two permutations without forbidden entries differ by at most twice k peaks.
    forbidden = 4 * tf.cast(_columns(cost), tf.float64) * peak * factor + 1 / FAR
    return tf.where(finite, cost * factor, forbidden)


def _reduced(cost: tf.Tensor) -> tf.Tensor:
    """Takes the least entry of each row off it, then of each column: later rounding errors are smaller for it."""
    cost -= tf.reduce_min(cost, axis=2, keepdims=True)
    return cost - tf.reduce_min(cost, axis=1, keepdims=True)


def _auction(transposed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Matches most rows.

    Returns:
        Prices `(problems, k)`, and the row of each column or NONE: every matched row has its cheapest column.
    """
    start = tf.zeros(tf.shape(transposed)[:2], tf.float64)
    nobody = tf.fill(tf.shape(start), NONE)
    _, price, row_of, _ = tf.while_loop(
        lambda number, price, row_of, free: (number < AUCTION_ROUNDS) & tf.reduce_any(free),
        lambda number, *state: (number + 1, *_auction_round(transposed, *state)),
        (0, start, nobody, nobody < 0),
        parallel_iterations=1,
    )
    return price, row_of


def _auction_round(
    transposed: tf.Tensor, price: tf.Tensor, row_of: tf.Tensor, free: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Every free row bids for its cheapest column the amount that makes it as dear as its second cheapest.

    The best bid lowers the column's price by its amount and takes the column from whoever had it. It leaves the
    bidder's own column its cheapest, and so all others', for which the outbid column only became dearer.
    """
    rows = tf.range(_columns(price))
    value = transposed - tf.expand_dims(price, 2)
    turn = _turns(rows)
    least = tf.reduce_min(value, axis=1, keepdims=True)
    choice = tf.reduce_min(tf.where(value <= least, tf.transpose(turn), NEVER), axis=1)
    chosen = tf.transpose(turn) == tf.expand_dims(choice, 1)
    second = tf.reduce_min(tf.where(chosen, _float(float("inf")), value), axis=1)
    bid = tf.where(free, second - least[:, 0], _float(-1))[:, :, tf.newaxis]
    bids = tf.where(turn == tf.expand_dims(choice, 2), bid, _float(-1))
    best = tf.reduce_max(bids, axis=1)
    bidder = tf.reduce_min(tf.where(bids >= tf.expand_dims(best, 1), tf.expand_dims(rows, 1), NEVER), axis=1)
    row_of = tf.where(best >= 0, bidder, row_of)
    return price - tf.maximum(best, _float(0)), row_of, _inverse(row_of) < 0


def _augmented(cost: tf.Tensor, transposed: tf.Tensor, price: tf.Tensor, row_of: tf.Tensor) -> tf.Tensor:
    """Phases, until every column has a row. Each matches one row at least, so there are at most k."""
    k = _columns(cost)
    _, _, row_of = tf.while_loop(
        lambda number, price, row_of: (number < k) & tf.reduce_any(row_of < 0),
        lambda number, *state: (number + 1, *_phase(cost, transposed, *state)),
        (0, price, row_of),
        parallel_iterations=1,
    )
    return row_of


def _phase(
    cost: tf.Tensor, transposed: tf.Tensor, price: tf.Tensor, row_of: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augments the matching along shortest paths, one for each free row whose tree of paths has a free column.

    The distances become part of the prices: then all edges of the trees are among the cheapest of their rows.
    """
    column_of = _inverse(row_of)
    least = tf.reduce_min(transposed - tf.expand_dims(price, 2), axis=1)
    # Not negative even when rounded, which the search relies on.
    slack = cost - tf.expand_dims(price, 1) - tf.expand_dims(least, 2)
    distance, arrival = _distances(slack, column_of)
    parent = _parents(slack, column_of, distance, arrival)
    row_of = tf.where(_on_paths(parent, row_of, column_of), parent, row_of)
    return price + distance, row_of


def _distances(slack: tf.Tensor, column_of: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How far each column is from the nearest free row, and after how many hops that was found.

    A path goes from row to column at the cost of the slack, and from a column to the row matched with it at none.
    """
    k = _columns(slack)

    def relax(hop: tf.Tensor, _: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        row_distance, distance, arrival = state
        offer = tf.reduce_min(tf.expand_dims(row_distance, 2) + slack, axis=1)
        nearer = offer < distance
        distance = tf.where(nearer, offer, distance)
        arrival = tf.where(nearer, hop, arrival)
        return hop + 1, tf.reduce_any(nearer), _at_rows(distance, column_of), distance, arrival

    unreached = tf.fill(tf.shape(column_of), _float(float("inf")))
    # As slacks are not negative, shortest paths have no loops: k hops at most, and a last one to see no change.
    _, _, _, distance, arrival = tf.while_loop(
        lambda hop, changed, *_: changed & (hop <= k + 1),
        relax,
        (1, True, _at_rows(unreached, column_of), unreached, tf.zeros_like(column_of)),
        parallel_iterations=1,
    )
    return distance, arrival


def _parents(slack: tf.Tensor, column_of: tf.Tensor, distance: tf.Tensor, arrival: tf.Tensor) -> tf.Tensor:
    """The row before each column on a shortest path to it, so that following parents ends at a free row.

    With ties, several rows may qualify, and some choices would lead round in circles. So any row that is strictly
    nearer goes first, then the one that was reached after the fewest hops. Among equals columns prefer different
    rows, so that costs with many ties are matched in few phases.
    """
    k = _columns(slack)
    rows = tf.range(k)
    row_distance = tf.expand_dims(_at_rows(distance, column_of), 2)
    hops = (_at_rows(arrival, column_of) * k)[:, :, tf.newaxis]
    distance = tf.expand_dims(distance, 1)
    order = tf.where(row_distance < distance, 0, hops) + _turns(rows)
    order = tf.reduce_min(tf.where(row_distance + slack <= distance, order, NEVER), axis=1)
    return (order + rows) % k


def _on_paths(parent: tf.Tensor, row_of: tf.Tensor, column_of: tf.Tensor) -> tf.Tensor:
    """Marks the columns of one path from each free row that has any to a free column."""
    columns = tf.range(_columns(parent))
    previous = _pick(column_of, parent)
    previous = tf.where(previous < 0, columns, previous)
    root = _pick(parent, _first_columns(previous))
    ends = (row_of < 0) & (_pick(column_of, root) < 0)
    root = tf.where(ends, root, NONE)
    same = tf.expand_dims(root, 2) == tf.expand_dims(root, 1)
    first = tf.reduce_min(tf.where(same, tf.expand_dims(columns, 1), NEVER), axis=1)
    return _with_ancestors(ends & (first == columns), previous)


def _first_columns(previous: tf.Tensor) -> tf.Tensor:
    """The column at which each column's path begins, which is its own previous one; by doubling the stride."""
    k = _columns(previous)

    def double(stride: tf.Tensor, _: tf.Tensor, ancestor: tf.Tensor) -> tuple[tf.Tensor, ...]:
        further = _pick(ancestor, ancestor)
        return stride * 2, tf.reduce_any(further != ancestor), further

    return tf.while_loop(
        lambda stride, changed, _: changed & (stride <= k), double, (1, True, previous), parallel_iterations=1
    )[2]


def _with_ancestors(marked: tf.Tensor, previous: tf.Tensor) -> tf.Tensor:
    """Marks all columns on the paths to the marked ones as well; by doubling the stride."""
    columns = tf.range(_columns(previous))

    def double(stride: tf.Tensor, _: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ancestor, marked = state
        passed = tf.expand_dims(marked, 2) & (tf.expand_dims(ancestor, 2) == columns)
        more = marked | tf.reduce_any(passed, axis=1)
        return stride * 2, tf.reduce_any(more != marked), _pick(ancestor, ancestor), more

    return tf.while_loop(
        lambda stride, changed, *_: changed & (stride <= tf.size(columns)),
        double,
        (1, True, previous, marked),
        parallel_iterations=1,
    )[3]


def _completed(row_of: tf.Tensor) -> tf.Tensor:
    """Gives the rows that are left, in order, to the columns that are left: none, unless rounding went wrong."""
    free_rows = _inverse(row_of) < 0
    row_rank = tf.where(free_rows, tf.cumsum(tf.cast(free_rows, tf.int32), axis=1), 0)
    column_rank = tf.cumsum(tf.cast(row_of < 0, tf.int32), axis=1)
    rows = tf.range(_columns(row_of))[:, tf.newaxis]
    matching = tf.expand_dims(row_rank, 2) == tf.expand_dims(column_rank, 1)
    return tf.where(row_of < 0, tf.reduce_max(tf.where(matching, rows, NONE), axis=1), row_of)


def _inverse(row_of: tf.Tensor) -> tf.Tensor:
    """The column of each row, or NONE, from the row of each column, or NONE."""
    columns = tf.range(_columns(row_of))
    return tf.reduce_max(tf.where(tf.expand_dims(row_of, 2) == columns, tf.expand_dims(columns, 1), NONE), axis=1)


def _at_rows(values: tf.Tensor, column_of: tf.Tensor) -> tf.Tensor:
    """Values of the columns at the rows matched with them; zero at free rows, where paths begin."""
    return tf.where(column_of < 0, tf.zeros([], values.dtype), _pick(values, tf.maximum(column_of, 0)))


def _pick(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    return tf.gather(values, indices, batch_dims=1)


def _turns(rows: tf.Tensor) -> tf.Tensor:
    """`(k, k)`: which turn row i has in column j, (i - j) mod k. Breaking ties by turn spreads them evenly."""
    return (tf.expand_dims(rows, 1) - rows) % tf.size(rows)


def _columns(values: tf.Tensor) -> tf.Tensor:
    """How many columns there are, k: in fewer nodes than a slice of the shape takes."""
    return tf.unstack(tf.shape(values), values.shape.rank)[1]


def _float(value: float) -> tf.Tensor:
    return tf.constant(value, tf.float64)
