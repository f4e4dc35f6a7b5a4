"""Histograms of confidence."""

from typing import TYPE_CHECKING, Any

from kmix_tf import _checks
from kmix_tf.analysis import ConfidenceHistogram, confidence_histogram
from kmix_tf.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_confidence(y: Any, probabilities: dict[str, Any], bins: int = 10, axes: "Axes | None" = None) -> "Axes":
    """Draws how confident models are: the share of their predictions in each bin of confidence, one outline a model.

    Args:
        y, probabilities, bins: as in `plot_reliability`.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. What is filled is the share of predictions that are wrong. A dashed line stands at a model's mean
        confidence and a dotted one at its accuracy: confidence is right on average where they meet.

    Raises:
        ImportError: without Matplotlib. TypeError: unless probabilities are a dict of one model at least. ValueError:
            as `kmix_tf.analysis.confidence_histogram`.

    Source: On Mixup Regularization, Figures 7 and 9; the lines after Guo et al. 2017, Figure 1.

    Example:
        >>> axes = plot_confidence([0, 1], {"a model": [[0.9, 0.1], [0.35, 0.65]]})
    """
    if not isinstance(probabilities, dict) or not probabilities:
        rule = "a dict of (n, classes) by name, of one model at least"
        _checks.refuse("probabilities", rule, probabilities, TypeError)
    histograms = {name: confidence_histogram(y, predicted, bins) for name, predicted in probabilities.items()}
    axes = axes_or_new(axes)
    for name, histogram in histograms.items():
        _draw(axes, name, histogram)
    axes.set(xlabel="confidence", ylabel="share of predictions", xlim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left", fontsize=8, title="filled: wrong", title_fontsize=8)
    return axes


def _draw(axes: "Axes", name: str, histogram: ConfidenceHistogram) -> None:
    outline = axes.stairs(histogram.right + histogram.wrong, histogram.edges, label=name, linewidth=1.5)
    colour = outline.get_edgecolor()
    axes.stairs(histogram.wrong, histogram.edges, fill=True, color=colour, alpha=0.4)
    axes.axvline(histogram.mean_confidence, color=colour, linestyle="--", linewidth=1)
    axes.axvline(histogram.accuracy, color=colour, linestyle=":", linewidth=1.5)
