import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from kmix_tf.analysis.interpolant import local_mixup_interpolant
from kmix_tf.analysis.locality import distance_profile
from kmix_tf.plot.distances import plot_distances
from kmix_tf.plot.interpolants import plot_interpolants

Y = np.random.default_rng(0).normal(size=12)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_interpolants_are_drawn_one_line_for_each_number_of_neighbours():
    axes = plot_interpolants(Y, [1, 3, 20])
    for line, neighbors in zip(axes.lines, (1, 3, 20), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), local_mixup_interpolant(Y, neighbors))
    assert len(
        {line.get_color() if isinstance(line.get_color(), str) else tuple(line.get_color()) for line in axes.lines}
    )
    assert axes.lines[3].get_ydata() == pytest.approx([Y.mean()] * 2)
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([np.arange(12), Y], axis=1))
    assert legend(axes) == ["1 neighbour", "3 neighbours", "20 neighbours", "data", "mean"]
    axes.figure.canvas.draw()


def test_one_number_of_neighbours_will_do_and_axes_may_be_given():
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    axes.set_xticks([0, 5])
    assert plot_interpolants(list(Y), 2, axes=axes) is axes
    assert len(axes.lines) == 2
    profile = distance_profile(Y, np.arange(12) % 2)
    assert plot_distances(profile, axes=axes) is axes


def test_histograms_of_distances_are_densities_with_the_threshold_marked():
    # Twice as many pairs of two classes as of one, and none of them in the last bins of the other.
    profile = distance_profile(np.random.default_rng(1).normal(size=(60, 3)), np.arange(60) % 3, bins=9)
    axes = plot_distances(profile)
    for patch, counts in zip(axes.patches, (profile.same, profile.other), strict=True):
        values, edges, _ = patch.get_data()
        np.testing.assert_array_equal(edges, profile.edges)
        np.testing.assert_allclose(values / values.sum(), counts / counts.sum())
        assert (values * np.diff(edges)).sum() == pytest.approx(1)
    assert axes.lines[0].get_xdata() == [profile.epsilon] * 2
    share = 100 * float(profile.quantile.removeprefix("quantile:"))
    assert legend(axes) == [
        "same class",
        "different classes",
        f"epsilon = {profile.epsilon:.3g}: {share:.1f}% of pairs",
    ]
    axes.figure.canvas.draw()


def test_classes_of_one_sample_have_an_empty_histogram():
    axes = plot_distances(distance_profile([[0.0], [1.0]], [0, 1], bins=3))
    assert not axes.patches[0].get_data().values.any()
    axes.figure.canvas.draw()


def test_anything_but_a_profile_is_refused():
    with pytest.raises(TypeError, match="plot_distances: profile must be what distance_profile"):
        plot_distances([1.0, 2.0])


@pytest.mark.parametrize(
    ("y", "neighbors", "message"),
    [
        (np.zeros((3, 2)), 1, r"y must be finite numbers \(n,\)"),
        ([], 1, r"y must be finite numbers \(n,\)"),
        ([0.0, np.nan], 1, r"y must be finite numbers \(n,\)"),
        (Y, [], "neighbors must be at least one integer"),
        (Y, [1, 0], "neighbors must be an integer >= 1"),
    ],
)
def test_other_arguments_are_refused(y, neighbors, message):
    with pytest.raises(ValueError, match=f"plot_interpolants: {message}"):
        plot_interpolants(y, neighbors)
