"""What the pictures of k-mixup show, read back from the Axes."""

import matplotlib
import numpy as np
import pytest
from scipy.integrate import trapezoid

matplotlib.use("Agg")

from matplotlib import colors

from kmix_tf.analysis.crossing import cross_match_bound, cross_match_share
from kmix_tf.analysis.matching_distribution import matching_distribution
from kmix_tf.plot.matches import plot_cross_matches, plot_matching_distribution
from kmix_tf.plot.ratios import plot_ratio_density
from kmix_tf.plot.vicinal import plot_vicinal


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def points(size=40, seed=0):
    return np.random.default_rng(seed).normal(size=(size, 2))


def drawn_mixtures(axes):
    data, mixed = axes.collections
    return np.asarray(data.get_offsets()), np.asarray(mixed.get_offsets()), mixed.get_facecolors()[:, :3]


@pytest.mark.usefixtures("plain_and_compiled")
def test_mixtures_of_two_points_lie_between_them_in_place_and_colour():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    data, mixed, shown = drawn_mixtures(plot_vicinal(x, [0, 1], k=1, alpha=0.7, samples=25))
    np.testing.assert_array_equal(data, x)
    assert mixed.shape == (25, 2) and len(np.unique(mixed, axis=0)) == 25
    share = mixed[:, :1]
    assert ((share >= 0) & (share <= 1)).all()
    np.testing.assert_allclose(mixed[:, 1:], 2 * share, atol=1e-6)
    ends = [np.array(colors.to_rgb(f"C{i}")) for i in (0, 1)]
    np.testing.assert_allclose(shown, (1 - share) * ends[0] + share * ends[1], atol=1e-6)


@pytest.mark.usefixtures("plain_and_compiled")
def test_no_mixing_draws_the_data_in_their_classes_colours():
    x, y = points(), np.arange(40) % 3
    _, mixed, shown = drawn_mixtures(plot_vicinal(x, y, k=4, alpha=0, samples=40))
    rows = [int(np.flatnonzero(np.isclose(x, point).all(axis=1))[0]) for point in mixed]
    assert sorted(rows) == list(range(40))
    np.testing.assert_allclose(shown, [colors.to_rgb(f"C{y[row]}") for row in rows], atol=1e-6)


@pytest.mark.usefixtures("plain_and_compiled")
def test_few_mixtures_are_not_of_the_first_samples_only():
    x = points(200)
    _, mixed, _ = drawn_mixtures(plot_vicinal(x, np.arange(200) % 2, k=2, alpha=0, samples=30))
    rows = [int(np.flatnonzero(np.isclose(x, point).all(axis=1))[0]) for point in mixed]
    assert len(set(rows)) == 30 and max(rows) > 100


def test_more_mixtures_than_samples_are_all_different_and_decided_by_the_seed():
    first, again, other = (
        drawn_mixtures(plot_vicinal(points(), np.arange(40) % 12, 4, samples=100, seed=seed))[1] for seed in (1, 1, 2)
    )
    assert len(np.unique(first, axis=0)) == 100
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.usefixtures("plain_and_compiled")
def test_regression_targets_are_coloured_by_their_place_in_their_range():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    _, mixed, shown = drawn_mixtures(plot_vicinal(x, [3.0, 5.0], k=1, samples=25))
    share = (mixed[:, 0] - mixed[:, 0].min()) / np.ptp(mixed[:, 0])
    np.testing.assert_allclose(shown, matplotlib.colormaps["viridis"](share)[:, :3], atol=0.02)


@pytest.mark.usefixtures("plain_and_compiled")
def test_larger_groups_keep_mixtures_nearer_to_their_data():
    x = np.concatenate([points(100), points(100, 1) + 30])
    between = []
    for k in (1, 32):
        _, mixed, _ = drawn_mixtures(plot_vicinal(x, np.repeat([0, 1], 100), k, samples=400))
        between.append(((mixed[:, 0] > 5) & (mixed[:, 0] < 25)).mean())
    assert between[1] < between[0] / 2


def test_partners_are_drawn_in_their_places_by_their_probabilities():
    x = points()
    found = matching_distribution(x, 3, 4, trials=300)
    axes = plot_matching_distribution(x, 3, 4, trials=300)
    data, partners, marked = axes.collections
    np.testing.assert_array_equal(np.asarray(data.get_offsets()), x)
    np.testing.assert_array_equal(np.asarray(marked.get_offsets()), x[[3]])
    order = found.indices[::-1]
    np.testing.assert_array_equal(np.asarray(partners.get_offsets()), x[order])
    np.testing.assert_array_equal(partners.get_array(), found.probabilities[order])
    assert (np.diff(partners.get_sizes()) >= 0).all()


def test_densities_are_those_of_the_ratio():
    axes = plot_ratio_density([2, 64])
    for line, exact in zip(axes.lines, (lambda ratio: 6 * ratio * (1 - ratio), None), strict=True):
        ratio, density = line.get_xydata().T
        assert trapezoid(density, ratio) == pytest.approx(1, abs=1e-3)
        if exact:
            np.testing.assert_allclose(density, exact(ratio), rtol=1e-9)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["alpha = 2", "alpha = 64"]


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_ordered_ratios_descend_and_their_densities_average_to_that_of_one(alpha):
    axes = plot_ratio_density(alpha, interpolations=3)
    curves = [line.get_xydata().T for line in axes.lines]
    means = [trapezoid(ratio * density, ratio) for ratio, density in curves]
    assert means == sorted(means, reverse=True)
    ordered = np.sort(np.random.default_rng(0).beta(alpha, alpha, size=(100_000, 3)), axis=1)[:, ::-1]
    np.testing.assert_allclose(means, ordered.mean(axis=0), atol=5e-3)
    (single,) = plot_ratio_density(alpha).lines
    np.testing.assert_allclose(np.mean([density for _, density in curves], axis=0), single.get_ydata(), rtol=1e-6)


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 1e6])
def test_extreme_densities_are_drawn_finite_and_in_a_scale_that_shows_them(alpha):
    axes = plot_ratio_density(alpha)
    ratio, density = axes.lines[0].get_xydata().T
    assert np.isfinite(density).all()
    inside = density[(ratio > 0.1) & (ratio < 0.9)].max()
    assert inside < axes.get_ylim()[1] < 10 * max(inside, 10 * alpha)


def test_no_mixing_is_a_line_at_one():
    axes = plot_ratio_density([0, 1])
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [1, 1]
    assert axes.get_legend().get_texts()[0].get_text() == "alpha = 0"


def test_shares_stand_at_their_k_between_the_bounds():
    x, labels, k = points(), np.arange(40) % 2, [8, 1, 2]
    share, bound = cross_match_share(x, labels, k), cross_match_bound([20, 20], [1, 2, 4])
    axes = plot_cross_matches({"noise": share}, bound)
    least, shown = axes.lines[0], axes.lines[1]
    np.testing.assert_array_equal(least.get_xydata().T, [[1, 2, 4], bound.least])
    np.testing.assert_array_equal(shown.get_xydata().T, [[1, 2, 8], share.share[[1, 2, 0]]])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4", "8"]
    assert axes.get_ylim()[0] == 0
    assert "noise" in [text.get_text() for text in axes.get_legend().get_texts()]
    bars = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars], 4 * share.standard_error[[1, 2, 0]])


def test_one_share_alone_is_drawn_too():
    axes = plot_cross_matches(cross_match_share(points(), np.arange(40) % 2, 4))
    assert axes.lines[0].get_xdata().tolist() == [4]


@pytest.mark.usefixtures("plain_and_compiled")
def test_axes_that_are_given_are_drawn_on():
    import matplotlib.pyplot as plt

    x, y = points(), np.arange(40) % 2
    for draw in (
        lambda axes: plot_vicinal(x, y, 2, axes=axes),
        lambda axes: plot_matching_distribution(x, 0, 2, trials=10, axes=axes),
        lambda axes: plot_ratio_density(1, axes=axes),
        lambda axes: plot_cross_matches(cross_match_share(x, y, [1, 2]), axes=axes),
    ):
        axes = plt.figure().add_subplot()
        assert draw(axes) is axes


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot_vicinal(np.zeros((4, 3)), [0, 1] * 2, 1), ValueError, r"plot_vicinal: x must be \(n, 2\)"),
        (
            lambda: plot_vicinal(points(6), [0, 1] * 3, 4),
            ValueError,
            r"plot_vicinal: x must be \(n, 2\), n >= 2 k = 8",
        ),
        (lambda: plot_vicinal(points(4), [0, 1] * 2, 0), ValueError, "plot_vicinal: k must be an integer >= 1"),
        (lambda: plot_vicinal(points(4), [0, 1] * 2, 1, -1), ValueError, "plot_vicinal: alpha must be >= 0"),
        (lambda: plot_vicinal(points(4), [0, 1] * 2, 1, samples=0), ValueError, "plot_vicinal: samples must be"),
        (lambda: plot_vicinal(points(4), [0, 1] * 2, 1, seed=-1), ValueError, "plot_vicinal: seed must be"),
        (lambda: plot_vicinal(points(4), np.zeros((4, 2, 2)), 1), ValueError, r"plot_vicinal: y must be \(n,\) or"),
        (lambda: plot_vicinal(points(4), [0, 1], 1), ValueError, "plot_vicinal: x must be"),
        (
            lambda: plot_matching_distribution(np.zeros((4, 3)), 0, 1),
            ValueError,
            r"plot_matching_distribution: x must be \(n, 2\)",
        ),
        (
            lambda: plot_matching_distribution(points(4), 4, 1),
            ValueError,
            r"plot_matching_distribution: index must be in \[0, 4\)",
        ),
        (
            lambda: plot_matching_distribution(points(4), 0, 3),
            ValueError,
            "plot_matching_distribution: x must hold at least 2 k = 6 samples",
        ),
        (lambda: plot_ratio_density(-1), ValueError, "plot_ratio_density: alpha must be >= 0"),
        (lambda: plot_ratio_density([]), ValueError, "plot_ratio_density: alpha must be a number >= 0, or several"),
        (lambda: plot_ratio_density(1, 0), ValueError, "plot_ratio_density: interpolations must be an integer >= 1"),
        (lambda: plot_cross_matches([0.5]), TypeError, "plot_cross_matches: shares must be a CrossMatchShare"),
        (lambda: plot_cross_matches({}, 3), TypeError, "plot_cross_matches: bound must be a CrossMatchBound"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'kmix_tf\[plot\]'"):
        plot_ratio_density(1)
