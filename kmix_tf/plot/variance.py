"""What multi-mix saves of the variance of stochastic gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.gradient_variance import GradientVariance
from kmix_tf.plot._axes import axes_or_new, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_variance(
    result: GradientVariance, interpolations: Sequence[int], batch_sizes: Sequence[int], axes: "Axes | None" = None
) -> "Axes":
    """Draws the variance of the gradient against the number of interpolations, one solid line a batch size.

    A dashed line of the same colour is mixup at the same cost, a batch of K B samples: it lies above the solid one
    where B is more than the threshold, which the legend's title names, and under it where B is less. Batches are
    mixed with themselves; for pairs of two loaders, draw `result.of_two_loaders()`.

    Args:
        result: of `kmix_tf.analysis.gradient_variance`.
        interpolations: numbers K, integers >= 1. batch_sizes: numbers of samples B, integers >= 1; at least one each.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. Bands are two standard errors of the solid lines. If v2 is less than two of its standard errors, the
        legend only says what the threshold must be more than.

    Raises:
        ImportError: without Matplotlib. TypeError: for another result. ValueError: for other numbers.

    Source: Multi-mix, Propositions III.1 and III.2; see `GradientVariance` for what differs.

    Example:
        >>> from kmix_tf.analysis.gradient_variance import GradientVariance
        >>> from kmix_tf.plot.variance import plot_variance
        >>> result = GradientVariance(2.0, 1.0, 0.05, 20.0, np.tile([2.0, 1.0, 0.05], (4, 1)))
        >>> axes = plot_variance(result, interpolations=range(1, 9), batch_sizes=[8, 64])
    """
    if not isinstance(result, GradientVariance):
        _checks.refuse("result", "a GradientVariance", result, TypeError)
    counts = np.sort(_integers("interpolations", interpolations))
    sizes = _integers("batch_sizes", batch_sizes)
    axes = axes_or_new(axes)
    for size in sizes:
        variance, error = result.variance(size, counts), result.standard_error(size, counts)
        (line,) = axes.plot(counts, variance, marker="o", markersize=3, label=_label(size, result))
        colour = line.get_color()
        axes.fill_between(counts, variance - 2 * error, variance + 2 * error, color=colour, alpha=0.15, linewidth=0)
        axes.plot(counts, result.variance(size * counts), color=colour, linestyle="--", linewidth=1)
    axes.set(xlabel="interpolations of each pair, K", ylabel="variance of the gradient", yscale="log")
    axes.xaxis.set_major_locator(pyplot().MaxNLocator(integer=True))
    title = f"multi-mix of B samples; dashed: mixup of K B samples\n{_threshold(result)}"
    axes.legend(title=title, frameon=False, fontsize=8, title_fontsize=8)
    return axes


def _label(size: int, result: GradientVariance) -> str:
    if not _is_told(result):
        return f"B = {size}"
    side = ("below", "at", "above")[1 + int(np.sign(size - result.threshold))]
    return f"B = {size}, {side} threshold"


def _is_told(result: GradientVariance) -> bool:
    """Whether v2 is more than two standard errors above 0: if not, its threshold says nothing."""
    return bool(result.v2 > 2 * result.standard_error()[2])


def _threshold(result: GradientVariance) -> str:
    if _is_told(result):
        of_pairs = "(V1 + 2 H)" if result.h else "V1"
        return f"threshold: B = {of_pairs} / V2 = {_number(result.threshold)}"
    most = max(result.v2, 0) + 2 * result.standard_error()[2]
    return (
        f"threshold: more than {_number((result.v1 + 2 * result.h) / most)}" if most else "threshold: none, V2 is 0"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _integers(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu" or values.min() < 1:
        _checks.refuse(name, "integers >= 1, at least one", values.tolist())
    return values
