"""Puzzles of a number of blocks that is drawn for each batch: as few programs as there are shapes of what is moved.

XLA compiles every branch of a choice. So numbers of blocks whose masks are moved in the same cells, as 2, 4 and 8 are
by default, share a cut and an assignment: their cuts are padded to the largest, by blocks that no arc leads to.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf._graph import is_for_xla
from kmix_tf._shapes import Size
from kmix_tf.blend.puzzle.blocks import are_known, sizes_of
from kmix_tf.blend.puzzle.minimum_cut import CutProblem
from kmix_tf.blend.puzzle.puzzle import (
    Pairs,
    Puzzle,
    PuzzleSettings,
    cells_of,
    labels_of,
    mask_problem,
    moved_cells,
    solve_puzzle,
)


def solve_one_of(
    pairs: Pairs, unit: tf.Tensor, counts: Sequence[int], chosen: tf.Tensor, settings: PuzzleSettings
) -> Puzzle:
    """`solve_puzzle` for one of several numbers of blocks.

    Args:
        counts: the numbers that there are. chosen: int32 scalar, which of these.
    """
    sizes = sizes_of(pairs.saliency[0], settings.axes)
    if is_for_xla():
        pairs, unit, chosen = _not_looked_behind(pairs, unit, chosen)
    groups = _groups(counts, sizes, settings)
    group_of = [number for count in counts for number, group in enumerate(groups) if count in group]
    within = [groups[number].index(count) for count, number in zip(counts, group_of, strict=True)]

    def solved(group: list[int]) -> Callable[[], Puzzle]:
        return lambda: _of_group(pairs, unit, group, tf.gather(within, chosen), sizes, settings)

    branches = [solved(group) for group in groups]
    return branches[0]() if len(branches) == 1 else tf.switch_case(tf.gather(group_of, chosen), branches)


def _not_looked_behind(*values: Any) -> Any:
    """The same values, of which XLA does not ask where they come from.

    Of all that goes into a choice it asks whether its size may vary, and interprets what it was made of, number by
    number: of the range of a batch's pixels alone that took five seconds. It does not look behind a loop, and this
    one, of one round, it then unrolls.
    """
    flat = tf.nest.flatten(values)
    same = tf.while_loop(lambda number, *_: number < 1, lambda number, *each: (number + 1, *each), (0, *flat))[1:]
    return tf.nest.pack_sequence_as(values, list(same))


def _groups(counts: Sequence[int], sizes: Sequence[Size], settings: PuzzleSettings) -> list[list[int]]:
    """Counts that share cells. On the host nothing is compiled, and each count has its own."""
    if settings.solver == "host" or not are_known(sizes):
        return [[count] for count in counts]
    alike: dict[tuple[int, ...], list[int]] = {}
    for count in counts:
        alike.setdefault(tuple(cells_of(sizes, count, settings.transport_blocks)), []).append(count)
    return list(alike.values())


def _of_group(
    pairs: Pairs,
    unit: tf.Tensor,
    counts: list[int],
    chosen: tf.Tensor,
    sizes: Sequence[Size],
    settings: PuzzleSettings,
) -> Puzzle:
    if len(counts) == 1:
        return solve_puzzle(pairs, unit, counts[0], settings)
    most = max(counts)

    def problem(count: int) -> Callable[[], CutProblem]:
        return lambda: _padded(mask_problem(pairs, unit, count, settings), count, most)

    labels = labels_of(tf.switch_case(chosen, [problem(count) for count in counts]), pairs, settings)
    places: list[tf.Tensor] = []
    if settings.transport:
        cells = cells_of(sizes, most, settings.transport_blocks)
        places = moved_cells(pairs, _spread(labels, cells, counts, chosen), sizes, cells, settings)
    return Puzzle(_spread(labels, sizes, counts, chosen), tuple(places))


def _padded(problem: CutProblem, count: int, most: int) -> CutProblem:
    """The problem in the first of so many blocks along each axis; the others cost nothing, and touch none."""
    axes = len(problem.smooth)
    room = [[0, most - count]] * axes
    smooth = tuple(tf.pad(edges, [[0, 0], *room]) for edges in problem.smooth)
    return CutProblem(tf.pad(problem.weight, [[0, 0], *room, [0, 0]]), smooth)


def _spread(labels: tf.Tensor, sizes: Sequence[int], counts: Sequence[int], chosen: tf.Tensor) -> tf.Tensor:
    """`at_places` of the blocks that are no padding: `(mixtures, *sizes)`."""
    for axis, size in enumerate(sizes, start=1):
        block_of = np.array([np.arange(size) * count // size for count in counts], np.int32)
        labels = tf.gather(labels, tf.gather(block_of, chosen), axis=axis)
    return labels
