import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from kmix_tf import plot

# Of four predictions of confidence 0.8 three are right; of three of 0.55 one.
PROBABILITIES = np.array([[0.8, 0.2]] * 4 + [[0.55, 0.45]] * 3)
Y = np.array([0, 0, 0, 1, 1, 1, 0])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_outlines_are_all_predictions_and_what_is_filled_is_wrong():
    axes = plot.plot_confidence(Y, {"model": PROBABILITIES}, bins=5)
    outline, filled = axes.patches
    np.testing.assert_allclose(outline.get_data().values, [0, 0, 3 / 7, 4 / 7, 0])
    np.testing.assert_allclose(filled.get_data().values, [0, 0, 2 / 7, 1 / 7, 0])
    assert not outline.get_fill() and filled.get_fill()
    np.testing.assert_allclose(outline.get_data().edges, np.linspace(0, 1, 6))


def test_lines_stand_at_mean_confidence_and_accuracy_in_the_models_colour():
    axes = plot.plot_confidence(Y, {"a": PROBABILITIES, "b": PROBABILITIES[:, ::-1]})
    where = [(line.get_xdata()[0], line.get_linestyle()) for line in axes.lines]
    expected = [(4.85 / 7, "--"), (4 / 7, ":"), (4.85 / 7, "--"), (3 / 7, ":")]
    for (place, style), (other, same) in zip(where, expected, strict=True):
        assert place == pytest.approx(other) and style == same
    colours = [matplotlib.colors.to_rgb(line.get_color()) for line in axes.lines]
    outlines = [matplotlib.colors.to_rgb(patch.get_edgecolor()) for patch in axes.patches[::2]]
    assert colours == [outlines[0]] * 2 + [outlines[1]] * 2 and outlines[0] != outlines[1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_axes_that_are_given_are_drawn_on():
    axes = plt.figure().subplots()
    assert plot.plot_confidence(Y, {"model": PROBABILITIES}, axes=axes) is axes


@pytest.mark.parametrize("probabilities", ({}, PROBABILITIES))
def test_no_models_are_refused(probabilities):
    with pytest.raises(TypeError, match="plot_confidence: probabilities must be a dict of"):
        plot.plot_confidence(Y, probabilities)


def test_wrong_predictions_are_refused_by_the_plots_name():
    with pytest.raises(ValueError, match="plot_confidence: rows of probabilities must be"):
        plot.plot_confidence(Y, {"model": PROBABILITIES * 2})
