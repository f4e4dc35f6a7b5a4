"""One puzzle a mixture: which blocks of two images are seen, what is moved there, and the numbers it goes by."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._shapes import Size, reshaped, size_of
from kmix_tf.blend.puzzle.blocks import at_places, block_of, sizes_of
from kmix_tf.blend.puzzle.energy import block_saliency, pair_energy
from kmix_tf.blend.puzzle.minimum_cut import CutProblem, cut_problem, minimum_cut
from kmix_tf.blend.puzzle.transport import cells_moved, places_of, transport_plan, way_costs
from kmix_tf.pairing.assignment import SOLVERS

# Masks of more blocks have better answers than a graph of all of them.
MOST_BLOCKS = 64
MOST_LABELS = 17


class PuzzleSettings(NamedTuple):
    """The arguments of `PuzzleMixBlend`, but for the saliency."""

    axes: int
    blocks: int | None
    n_labels: int
    beta: float
    gamma: float
    eta: float
    neigh_size: int
    transport: bool
    t_eps: float
    transport_blocks: int
    value_range: tuple[float, float] | None
    solver: str


def checked_settings(**given: Any) -> PuzzleSettings:
    """Settings that make sense, or an error that names the argument that does not."""
    integers = {"axes": (1, 2), "n_labels": (2, MOST_LABELS), "neigh_size": (1, None)}
    integers["transport_blocks"] = (1, MOST_BLOCKS)
    if given["blocks"] is not None:
        integers["blocks"] = (2, MOST_BLOCKS)
    for name, (least, most) in integers.items():
        given[name] = _checks.integer(name, given[name], minimum=least)
        if most is not None and given[name] > most:
            _checks.refuse(name, f"an integer from {least} to {most}", given[name])
    for name in ("beta", "gamma", "eta", "t_eps"):
        given[name] = _checks.number(name, given[name])
    given["transport"] = _checks.flag("transport", given["transport"])
    given["solver"] = _checks.choice("solver", given["solver"], SOLVERS)
    given["value_range"] = _checked_range(given["value_range"])
    return PuzzleSettings(**given)


def _checked_range(value_range: Any) -> tuple[float, float] | None:
    if value_range is None:
        return None
    is_pair = isinstance(value_range, (list, tuple)) and len(value_range) == 2
    if not is_pair:
        _checks.refuse("value_range", "a pair of numbers (least, greatest), or None", value_range)
    low, high = (_checks.number("value_range", end, minimum=-float("inf")) for end in value_range)
    if not low < high:
        _checks.refuse("value_range", "a pair of numbers (least, greatest), or None", value_range)
    return low, high


class Pairs(NamedTuple):
    """What is mixed with what: images and saliency `(batch, *axes, ...)` of two batches, partner int32 `(pairs,)`
    (several rounds of the first batch, if there are several partners), ratio float32 `(interpolations, pairs)`."""

    images: Sequence[tf.Tensor]
    saliency: Sequence[tf.Tensor]
    partner: tf.Tensor
    ratio: tf.Tensor


class Puzzle(NamedTuple):
    """Solutions, of interpolations x pairs mixtures.

    labels: int32 `(mixtures, *sizes)`, the sample's shares at each place, of n_labels - 1. places: for the sample
    and its partner, int32 `(mixtures, *sizes)`, where what is seen comes from; none without transport.
    """

    labels: tf.Tensor
    places: tuple[tf.Tensor, ...]


def solve_puzzle(pairs: Pairs, unit: tf.Tensor, blocks: int, settings: PuzzleSettings) -> Puzzle:
    """Finds mask and transport of each mixture, for so many blocks along each axis."""
    sizes = sizes_of(pairs.saliency[0], settings.axes)
    labels = solve_masks(pairs, unit, blocks, settings)
    places = _moved(pairs, labels, sizes, settings) if settings.transport else ()
    return Puzzle(at_places(labels, sizes), tuple(places))


def solve_masks(pairs: Pairs, unit: tf.Tensor, blocks: int, settings: PuzzleSettings) -> tf.Tensor:
    """The masks of least energy in blocks: int32 `(mixtures, *blocks)`, 0 to n_labels - 1."""
    return labels_of(mask_problem(pairs, unit, blocks, settings), pairs, settings)


def mask_problem(pairs: Pairs, unit: tf.Tensor, blocks: int, settings: PuzzleSettings) -> CutProblem:
    """The masks' cuts. Saliency and smoothness of a pair are computed once for all its ratios."""
    named = settings._asdict()
    energy = pair_energy(
        pairs.images,
        pairs.saliency,
        pairs.partner,
        unit,
        blocks=blocks,
        **{name: named[name] for name in ("beta", "gamma", "neigh_size")},
    )
    return cut_problem(energy, pairs.ratio, n_labels=settings.n_labels, eta=settings.eta)


def labels_of(problem: CutProblem, pairs: Pairs, settings: PuzzleSettings) -> tf.Tensor:
    """The cuts' labels. A ratio of 1 or 0 is the sample or its partner alone, whatever the other terms say."""
    labels = minimum_cut(problem, settings.solver)
    ratio = tf.reshape(pairs.ratio, tf.concat([[tf.size(pairs.ratio)], [1] * settings.axes], 0))
    labels = tf.where(ratio >= 1, settings.n_labels - 1, labels)
    return tf.where(ratio <= 0, 0, labels)


def _moved(pairs: Pairs, labels: tf.Tensor, sizes: Sequence[Size], settings: PuzzleSettings) -> list[tf.Tensor]:
    """Where the blocks come from that are seen, of the sample under the mask and of its partner under the rest.

    Blocks are cut into cells for this, if they are larger than `transport_blocks` to a side.
    """
    counts = cells_of(sizes, labels.shape[1], settings.transport_blocks)
    return moved_cells(pairs, _in_cells(labels, counts), sizes, counts, settings)


def cells_of(sizes: Sequence[Size], blocks: int, transport_blocks: int) -> list[Size]:
    """How many cells are moved along each axis."""
    return [blocks * cells_moved(size, blocks, transport_blocks) for size in sizes]


def moved_cells(
    pairs: Pairs, labels: tf.Tensor, sizes: Sequence[Size], counts: Sequence[Size], settings: PuzzleSettings
) -> list[tf.Tensor]:
    """`_moved`, of labels of cells, int32 `(mixtures, *counts)`."""
    way = way_costs(sizes, counts, settings.t_eps)
    share = tf.cast(labels, tf.float32) / (settings.n_labels - 1)
    interpolations, number = size_of(pairs.ratio, 0), pairs.partner.shape[0]
    rows = (tf.range(size_of(pairs.partner, 0)) % tf.shape(pairs.saliency[0])[0], pairs.partner)
    cells = [
        tf.gather(_flat(block_saliency(saliency, counts)), row)
        for saliency, row in zip(pairs.saliency, rows, strict=True)
    ]
    places = size_of(cells[0], 1)
    seen = [reshaped(each, [interpolations, number, places]) for each in (share, 1 - share)]
    # Both sides in one call, so that the solver is compiled once.
    plan = _plans(tf.concat(cells, 0), tf.concat(seen, 1), way, settings.solver)
    plan = reshaped(plan, [interpolations, 2, number, places])
    return [places_of(_flat(plan[:, side], keep=2), sizes, counts) for side in (0, 1)]


def _plans(cells: tf.Tensor, seen: tf.Tensor, way: tf.Tensor, solver: str) -> tf.Tensor:
    """Plans of both sides of all mixtures, one interpolation after another: int32 `(2 mixtures, n)`.

    In the graph, a program in a loop serves one side of one interpolation after another: it is compiled once, its
    memory is for so many cost matrices, and none waits for the longest search of all.
    """
    if solver == "host":
        cells = cells if seen.shape[0] == 1 else tf.tile(cells, [tf.shape(seen)[0], 1])
        return transport_plan(cells, _flat(seen, keep=2), way, solver)
    shape = tf.stack([-1, tf.shape(cells)[0] // 2, tf.shape(cells)[1]])
    sides, shares = tf.reshape(cells, shape), tf.reshape(seen, shape)
    plans = tf.map_fn(
        lambda each: transport_plan(tf.gather(sides, each[0] % 2), each[1], way, solver),
        (tf.range(tf.shape(shares)[0]), shares),
        fn_output_signature=tf.int32,
        parallel_iterations=1,
    )
    return _flat(plans, keep=2)


def _in_cells(labels: tf.Tensor, counts: Sequence[Size]) -> tf.Tensor:
    for axis, count in enumerate(counts, start=1):
        labels = tf.gather(labels, block_of(count, labels.shape[axis]), axis=axis)
    return labels


def _flat(values: tf.Tensor, keep: int = 1) -> tf.Tensor:
    """Joins the axes after the first, or, with keep=2, the first two."""
    inner = values.shape[keep:]
    if inner.num_elements():  # None where it is not known.
        return reshaped(values, [None, *inner] if keep == 2 else [None, inner.num_elements()])
    shape = tf.shape(values)
    if keep == 2:
        return tf.reshape(values, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    return tf.reshape(values, tf.stack([shape[0], tf.reduce_prod(shape[1:])]))
