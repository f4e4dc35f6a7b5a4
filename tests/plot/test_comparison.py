"""The figure of a comparison: its lines are the curves, its legend the numbers."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pytest

from kmix_tf.plot import plot_comparison
from tests.models.test_calibrating import drawn, passing


def test_each_way_is_a_line_with_its_numbers():
    comparison = passing().evaluate_both(*drawn(size=1000, sharpness=3.0))
    axes = plot_comparison(comparison)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [label.split(":")[0] for label in labels] == list(comparison.scores())
    for label, (name, scores) in zip(labels, comparison.scores().items(), strict=True):
        numbers = f"{100 * scores.calibration_error:.1f} ({100 * scores.calibration_floor:.1f})"
        assert numbers in label
        assert label.endswith("*") == (name == comparison.recommended)
    curve = comparison.curves["plain"]
    shown = curve.count >= 5
    line = axes.get_lines()[1]
    np.testing.assert_allclose(line.get_xdata(), curve.confidence[shown])
    np.testing.assert_allclose(line.get_ydata(), curve.accuracy[shown])
    thick = max(axes.get_lines(), key=lambda each: each.get_linewidth())
    assert thick.get_label().startswith(comparison.recommended)


def test_what_is_no_comparison_of_classes():
    with pytest.raises(TypeError, match="plot_comparison: comparison must be a Comparison, of one output"):
        plot_comparison({"plain": 1})
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("f4")
    with pytest.raises(ValueError, match=r"comparison must be of classes or labels. Received: one of regression"):
        plot_comparison(passing(2, output="regression").evaluate_both(x, x))
