"""What ways to read a model's answers are worth."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.models.calibrating.comparing import Comparison
from kmix_tf.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "plain": "0.45",
    "theta": "tab:purple",
    "rescaled": "tab:blue",
    "temperature": "tab:orange",
    "both": "tab:green",
}


@_checks.speaks
def plot_comparison(comparison: Any, axes: "Axes | None" = None) -> "Axes":
    """Draws how true the confidences of each way to read a model's answers are: accuracy against confidence.

    Args:
        comparison: a `Comparison` of classes or labels, as `RescaledModel.evaluate_both` gives it; of several
            outputs, that of one.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. The legend has the calibration error of each way and, in brackets, its noise floor; the recommended
        one is drawn thickest. Bins with fewer than 5 samples are left out.

    Raises:
        ImportError: without Matplotlib. TypeError: for anything else. ValueError: for regression, which has no
            confidences.

    Source: On Mixup Regularization, Figure 4 (calibration); Guo et al. 2017.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(80, 3)).astype("f4"), np.arange(80) % 2
        >>> rescaled = RescaledModel(keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]), 1.0)
        >>> rescaled.adapt(x[:40], y[:40])
        >>> axes = plot_comparison(rescaled.evaluate_both(x[40:], y[40:]))
    """
    if not isinstance(comparison, Comparison):
        _checks.refuse("comparison", "a Comparison, of one output", comparison, TypeError)
    if not comparison.curves:
        raise _checks.problem("comparison must be of classes or labels. Received: one of regression.")
    axes = axes_or_new(axes)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    least = 1.0
    for name, scores in comparison.scores().items():
        curve = comparison.curves[name]
        shown = curve.count >= min(5, curve.count.max())
        is_taken = name == comparison.recommended
        label = f"{name}: {_percent(scores.calibration_error)} ({_percent(scores.calibration_floor)})"
        axes.plot(
            curve.confidence[shown], curve.accuracy[shown], color=_COLOURS[name], marker="o", markersize=3.5,
            linewidth=3 if is_taken else 1.2, zorder=3 if is_taken else 2, label=label + (" *" if is_taken else ""),
        )  # fmt: skip
        least = min(least, curve.confidence[shown].min(), curve.accuracy[shown].min())
    low = np.floor(10 * least) / 10
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(low, 1.02), ylim=(low, 1.02))
    axes.legend(
        frameon=False, fontsize=8, title="calibration error (its noise floor), %\n* recommended", title_fontsize=8
    )
    return axes


def _percent(share: Any) -> str:
    return f"{100 * share:.1f}"
