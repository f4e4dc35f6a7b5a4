"""Grids of cells, some of which a mixture takes from the partner: which come first, how many, and where they lie.

Place p of an axis lies in cell floor(p grid / size), so cells of one grid differ by one place along an axis at most.
"""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf._shapes import Size
from kmix_tf.blend.base import Blended
from kmix_tf.blend.masked import blend_by_mask, for_each_partner
from kmix_tf.blend.puzzle.blocks import are_known, block_of, sizes_of


def require_cells(image: tf.Tensor, grid: int, axes: int) -> tf.Tensor:
    """The image, once each cell is known to have a place in it.

    Raises:
        ValueError: for images smaller than the grid. InvalidArgumentError: on the batch, if that shows only then.
    """
    sizes = sizes_of(image, axes)
    rule = f"images must have at least {grid} places along each axis, one for each cell of the grid. Received: "
    remedy = f"Give a smaller grid than {grid}."
    if not are_known(sizes):
        return after(require(tf.reduce_min(tf.stack(sizes)) >= grid, f"{rule}fewer. {remedy}"), [image])[0]
    if min(sizes) < grid:
        raise _checks.problem(f"{rule}{' x '.join(map(str, sizes))}. {remedy}")
    return image


def ranks_of(keys: tf.Tensor) -> tf.Tensor:
    """The place of each cell in the order in which cells are taken, from 0: int32 of the keys' shape.

    Args:
        keys: integer or float `(..., cells)`. The largest comes first; of equal ones, the earlier.
    """
    order = tf.math.top_k(keys, tf.shape(keys)[-1]).indices
    return tf.argsort(order, axis=-1)


def paste_cells(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    ratio: tf.Tensor,
    ranks: tf.Tensor,
    axes: int,
) -> Blended:
    """Takes from the partner as many cells as the ratio says, to the nearest whole number: those that rank first.

    Args:
        ranks: int32 `(batch, *grid)`, or `(mixtures, batch, *grid)`, the order of the cells; one for all ratios of a
            sample, so that what is taken at a higher ratio is also taken at lower ones.
    """
    ratio = for_each_partner(partner, ratio)
    return blend_by_mask(first, second, partner, ratio, [ranks, ratio], mask_of=_mask_of_cells, axes=axes)


def _mask_of_cells(ranks: tf.Tensor, ratio: tf.Tensor, *, sizes: Sequence[Size]) -> tf.Tensor:
    """1 where the sample is seen, 0 in cells of the partner."""
    axes = len(sizes)
    cells = tf.reduce_prod(tf.shape(ranks)[-axes:])
    # In float64, because 49 times a float32 share of 43 in 49 is near enough to 43, but a product of many is not.
    kept = tf.round(tf.cast(ratio, tf.float64) * tf.cast(cells, tf.float64))
    taken = cells - tf.cast(kept, tf.int32)
    is_own = ranks >= tf.reshape(taken, tf.concat([tf.shape(taken), tf.ones([axes], tf.int32)], 0))
    return _at_places(tf.where(is_own, 1.0, 0.0), sizes)


def _at_places(values: tf.Tensor, sizes: Sequence[Size]) -> tf.Tensor:
    """Gives each place its cell's value, 0 or 1: `(..., *grid)` -> `(..., *sizes)`.

    By products with zeros and ones, which are exact in any precision, and much faster than a look-up for each place.
    """
    shape = tf.shape(values)
    lead, grid = shape[: -len(sizes)], shape[-len(sizes) :]
    values = tf.reshape(values, tf.concat([[-1], grid], 0))
    for axis, size in enumerate(sizes):
        # The first of the axes left goes, and its places come last.
        is_in_cell = tf.one_hot(block_of(size, grid[axis]), grid[axis])
        values = tf.tensordot(values, is_in_cell, [[1], [1]])
    return tf.reshape(values, tf.concat([lead, tf.stack(list(sizes))], 0))


def checked_grid(grid: int) -> int:
    """How many cells there are along each axis, at least 2: one cell would be all or nothing."""
    return _checks.integer("grid", grid, minimum=2)
