"""Partners: a permutation without fixed points, matched optimally, and fair to all rows."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import NearestNeighborPairing, OptimalTransportPairing, RandomPairing

COSTS = ["sqeuclidean", "euclidean"]
# The chance that one statistical assertion fails for a right pairing, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def pair(pairing, x, seed):
    x = x if isinstance(x, list) else [x]
    found = pairing([tf.constant(leaf) for leaf in x], seed)
    return found.partner.numpy(), found.group.numpy()


def noise(size, dimension=2, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dimension)).astype(np.float32)


def cycles(partner):
    seen, count = set(), 0
    for start in range(len(partner)):
        count += start not in seen
        while start not in seen:
            seen.add(start)
            start = partner[start]
    return count


@pytest.mark.usefixtures("plain_functions")
class TestAnySize:
    """Without compilation, because each example has a shape of its own."""

    @given(st.integers(0, 70), st.integers(1, 40), st.integers(0, 2**31 - 1), st.sampled_from(COSTS))
    def test_every_row_is_a_partner_exactly_once_and_never_its_own(self, size, k, seed, cost):
        partner, group = pair(OptimalTransportPairing(k, cost), noise(size, seed=seed), seed)
        assert partner.dtype == group.dtype == np.int32
        assert sorted(partner) == list(range(size))
        if size >= 2:
            assert (partner != np.arange(size)).all()
        largest = max(1, min(k, size // 2))
        full, rest = divmod(size, largest)
        assert np.bincount(group).tolist() == [largest] * full + [rest] * (rest > 0)

    @given(st.integers(2, 70), st.integers(2, 40), st.integers(0, 2**31 - 1), st.sampled_from(COSTS))
    def test_no_group_could_be_matched_at_less_cost(self, excess, size, k, seed, cost):
        x = noise(size, seed=seed)
        assert excess(x, x, *pair(OptimalTransportPairing(k, cost), x, seed), cost) < 1e-5

    @given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 2**31 - 1), st.sampled_from(COSTS))
    def test_two_batches_are_matched_in_order_and_optimally(self, excess, size, k, seed, cost):
        first, second = noise(size, seed=seed), noise(size, seed=seed + 1)
        found = OptimalTransportPairing(k, cost).between([tf.constant(first)], [tf.constant(second)])
        partner, group = found.partner.numpy(), found.group.numpy()
        assert group.tolist() == [row // k for row in range(size)]
        for number in range(-(-size // k)):
            rows = np.flatnonzero(group == number)
            assert sorted(partner[rows]) == rows.tolist()
        if size:
            assert excess(first, second, partner, group, cost) < 1e-5

    @given(st.integers(4, 60), st.integers(1, 30), st.integers(0, 2**31 - 1))
    def test_clusters_are_crossed_only_as_often_as_their_numbers_force(self, size, k, seed):
        # k-mixup, Lemma 3.3, which holds for two clusters.
        rng = np.random.default_rng(seed)
        cluster = rng.integers(0, 2, size=size)
        x = (rng.uniform(-1, 1, size=(size, 2)) + 100 * cluster[:, np.newaxis]).astype(np.float32)
        partner, group = pair(OptimalTransportPairing(k), x, seed)
        for number in np.unique(group):
            rows = np.flatnonzero(group == number)
            ours, theirs = cluster[rows], cluster[partner[rows]]
            counts = [np.bincount(side, minlength=2) for side in (ours, theirs)]
            assert (ours != theirs).sum() == np.abs(counts[0] - counts[1]).sum() / 2

    @given(st.integers(1, 40), st.integers(0, 2**31 - 1))
    def test_groups_of_one_form_one_circle(self, size, seed):
        partner, group = pair(OptimalTransportPairing(1), noise(size), seed)
        assert cycles(partner) == 1
        assert sorted(group) == list(range(size))

    @settings(max_examples=15)
    @given(st.integers(0, 40), st.integers(0, 2**31 - 1))
    def test_random_pairing_is_optimal_transport_in_groups_of_one(self, size, seed):
        x = noise(size)
        for ours, theirs in zip(
            pair(RandomPairing(), x, seed), pair(OptimalTransportPairing(1), x, seed), strict=True
        ):
            assert (ours == theirs).all()


def test_random_pairing_takes_two_batches_row_by_row():
    x = [tf.constant(noise(5))]
    assert RandomPairing().between(x, x).partner.numpy().tolist() == list(range(5))


@pytest.mark.parametrize("size", [1, 10])
def test_compiled_and_plain_functions_pair_alike(size):
    pairing, x = OptimalTransportPairing(4), noise(size)
    compiled = pair(pairing, x, 3)
    # An open inner dimension makes the package choose the plain functions.
    plain = tf.function(
        lambda features, seed: pairing([features], seed),
        input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([2], tf.int32)],
    )(x, tf.constant([0, 3]))
    for ours, theirs in zip(compiled, plain, strict=True):
        assert (ours == theirs.numpy()).all()


def assert_uniform(counts):
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_circles_are_uniform():
    # Four rows have six circles; uniform circles make partners uniform, too.
    pairing = RandomPairing()
    draw = tf.function(lambda seed: pairing([tf.zeros([4, 1])], seed).partner)
    drawn = tf.map_fn(draw, tf.range(600)).numpy()
    circles = [order for order in itertools.permutations(range(4)) if cycles(order) == 1]
    counts = [(drawn == circle).all(axis=1).sum() for circle in circles]
    assert sum(counts) == 600
    assert_uniform(counts)


@pytest.mark.parametrize(("size", "k"), [(7, 1), (9, 4)])
def test_every_other_row_is_an_equally_likely_partner(size, k):
    # Rows of noise are exchangeable, so matching must not favour any place in the batch. One row of each batch is
    # counted, because the partners of different rows depend on one another.
    pairing = OptimalTransportPairing(k)

    @tf.function
    def draw(seed):
        return pairing([tf.random.stateless_normal([size, 2], [1, seed])], seed).partner

    drawn = tf.map_fn(draw, tf.range(240)).numpy()
    for row in (0, size - 1):
        counts = np.bincount(drawn[:, row], minlength=size)
        assert counts[row] == 0
        assert_uniform(np.delete(counts, row))


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    ("offset", "scale", "dtype"),
    [
        (1e4, 1.0, np.float32),
        (-1e6, 10.0, np.float32),
        (0.0, 1e30, np.float32),
        (0.0, 1e-30, np.float32),
        (1e-20, 1e-25, np.float32),
        (0.0, 3e37, np.float32),
        (0.0, 1.0, np.float64),
        (1e10, 1.0, np.float64),
        (0.0, 1e200, np.float64),
        (0.0, 1e-200, np.float64),
    ],
)
def test_matching_is_optimal_wherever_the_data_lie(excess, cost, offset, scale, dtype):
    pairing = OptimalTransportPairing(8, cost)
    for seed in range(5):
        x = (offset + scale * noise(20, 3, seed).astype(np.float64)).astype(dtype)
        # Distances of data so far from the origin are known to their own last digits only.
        tolerance = 1e-5 + 10 * np.finfo(dtype).eps * abs(offset) / scale
        # The oracle measures from the mean, to keep to distances that it can tell apart itself.
        centred = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
        assert excess(centred, centred, *pair(pairing, x, seed), cost) < min(tolerance, 1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e-8, 1e-10, 1e-12])
def test_a_padded_group_is_matched_optimally_however_small_the_data(excess, scale):
    # Costs of padding must not swallow those of the data.
    pairing = OptimalTransportPairing(8)
    for seed in range(5):
        x = scale * noise(21, 2, seed)
        assert excess(x, x, *pair(pairing, x, seed)) < 1e-5


@pytest.mark.parametrize("cost", COSTS)
def test_matching_is_optimal_when_one_row_lies_far_away(excess, cost):
    # A sentinel such as -9999 for a missing value does this. Groups without that row have no reason to suffer.
    pairing = OptimalTransportPairing(8, cost)
    for seed in range(5):
        x = noise(32, 2, seed)
        x[0] = 1e4
        assert excess(x, x, *pair(pairing, x, seed), cost) < 1e-3


@pytest.mark.parametrize("cost", COSTS)
def test_matching_is_optimal_within_narrow_clusters_far_apart(excess, cost):
    pairing = OptimalTransportPairing(8, cost)
    for seed in range(5):
        # Equally many of both in any group and its face would be luck; four clusters' worth of pairs is enough.
        x = 0.01 * noise(32, 2, seed) + 100 * np.random.default_rng(seed).integers(0, 2, size=(32, 1))
        x = x.astype(np.float32)
        partner, group = pair(pairing, x, seed)
        near = np.abs(x - x[partner]).max(axis=1) < 50
        # Only pairs within a cluster: a crossing costs so much more that it would hide them.
        halves = 2 * group + (x[:, 0] > 50)
        for half in np.unique(halves[near]):
            rows = np.flatnonzero(near & (halves == half))
            assert excess(x[rows], x[partner[rows]], np.arange(len(rows)), np.zeros(len(rows)), cost) < 1e-2


def test_euclidean_matching_is_optimal_where_squares_underflow(excess):
    pairing = OptimalTransportPairing(4, "euclidean")
    for seed in range(5):
        x = 1e-19 * noise(16, 2, seed)
        assert excess(x, x, *pair(pairing, x, seed), "euclidean") < 1e-3


def test_squared_and_plain_distances_match_differently_in_the_plane(excess):
    # A long step and a short one against two middling ones: the square prefers the latter.
    differ = 0
    for seed in range(10):
        x = noise(16, 2, seed)
        squared = pair(OptimalTransportPairing(8, "sqeuclidean"), x, seed)
        plain = pair(OptimalTransportPairing(8, "euclidean"), x, seed)
        assert (squared[1] == plain[1]).all()
        assert excess(x, x, *squared, "sqeuclidean") < 1e-5
        assert excess(x, x, *plain, "euclidean") < 1e-5
        differ += (squared[0] != plain[0]).any()
    assert differ > 0


def test_all_features_count_in_the_matching(excess):
    rng = np.random.default_rng(6)
    leaves = [
        rng.normal(size=(16, 2, 3)).astype(np.float32),
        rng.integers(0, 9, size=16).astype(np.uint8),
        rng.integers(0, 2, size=(16, 20)).astype(bool),
    ]
    pairing, seeds = OptimalTransportPairing(8), range(5)
    assert max(excess(leaves, leaves, *pair(pairing, leaves, seed)) for seed in seeds) < 1e-5
    # Were a leaf ignored, the matching would be one that the full distances can better.
    for left_out in range(3):
        rest = [leaf for index, leaf in enumerate(leaves) if index != left_out]
        assert max(excess(leaves, leaves, *pair(pairing, rest, seed)) for seed in seeds) > 1e-3


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_features_are_matched_by_their_own_values(excess, dtype):
    x = tf.cast(noise(16, 3), dtype)
    found = OptimalTransportPairing(8)([x], 1)
    wide = tf.cast(x, tf.float32).numpy()
    assert excess(wide, wide, found.partner.numpy(), found.group.numpy()) < 1e-5


def test_partners_are_what_the_seed_says():
    x = noise(16)
    first = pair(OptimalTransportPairing(4), x, 1)[0]
    assert (first == pair(OptimalTransportPairing(4), x, 1)[0]).all()
    assert (first != pair(OptimalTransportPairing(4), x, 2)[0]).any()


@pytest.mark.parametrize("pairing", [OptimalTransportPairing(3, "euclidean"), RandomPairing()])
def test_the_configuration_makes_an_equal_strategy(pairing):
    config = pairing.get_config()
    assert type(pairing).from_config(config).get_config() == config


def test_only_matching_needs_the_host():
    assert OptimalTransportPairing(2).runs_on_host
    assert not OptimalTransportPairing(1).runs_on_host
    assert not RandomPairing().runs_on_host


@pytest.mark.parametrize("k", [0, -1, 1.0, 2.5, True, "4", None, float("nan")])
def test_other_ks_are_refused(k):
    with pytest.raises(ValueError, match=r"OptimalTransportPairing: k must be an integer >= 1. Received: k="):
        OptimalTransportPairing(k)


@pytest.mark.parametrize(
    ("argument", "options"),
    [("cost", "'sqeuclidean', 'euclidean'"), ("solver", "'host', 'graph'")],
    ids=["cost", "solver"],
)
@pytest.mark.parametrize("value", ["other", None, 2])
def test_other_costs_and_solvers_are_refused(argument, options, value):
    message = f"OptimalTransportPairing: {argument} must be one of {options}.*Received: {argument}="
    with pytest.raises(ValueError, match=message):
        OptimalTransportPairing(2, **{argument: value})


IN_GROUPS = [
    OptimalTransportPairing(2),
    OptimalTransportPairing(2, solver="graph"),
    OptimalTransportPairing(2, mutual=True),
    NearestNeighborPairing(2),
    RandomPairing(),
    RandomPairing(with_itself=True),
]


@pytest.mark.parametrize("pairing", IN_GROUPS, ids=lambda pairing: type(pairing).__name__)
class TestCalledByHand:
    def test_arrays_are_taken_as_tensors_are(self, pairing):
        x, other = noise(9), noise(9, seed=1)
        np.testing.assert_array_equal(pairing([x], 1).partner, pairing([tf.constant(x)], 1).partner)
        between = pairing.between([x], [other]).partner
        np.testing.assert_array_equal(between, pairing.between([tf.constant(x)], [tf.constant(other)]).partner)

    def test_an_array_alone_is_refused(self, pairing):
        # Its rows would pass for leaves: three columns, three samples.
        name = type(pairing).__name__
        with pytest.raises(ValueError, match=rf"^{name}: features must be a list of arrays .*shape \(9, 3\)"):
            pairing(noise(9, dimension=3), 1)
