"""What is said to stay against SciPy's assignments, which know nothing of paths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kmix_tf.blend.puzzle.staying import stays_best
from kmix_tf.blend.puzzle.transport import transport_plan, way_costs


def drawn(number, blocks, seed, peak=2.0, levels=3):
    rng = np.random.default_rng(seed)
    saliency = rng.exponential(size=(number, blocks)) ** peak
    share = rng.integers(0, levels, size=(number, blocks)) / (levels - 1)
    return saliency / saliency.sum(axis=1, keepdims=True), share


def best_plans(saliency, share, way):
    return np.array(
        [
            linear_sum_assignment(way - np.multiply.outer(seen, found))[1]
            for found, seen in zip(saliency, share, strict=True)
        ]
    )


@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([(2, 2), (4, 4), (3, 5), (8,)]),
    st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.8]),
    st.integers(2, 5),
)
def test_what_is_said_to_stay_stays(seed, counts, t_eps, levels):
    saliency, share = drawn(40, int(np.prod(counts)), seed, levels=levels)
    sizes = [2 * count + seed % 2 for count in counts]
    way = way_costs(sizes, counts, t_eps).numpy()
    stays = (best_plans(saliency, share, way) == np.arange(share.shape[1])).all(axis=1)
    said = stays_best(saliency, share, way)
    assert not (said & ~stays).any()


@pytest.mark.parametrize(("count", "peak"), [(4, 1.0), (8, 0.5)])
def test_most_of_what_stays_is_said_to(count, peak):
    # With the default cost of ways.
    saliency, share = drawn(300, count**2, seed=1, peak=peak)
    way = way_costs([32, 32], [count, count], 0.8).numpy()
    stays = (best_plans(saliency, share, way) == np.arange(count**2)).all(axis=1)
    said = stays_best(saliency, share, way)
    assert 0.2 < stays.mean() < 1
    assert (said & stays).sum() >= 0.9 * stays.sum()


def test_a_chain_of_short_ways_is_found_where_no_single_way_pays():
    # Block 3 is salient and covered; to bring it to place 0, where it is seen, all between move up by one.
    way = np.full((4, 4), 1.0)
    np.fill_diagonal(way, 0)
    for place in range(3):
        way[place + 1, place] = 0.05
    way[0, 3] = 0.5
    share, saliency = np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([[0.0, 0.1, 0.1, 0.8]])
    assert not stays_best(saliency, share, way).any()
    assert best_plans(saliency, share, way).tolist() == [[3, 0, 1, 2]]
    # Each way back a little dearer, and it no longer pays.
    dearer = way + np.where(way == 0.05, 0.1, 0)
    assert stays_best(saliency, share, dearer).all()
    assert best_plans(saliency, share, dearer).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("t_eps", [0.02, 0.2, 0.8])
def test_plans_are_those_of_the_assignment(t_eps):
    saliency, share = (each.astype(np.float32) for each in drawn(100, 64, seed=2))
    way = way_costs([32, 32], [8, 8], t_eps)
    expected = best_plans(saliency.astype(np.float64), share.astype(np.float64), way.numpy())
    assert (transport_plan(saliency, share, way).numpy() == expected).all()
    assert (expected != np.arange(64)).any()


def test_nothing_to_move_stays():
    way = way_costs([4, 4], [2, 2], 0.8).numpy()
    assert stays_best(np.zeros((0, 4)), np.zeros((0, 4)), way).shape == (0,)
    assert stays_best(np.full((2, 4), 0.25), np.ones((2, 4)), way).tolist() == [True, True]
