import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from kmix_tf.analysis.gradient_variance import GradientVariance
from kmix_tf.plot.variance import plot_variance

RESULT = GradientVariance(4.0, 2.0, 0.1, 20.0, np.array([[4.5, 2.1, 0.12], [3.5, 1.9, 0.08]]))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_a_solid_line_is_multi_mix_and_a_dashed_one_mixup_at_its_cost():
    axes = plot_variance(RESULT, [3, 1, 2], [8, 64])
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--", "-", "--"]
    for size, solid, dashed in zip((8, 64), axes.lines[::2], axes.lines[1::2], strict=True):
        assert solid.get_color() == dashed.get_color()
        for k, multi, mixup in zip((1, 2, 3), solid.get_ydata(), dashed.get_ydata(), strict=True):
            assert multi == pytest.approx(2 / size + (2 / size + (size - 1) / size * 0.1) / k)
            assert mixup == pytest.approx(4 / (k * size) + (1 - 1 / (k * size)) * 0.1)
        assert solid.get_xdata().tolist() == [1, 2, 3]
    assert len(axes.collections) == 2, "a band of standard errors each"


def test_the_threshold_stands_in_the_legend_and_says_who_is_on_which_side():
    legend = plot_variance(RESULT, range(1, 4), [8, 20, 64]).get_legend()
    assert "V1 / V2 = 20" in legend.get_title().get_text()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["B = 8, below threshold", "B = 20, at threshold", "B = 64, above threshold"]


def test_samples_that_are_in_two_pairs_raise_the_lines_and_the_threshold():
    estimates = np.array([[4.5, 2.1, 0.12, 0.3, 0.6], [3.5, 1.9, 0.08, 0.1, 0.4]])
    result = GradientVariance(4.0, 2.0, 0.1, 30.0, estimates, c=0.2, h=0.5)
    axes = plot_variance(result, [1, 2], [8, 64])
    assert "(V1 + 2 H) / V2 = 30" in axes.get_legend().get_title().get_text()
    solid, dashed = (line.get_ydata() for line in axes.lines[:2])
    independent = plot_variance(result.of_two_loaders(), [1, 2], [8, 64]).lines
    assert solid - independent[0].get_ydata() == pytest.approx([2 / 8 * 0.2, 2 / 8 * (0.2 / 2 + 0.5 / 2)])
    assert dashed - independent[1].get_ydata() == pytest.approx([2 / 8 * 0.2, 2 / 16 * 0.2])
    # Two standard errors of v2 are 0.04.
    weak = plot_variance(result._replace(v2=0.03), [1, 2], [8]).get_legend()
    assert "threshold: more than 43" in weak.get_title().get_text()


def test_a_threshold_that_noise_may_have_made_is_not_shown_as_one():
    # Two standard errors of v2 are 0.04.
    weak = plot_variance(RESULT._replace(v2=0.03, threshold=2 / 0.03), [1, 2], [8]).get_legend()
    assert "threshold: more than 29" in weak.get_title().get_text()
    assert [text.get_text() for text in weak.get_texts()] == ["B = 8"]
    without_mixing = GradientVariance(2.0, 2.0, 0.0, np.inf, np.tile([2.0, 2.0, 0.0], (3, 1)))
    assert "V2 is 0" in plot_variance(without_mixing, [1, 2], [8]).get_legend().get_title().get_text()


def test_it_draws_on_given_axes():
    import matplotlib.pyplot as plt

    axes = plt.figure().add_subplot()
    assert plot_variance(RESULT, [1, 2], [8], axes=axes) is axes


@pytest.mark.parametrize(
    ("result", "interpolations", "sizes", "error", "message"),
    [
        ((1, 2, 3), [1], [8], TypeError, "plot_variance: result must be a GradientVariance"),
        (RESULT, [0], [8], ValueError, "plot_variance: interpolations must be integers >= 1"),
        (RESULT, 3, [8], ValueError, "plot_variance: interpolations must be integers >= 1"),
        (RESULT, [1], [], ValueError, "plot_variance: batch_sizes must be integers >= 1"),
        (RESULT, [1], [0.5], ValueError, "plot_variance: batch_sizes must be integers >= 1"),
    ],
    ids=lambda value: None,
)
def test_other_arguments_are_refused(result, interpolations, sizes, error, message):
    with pytest.raises(error, match=message):
        plot_variance(result, interpolations, sizes)
