"""Rearrangements against all permutations, and pixels against loops."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.blend.linear import take_places
from kmix_tf.blend.puzzle.transport import cells_moved, places_of, transport_plan, way_costs

RNG = np.random.default_rng(13)


def drawn(number, n, levels=3):
    """Saliency with peaks, and masks of few values."""
    saliency = RNG.exponential(size=(number, n)) ** 2
    share = RNG.integers(0, levels, size=(number, n)) / (levels - 1)
    return (saliency / saliency.sum(axis=1, keepdims=True)).astype(np.float32), share.astype(np.float32)


@pytest.mark.parametrize("solver", ["host", "graph"])
@pytest.mark.parametrize("t_eps", [0.0, 0.02, 0.1, 0.8])
def test_no_permutation_of_four_blocks_is_better(solver, t_eps):
    saliency, share = drawn(300, 4)
    way = way_costs([4, 4], [2, 2], t_eps)
    plan = transport_plan(tf.constant(saliency), tf.constant(share), way, solver).numpy()

    def value(permutations):
        kept = (share[:, np.newaxis] * saliency[np.arange(300)[:, np.newaxis, np.newaxis], permutations]).sum(-1)
        return kept - way.numpy()[np.arange(4), permutations].sum(-1)

    every = np.array(list(itertools.permutations(range(4))))
    best = value(np.broadcast_to(every, (300, 24, 4))).max(axis=1)
    np.testing.assert_allclose(value(plan[:, np.newaxis])[:, 0], best, atol=1e-7)


@pytest.mark.parametrize("solver", ["host", "graph"])
@pytest.mark.parametrize(("sizes", "counts"), [((8, 8), (4, 4)), ((9, 7), (4, 2)), ((16,), (8,))], ids=str)
@pytest.mark.representatives("solver, sizes", [("host", (9, 7)), ("graph", (8, 8))])
def test_blocks_are_permuted_and_saliency_is_kept(solver, sizes, counts):
    n = int(np.prod(counts))
    saliency, share = drawn(200, n)
    moved = 0
    for t_eps in (0.0, 0.05):
        plan = transport_plan(
            tf.constant(saliency), tf.constant(share), way_costs(sizes, counts, t_eps), solver
        ).numpy()
        assert (np.sort(plan, axis=1) == np.arange(n)).all()
        rows = np.arange(200)[:, np.newaxis]
        assert ((share * saliency[rows, plan]).sum(1) >= (share * saliency).sum(1) - 1e-7).all()
        moved += (plan != np.arange(n)).sum()
        # Nothing moves to a place of another size.
        assert (way_costs(sizes, counts, 0.0).numpy()[np.arange(n), plan] < 1).all()
    assert moved > 100


def test_a_mask_of_one_value_moves_nothing():
    saliency, _ = drawn(50, 4)
    for value in (0.0, 0.5, 1.0):
        plan = transport_plan(tf.constant(saliency), tf.fill([50, 4], value), way_costs([4, 4], [2, 2], 0.0))
        assert (plan.numpy() == np.arange(4)).all()


def test_dear_ways_are_not_gone():
    saliency, share = drawn(50, 16)
    far = way_costs([8, 8], [4, 4], 100.0)
    assert (transport_plan(tf.constant(saliency), tf.constant(share), far).numpy() == np.arange(16)).all()


def test_the_way_costs_what_the_authors_say():
    way = way_costs([8, 8], [4, 4], 0.8).numpy()
    for one, other in itertools.product(range(16), repeat=2):
        squares = (one // 4 - other // 4) ** 2 + (one % 4 - other % 4) ** 2
        assert way[one, other] == pytest.approx(0.8 * squares / 9, abs=1e-6)
    assert (np.diag(way) == 0).all()


@pytest.mark.parametrize(("sizes", "counts"), [((8, 6), (4, 3)), ((7, 5), (2, 2)), ((11,), (4,))], ids=str)
def test_pixels_go_where_their_block_goes(sizes, counts):
    n = int(np.prod(counts))
    blocks = [[place * count // size for place in range(size)] for size, count in zip(sizes, counts, strict=True)]
    number = np.empty(sizes, int)
    for place in np.ndindex(*sizes):
        number[place] = np.ravel_multi_index([along[at] for along, at in zip(blocks, place, strict=True)], counts)
    leaf = RNG.normal(size=(3, *sizes, 2)).astype(np.float32)
    # Of uneven blocks only those of one size change places.
    shapes = [tuple(np.ptp(np.argwhere(number == block), axis=0)) for block in range(n)]
    plan = np.tile(np.arange(n), (3, 1))
    for row in plan:
        for shape in set(shapes):
            alike = [block for block in range(n) if shapes[block] == shape]
            row[alike] = RNG.permutation(alike)
    rows = np.array([2, 0, 1])
    places = places_of(tf.constant(plan, tf.int32), sizes, counts)
    taken = take_places(tf.constant(leaf), tf.constant(rows, tf.int32), places).numpy()
    for mixture in range(3):
        for block in range(n):
            expected = leaf[rows[mixture]][number == plan[mixture, block]]
            assert (taken[mixture][number == block] == expected).all()


@pytest.mark.parametrize(
    ("size", "blocks", "wanted", "cells"), [(32, 2, 8, 4), (32, 8, 8, 1), (32, 16, 8, 1), (6, 2, 8, 3), (32, 2, 1, 1)]
)
def test_large_blocks_are_moved_in_cells(size, blocks, wanted, cells):
    assert cells_moved(size, blocks, wanted) == cells
    assert int(cells_moved(tf.constant(size), blocks, wanted)) == cells


def test_both_solvers_find_the_same_of_many_near_best():
    # On a grid most ways come in several equal lengths.
    saliency, share = drawn(200, 16)
    way = way_costs([8, 8], [4, 4], 0.05)
    on_host, in_graph = (
        transport_plan(tf.constant(saliency), tf.constant(share), way, solver).numpy() for solver in ("host", "graph")
    )
    assert (on_host != np.arange(16)).any(axis=1).mean() > 0.5
    assert (on_host == in_graph).all()


def test_many_blocks_in_the_graph_are_moved_near_the_best_and_never_for_the_worse():
    saliency, share = drawn(40, 256)
    way = way_costs([32, 32], [16, 16], 0.8)
    plans = {
        solver: transport_plan(*map(tf.constant, (saliency, share)), way, solver).numpy()
        for solver in ("host", "graph")
    }
    rows = np.arange(40)[:, np.newaxis]

    def worth(plan):
        kept = (share * saliency[rows, plan]).sum(axis=1)
        return kept - way.numpy()[np.arange(256), plan].sum(axis=1), kept

    stay = worth(np.tile(np.arange(256), (40, 1)))
    best, near = worth(plans["host"]), worth(plans["graph"])
    assert (np.sort(plans["graph"], axis=1) == np.arange(256)).all()
    assert (near[1] >= stay[1] - 1e-6).all()
    assert (near[0] <= best[0] + 1e-6).all()
    # Of what the best rearrangement gains, most is gained.
    assert ((near[0] - stay[0]) / (best[0] - stay[0])).mean() > 0.8
    # No exchange of two would gain more.
    for plan, z, s in zip(plans["graph"][:5], share, saliency, strict=False):
        cost = (way.numpy() - z[:, np.newaxis] * s)[:, plan]
        change = cost + cost.T - np.diag(cost)[:, np.newaxis] - np.diag(cost)
        assert change.min() > -2e-6
