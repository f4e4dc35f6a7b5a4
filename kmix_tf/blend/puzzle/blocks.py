"""Cutting places into blocks, as many along each axis, all of one size or of two that differ by one place.

Place p of an axis lies in block floor(p count / size). With a multiple of that count, the blocks are finer and lie
within the others: what is called cells here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import require
from kmix_tf._shapes import Size, size_of, sizes_from, split_axis
from kmix_tf.seeding import random_uniform

# The paper's code draws 2 to the power of a uniform integer from 1 to 4.
COUNTS = (2, 4, 8, 16)


def sizes_of(leaf: tf.Tensor, axes: int) -> list[Size]:
    """The number of places along each spatial axis of `(batch, *axes, ...)`."""
    return sizes_from(leaf, 1, 1 + axes)


def are_known(sizes: Sequence[Size]) -> bool:
    """Whether all are numbers rather than tensors, which only the batch will tell."""
    return all(isinstance(size, int) for size in sizes)


def require_blocks_fit(sizes: Sequence[Size], blocks: int) -> list[tf.Operation]:
    """Refuses images of which a block would have no place: now where sizes are known, or when the graph runs.

    Returns what is to run before the images are cut: see `after`.
    """
    message = f"images must have at least {blocks} places along each axis, one for each block. Received: "
    if not are_known(sizes):
        return require(tf.reduce_min(tf.stack(list(sizes))) >= blocks, f"{message}fewer.")
    if min(sizes) < blocks:
        raise _checks.problem(f"{message}{' x '.join(map(str, sizes))}.")
    return []


def allowed_counts(sizes: Sequence[Size]) -> tf.Tensor:
    """Which of `COUNTS` an image of these sizes is cut into: bool `(4,)`.

    Those that divide all sizes; where none does, those that leave two places or more to each block, and 2 anyway.
    """
    places = tf.stack(list(sizes))
    divides = tf.reduce_all(places[:, tf.newaxis] % tf.constant(COUNTS) == 0, axis=0)
    leaves_two = 2 * tf.constant(COUNTS) <= tf.maximum(tf.reduce_min(places), 4)
    return tf.where(tf.reduce_any(divides), divides, leaves_two)


def draw_count(allowed: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A uniform choice among the allowed counts: its index, int32 scalar."""
    first = tf.argsort(tf.where(allowed, 0, 1), stable=True)
    number = tf.reduce_sum(tf.cast(allowed, tf.int32))
    drawn = tf.cast(random_uniform([], seed) * tf.cast(number, tf.float32), tf.int32)
    # Not by an index in brackets: XLA would take it for a constant, and compile anew for every other one.
    return tf.gather(first, tf.minimum(drawn, number - 1))


def block_of(size: Size, count: Size) -> Any:
    """The block in which each place lies: int32 `(size,)`, an array where both are known."""
    return numbers_to(size) * count // size


def block_starts(size: Size, count: Size) -> Any:
    """The first place of each block, and the number of places last: int32 `(count + 1,)`, an array if known."""
    return (numbers_to(count + 1) * size + count - 1) // count


def numbers_to(end: Size) -> Any:
    """int32 from 0 to one less than the end: an array where that is known, which makes no nodes."""
    return np.arange(end, dtype=np.int32) if isinstance(end, int) else tf.range(end)


def cells_in_blocks(size: Size, blocks: int, places: int) -> Size:
    """How many cells of about `places` places fit in a block along one axis; 1 if blocks are smaller than that."""
    cells = size // blocks // places
    return max(1, cells) if isinstance(cells, int) else tf.maximum(1, cells)


def block_means(values: tf.Tensor, counts: Sequence[Size]) -> tf.Tensor:
    """Means over blocks, `counts[a]` along axis `a`: float `(batch, *axes, ...)` -> `(batch, *counts, ...)`.

    Uneven blocks count by their means along one axis after another, so means of means of rows.
    """
    for axis, count in enumerate(counts, start=1):
        values = _means_along(values, axis, count)
    return values


def _means_along(values: tf.Tensor, axis: int, count: Size) -> tf.Tensor:
    size = size_of(values, axis)
    if isinstance(size, int) and isinstance(count, int) and size % count == 0:
        is_whole = size == count  # Each place is a block.
        return values if is_whole else tf.reduce_mean(split_axis(values, axis, [count, size // count]), axis=axis + 1)
    index, share = _rows_and_shares(size, count)
    share = tf.cast(share[(..., *[tf.newaxis] * (values.shape.rank - 1 - axis))], values.dtype)
    return tf.reduce_sum(tf.gather(values, index, axis=axis) * share, axis=axis + 1)


def _rows_and_shares(size: Size, count: Size) -> tuple[Any, Any]:
    """The places of each block, int32 `(count, most)`, and what share each is, float64; 0 of those past its end."""
    starts = block_starts(size, count)
    lengths = (starts[1:] - starts[:-1])[:, tf.newaxis]
    if isinstance(starts, np.ndarray):
        offsets = numbers_to(-(-size // count))
        index = np.minimum(starts[:-1, np.newaxis] + offsets, size - 1)
        return index, np.where(offsets < lengths, 1 / lengths, 0.0)
    # A number where the size is known, which XLA wants.
    offsets = tf.range(size if isinstance(size, int) else tf.reduce_max(lengths))
    index = tf.minimum(starts[:-1, tf.newaxis] + offsets, size - 1)
    return index, tf.where(offsets < lengths, 1 / lengths, tf.constant(0, tf.float64))


def at_places(values: tf.Tensor, sizes: Sequence[Size]) -> tf.Tensor:
    """Gives each place its block's value: `(batch, *counts, ...)` -> `(batch, *sizes, ...)`."""
    counts = sizes_of(values, len(sizes))
    if are_known([*sizes, *counts]) and not any(size % count for size, count in zip(sizes, counts, strict=True)):
        return _repeated(values, sizes, counts)
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True), start=1):
        values = tf.gather(values, block_of(size, count), axis=axis)
    return values


def _repeated(values: tf.Tensor, sizes: Sequence[int], counts: Sequence[int]) -> tf.Tensor:
    """`at_places` for blocks of one size: to copy is ten times as fast as to gather."""
    apart, whole = [], []
    for size, count in zip(sizes, counts, strict=True):
        apart += [count, 1]
        whole += [count, size // count]
    lead, rest = size_of(values, 0), sizes_from(values, 1 + len(sizes))
    copied = tf.broadcast_to(tf.reshape(values, [lead, *apart, *rest]), [lead, *whole, *rest])
    return tf.ensure_shape(
        tf.reshape(copied, [lead, *sizes, *rest]), [values.shape[0], *sizes, *values.shape[1 + len(sizes) :]]
    )
