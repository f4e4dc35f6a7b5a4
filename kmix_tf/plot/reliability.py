"""Reliability diagrams."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis import reliability_curve
from kmix_tf.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_reliability(y: Any, probabilities: dict[str, Any], bins: int = 10, axes: "Axes | None" = None) -> "Axes":
    """Draws accuracy against confidence, one line a model; on the diagonal, confidence is right.

    Args:
        y: integer classes `(n,)` or one-hot `(n, classes)`.
        probabilities: by name, `(n, classes)` each.
        bins: an integer >= 1.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. Bins with fewer than 5 samples are left out; a marker's area grows with its bin's share of samples.

    Raises:
        ImportError: without Matplotlib. TypeError: unless probabilities are a dict of one model at least. ValueError:
            as `kmix_tf.analysis.reliability_curve`.

    Source: On Mixup Regularization, Figure 4 (calibration), after Guo et al. 2017.

    Example:
        >>> axes = plot_reliability([0, 1], {"a model": [[0.9, 0.1], [0.35, 0.65]]})
    """
    if not isinstance(probabilities, dict) or not probabilities:
        rule = "a dict of (n, classes) by name, of one model at least"
        _checks.refuse("probabilities", rule, probabilities, TypeError)
    with _checks.speaking_as("plot_reliability"):
        curves = {name: reliability_curve(y, predicted, bins) for name, predicted in probabilities.items()}
    axes = axes_or_new(axes)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for name, curve in curves.items():
        shown = curve.count >= min(5, curve.count.max())
        (line,) = axes.plot(curve.confidence[shown], curve.accuracy[shown], linewidth=1.5, label=name)
        areas = 300 * curve.count[shown] / curve.count.sum() + 4
        axes.scatter(curve.confidence[shown], curve.accuracy[shown], s=areas, color=line.get_color(), alpha=0.7)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return axes
