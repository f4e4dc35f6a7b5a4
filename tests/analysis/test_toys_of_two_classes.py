"""What all toys of two classes promise, and the xi that k-mixup's Table 9 prints for three of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from kmix_tf import analysis
from kmix_tf.analysis import (
    coiling_spirals,
    four_bars,
    half_moons,
    noisy_spiral,
    one_ring,
    perturbation,
    swiss_roll,
    two_moons,
)

ALL = [coiling_spirals, four_bars, half_moons, noisy_spiral, one_ring, swiss_roll, two_moons]
ALPHAS = [0.25, 1, 4, 16, 64]
# As printed, k = 1; and the mean squared distance of two samples: twice the sum of the coordinates' variances.
PRINTED = {
    one_ring: [".10", ".15", ".20", ".23", ".25"],
    four_bars: [".50", ".78", "1.0", "1.1", "1.2"],
    swiss_roll: ["1.2", "1.9", "2.4", "2.8", "3.0"],
}
MEAN_SQUARED_DISTANCE = {
    # E r^2 of a disc is R^2 / 2, of a ring (r^2 + R^2) / 2.
    one_ring: 2 * (0.2**2 / 2 + (0.4**2 + 0.6**2) / 2) / 2,
    # A box of side s has the variance s^2 / 12 along it, four bars one apart have 5 / 4.
    four_bars: 2 * (5 / 4 + 0.4**2 / 12 + 5.3**2 / 12),
    # r uniform in [a, b], around 0: (a^2 + ab + b^2) / 3.
    swiss_roll: 2 * (2.2**2 + 2.2 * 6.6 + 6.6**2) / 3,
}


def gamma_squared(alpha):
    """E[min(l, 1 - l)^2] under Beta(alpha, alpha), by quadrature."""
    return 2 * integrate.quad(lambda share: share**2 * stats.beta.pdf(share, alpha, alpha), 0, 0.5, points=[0.01])[0]


def unit(printed):
    return 10.0 ** -len(printed.partition(".")[2])


@given(st.sampled_from(ALL), st.integers(2, 80), st.integers(0, 2**32))
def test_shapes_types_balance_and_seeds(toy, n, seed):
    x, y = toy(n, seed=seed, **({"flipped": 0.0} if toy is noisy_spiral else {}))
    assert x.shape == (n, 2) and x.dtype == np.float64 and np.isfinite(x).all()
    assert y.shape == (n,) and y.dtype == np.int64
    assert sorted(np.bincount(y)) == [n // 2, n - n // 2]
    again = toy(n, seed=seed)
    np.testing.assert_array_equal(again.x, x)
    assert n < 4 or not np.array_equal(toy(n, seed=seed + 1).x, x)


@pytest.mark.parametrize("toy", ALL)
def test_the_order_is_random(toy):
    y = toy(1000).y
    # Runs of equal labels, false alarm 1e-6 about their mean.
    runs = 1 + (np.diff(y) != 0).sum()
    assert abs(runs - 501) < stats.norm.isf(5e-7) * np.sqrt(250) + 10


@pytest.mark.parametrize("toy", PRINTED)
def test_samples_are_as_far_apart_as_table_9_says(toy):
    x = toy(20_000, seed=1).x
    for alpha, printed in zip(ALPHAS, PRINTED[toy], strict=True):
        assert abs(perturbation(x, 1, alpha) - float(printed)) < unit(printed), alpha
    squares = np.square(x).sum(axis=1)
    # Five standard errors; around 0, the mean of squares is the variance.
    assert abs(2 * squares.mean() - MEAN_SQUARED_DISTANCE[toy]) < 10 * squares.std() / np.sqrt(len(x))


@pytest.mark.parametrize("toy", PRINTED)
def test_their_exact_distances_round_to_table_9(toy):
    xi = [np.sqrt(gamma_squared(alpha) * MEAN_SQUARED_DISTANCE[toy]) for alpha in ALPHAS]
    printed = PRINTED[toy]
    rounds = [abs(value - float(text)) < unit(text) / 2 for value, text in zip(xi, printed, strict=True)]
    assert rounds == [True, True, True, toy is not four_bars, True]


def test_no_data_round_to_all_that_table_9_prints_of_four_bars():
    bounds = [
        [(float(printed) + side * unit(printed) / 2) ** 2 / gamma_squared(alpha) for side in (-1, 1)]
        for alpha, printed in zip(ALPHAS, PRINTED[four_bars], strict=True)
    ]
    least, most = np.transpose(bounds)
    assert least.max() > most.min()
    # Without alpha = 16 some do.
    assert np.delete(least, 3).max() < MEAN_SQUARED_DISTANCE[four_bars] < np.delete(most, 3).min()


@pytest.mark.parametrize(("toy", "gap"), [(one_ring, 0.2), (four_bars, 0.6), (swiss_roll, 1.3)])
def test_the_classes_are_apart(toy, gap):
    x, y = toy(2000)
    assert cdist(x[y == 0], x[y == 1]).min() > gap


@pytest.mark.parametrize("toy", [half_moons, noisy_spiral])
@pytest.mark.parametrize(("n", "flipped", "train"), [(300, 0.2, 0.5), (1000, 0.2, 0.4), (7, 1.0, 1.0), (9, 0.5, 0.0)])
def test_only_labels_to_train_on_are_flipped(toy, n, flipped, train):
    clean, dirty = (toy(n, flipped=share, train=train, seed=2) for share in (0.0, flipped))
    np.testing.assert_array_equal(dirty.x, clean.x)
    wrong, trained = dirty.y != clean.y, round(train * n)
    assert wrong[:trained].sum() == round(flipped * trained) and not wrong[trained:].any()
    assert set(dirty.y) <= {0, 1}


def test_flips_are_spread_over_places_and_classes():
    clean, dirty = (noisy_spiral(20_000, flipped=share, train=1.0) for share in (0.0, 0.2))
    wrong = np.flatnonzero(clean.y != dirty.y)
    assert stats.kstest(wrong / 20_000, "uniform").pvalue > 1e-6
    assert stats.binomtest(int(clean.y[wrong].sum()), len(wrong)).pvalue > 1e-6


@pytest.mark.parametrize("toy", ALL)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1}, "n must be an integer >= 2. Received: n=1."),
        ({"n": 2.5}, "n must be an integer >= 2. Received: n=2.5."),
        ({"n": True}, "n must be an integer >= 2. Received: n=True."),
        ({"seed": -1}, "seed must be an integer >= 0. Received: seed=-1."),
        ({"seed": None}, "seed must be an integer >= 0. Received: seed=None."),
    ],
)
def test_sizes_and_seeds_that_do_not_fit_are_refused(toy, arguments, message):
    with pytest.raises(ValueError) as refused:
        toy(**arguments)
    assert str(refused.value) == f"{toy.__name__}: {message}"


@pytest.mark.parametrize(
    ("toy", "arguments", "message"),
    [
        (half_moons, {"noise": -1}, "noise must be >= 0 and finite. Received: noise=-1."),
        (half_moons, {"flipped": 1.5}, "flipped must be in [0, 1]. Received: flipped=1.5."),
        (half_moons, {"train": -0.1}, "train must be in [0, 1]. Received: train=-0.1."),
        (noisy_spiral, {"flipped": np.nan}, "flipped must be in [0, 1]. Received: flipped=nan."),
        (noisy_spiral, {"train": "half"}, "train must be in [0, 1]. Received: train='half'."),
        (coiling_spirals, {"thickness": np.inf}, "thickness must be >= 0 and finite. Received: thickness=inf."),
        (coiling_spirals, {"noise": "gauss"}, "noise must be one of 'normal', 'uniform'. Received: noise='gauss'."),
    ],
)
def test_other_arguments_that_do_not_fit_are_refused(toy, arguments, message):
    with pytest.raises(ValueError) as refused:
        toy(**arguments)
    assert str(refused.value) == f"{toy.__name__}: {message}"


def test_they_are_offered_where_they_are_looked_for():
    for toy in ALL:
        assert getattr(analysis, toy.__name__) is getattr(analysis.toys, toy.__name__) is toy
        assert toy.__name__ in analysis.__all__ and toy.__name__ in analysis.toys.__all__
