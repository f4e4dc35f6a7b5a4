"""What plots of points, pairs and models refuse, rather than draw less than they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from kmix_tf import plot

X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.array([0, 1, 1, 0, 1, 1])
IMAGES = np.random.default_rng(0).random((4, 5, 6))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def half(points):
    return points[:, 0] > 0


def regions(**change):
    return plot.plot_decision_regions(**{"predict": half, "x": X, "y": Y, "resolution": 5, **change})


def coupling(**change):
    return plot.plot_coupling(**{"x": X, "partner": np.arange(6)[::-1], "mixed": X / 2, "y": Y, **change})


def pairs(**change):
    return plot.plot_image_pairs(**{"images": IMAGES, "partner": [1, 0], "mixed": IMAGES[:2], **change})


@pytest.mark.parametrize(
    "y", [Y, Y == 1, Y.astype(float), Y.tolist()], ids=["integers", "booleans", "floats", "list"]
)
def test_decision_regions_draw_each_point_in_its_classes_colour(y):
    drawn = {tuple(dots.get_facecolor()[0]): np.asarray(dots.get_offsets()) for dots in regions(y=y).collections[1:]}
    zeros, ones = (drawn[matplotlib.colors.to_rgba(colour)] for colour in ("#c6dbef", "#fcbba1"))
    np.testing.assert_array_equal(zeros, X[[0, 3]])
    np.testing.assert_array_equal(ones, X[[1, 2, 4, 5]])


def test_a_column_of_probabilities_is_drawn_as_they_are():
    expected = regions(predict=half).images[0].get_array()
    np.testing.assert_array_equal(regions(predict=lambda p: half(p)[:, np.newaxis]).images[0].get_array(), expected)


def test_points_without_extent_stand_in_the_middle():
    assert regions(x=np.ones((6, 2))).images[0].get_extent() == pytest.approx((0.5, 1.5, 0.5, 1.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array(["a", "b"])[Y]}, "y must be real numbers. .*such as 'a'. Take np.unique"),
        ({"y": np.arange(6) % 3}, r"y must be 0 or 1.*Received: y of the values \[0.0, 1.0, 2.0\]. For one class"),
        ({"y": Y + 1}, r"y must be 0 or 1.*\[1.0, 2.0\]"),
        ({"y": np.eye(2)[Y]}, r"y must be \(6,\), one for each of x. Received: y of shape \(6, 2\)"),
        ({"y": Y[:5]}, r"y must be \(6,\)"),
        ({"y": Y * np.nan}, "y must be finite"),
        ({"x": np.zeros((0, 2)), "y": []}, r"x must be \(n, 2\), n >= 1. Received: x of shape \(0, 2\)"),
        ({"x": X * np.inf}, "x must be finite"),
        ({"resolution": 1}, "resolution must be an integer >= 2"),
        ({"predict": lambda points: points}, r"predict must return .* \(25,\).*Received: shape \(25, 2\). Of a col"),
        ({"predict": lambda points: points[:3, 0]}, r"predict must return .*Received: shape \(3,\)"),
        ({"predict": lambda points: points[:, 0] * np.nan}, "what predict returns must be finite"),
    ],
)
def test_decision_regions_refuse_what_they_would_not_draw(change, message):
    with pytest.raises(ValueError, match=f"plot_decision_regions: {message}"):
        regions(**change)


def test_only_what_can_be_called_predicts():
    with pytest.raises(TypeError, match=r"plot_decision_regions: predict must be callable. Received: predict=3"):
        regions(predict=3)


@pytest.mark.parametrize(
    ("draw", "change", "message"),
    [
        (coupling, {"partner": np.arange(6) + 1}, r"plot_coupling: partner must be in \[0, 6\). Rec.* from 1 to 6"),
        (coupling, {"partner": -np.arange(6)}, r"plot_coupling: partner must be in \[0, 6\). Rec.* from -5 to 0"),
        (coupling, {"partner": [1, 0]}, r"partner must be \(6,\), integers .* dtype int64 and shape \(2,\)"),
        (coupling, {"partner": np.zeros(6)}, r"partner must be \(6,\), integers .* dtype float64"),
        (coupling, {"mixed": np.zeros((6, 2, 2))}, r"plot_coupling: mixed must be \(n, 2\)"),
        (coupling, {"mixed": X[:5]}, r"plot_coupling: mixed must be \(6, 2\), as x is. Received: .* \(5, 2\)"),
        (coupling, {"mixed": X * np.nan}, "plot_coupling: mixed must be finite"),
        (coupling, {"x": np.zeros((0, 2))}, r"plot_coupling: x must be \(n, 2\), n >= 1"),
        (coupling, {"y": list("abbabb")}, "plot_coupling: y must be real numbers. .*such as 'a'. Take np.unique"),
        (coupling, {"y": Y[:5]}, r"plot_coupling: y must be \(6,\)"),
        (coupling, {"y": Y * np.nan}, "plot_coupling: y must be finite"),
        (pairs, {"partner": [4, 0]}, r"plot_image_pairs: partner must be in \[0, 4\). Received: .* from 0 to 4"),
        (pairs, {"partner": [-1, 0]}, r"plot_image_pairs: partner must be in \[0, 4\). Received: .* from -1 to 0"),
        (pairs, {"partner": [0]}, r"plot_image_pairs: partner must be \(2,\), integers"),
        (pairs, {"partner": [0] * 5, "mixed": IMAGES[[0] * 5]}, "plot_image_pairs: mixed must be of 1 to 4 images"),
        (pairs, {"partner": [], "mixed": IMAGES[:0]}, "plot_image_pairs: mixed must be of 1 to 4 images"),
        (pairs, {"images": IMAGES * np.nan}, "plot_image_pairs: images must be finite"),
        (pairs, {"images": "a"}, "plot_image_pairs: images must be real numbers"),
    ],
)
def test_pairs_refuse_what_they_would_not_draw(draw, change, message):
    draw()
    with pytest.raises(ValueError, match=message):
        draw(**change)


@pytest.mark.parametrize("probabilities", [np.full((6, 2), 0.5), {}], ids=["an array", "none"])
def test_models_of_a_reliability_diagram_have_names(probabilities):
    with pytest.raises(TypeError, match=r"plot_reliability: probabilities must be a dict of \(n, classes\) by name"):
        plot.plot_reliability(Y, probabilities)
