"""How much of each: densities of ratios."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import beta

from kmix_tf import _checks
from kmix_tf.maths.samples import as_list
from kmix_tf.plot._axes import axes_or_new, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_ratio_density(alpha: float | Iterable[float], interpolations: int = 1, axes: "Axes | None" = None) -> "Axes":
    """Draws densities of the ratio, a mixture's share of the sample itself, for one alpha or several.

    Args:
        alpha: of Beta(alpha, alpha), finite and >= 0, or several such. 0 means no mixing: a line at 1.
        interpolations: an integer >= 1. With several, as in multi-mix, a curve for each of the ordered ratios; the
            first is the one of the mixture nearest to the sample.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. Densities that are infinite at 0 and 1, as for alpha < 1, leave the picture at the top.

    Raises:
        ImportError: without Matplotlib. ValueError: for other arguments.

    Source: k-mixup, Section 2; multi-mix, Section III-A for the ordered ratios.

    Example:
        >>> from kmix_tf.plot import plot_ratio_density
        >>> axes = plot_ratio_density([0.2, 1, 8])
        >>> axes = plot_ratio_density(1, interpolations=5)
    """
    given = as_list(alpha)
    if not given:
        _checks.refuse("alpha", "a number >= 0, or several", alpha)
    alphas = [_checks.number("alpha", value) for value in given]
    count = _checks.integer("interpolations", interpolations, minimum=1)
    axes = axes_or_new(axes)
    tops = []
    for row, value in enumerate(alphas):
        for order in range(1, count + 1):
            colour = f"C{row}" if len(alphas) > 1 or count == 1 else _shade(order, count)
            name = _name(value, order, count, len(alphas))
            if value == 0:
                axes.axvline(1, color=colour, label=name)
                continue
            ratios = _grid(value)
            density = _ordered_density(ratios, value, order, count)
            axes.plot(ratios, density, color=colour, linewidth=1.5, label=name)
            # Where a density is infinite at an end, what lies further in decides on the scale.
            tops.append(density[(ratios > 0.03) & (ratios < 0.97)].max())
    axes.set(xlabel="ratio: share of the sample itself", ylabel="density", xlim=(-0.02, 1.02))
    axes.set_ylim(0, 1.15 * max(tops, default=1))
    axes.legend(fontsize=8, framealpha=0.85, edgecolor="none")
    return axes


def _ordered_density(ratios: np.ndarray, alpha: float, order: int, count: int) -> np.ndarray:
    """The density of the order-th largest of `count` independent ratios, itself a Beta density of the cdf."""
    return beta.pdf(beta.cdf(ratios, alpha, alpha), count + 1 - order, order) * beta.pdf(ratios, alpha, alpha)


def _grid(alpha: float) -> np.ndarray:
    """Ratios strictly inside (0, 1), evenly spaced and, for thin peaks, evenly in probability."""
    spaced = np.linspace(1e-3, 1 - 1e-3, 500)
    quantiles = beta.ppf(np.linspace(1e-6, 1 - 1e-6, 500), alpha, alpha)
    return np.unique(np.concatenate([spaced, quantiles[(quantiles > 1e-3) & (quantiles < 1 - 1e-3)]]))


def _name(alpha: float, order: int, count: int, alphas: int) -> str | None:
    if count == 1:
        return f"alpha = {alpha:g}"
    if alphas > 1:
        return f"alpha = {alpha:g}, {count} ordered" if order == 1 else None
    return f"mixture {order} of {count}, alpha = {alpha:g}"


def _shade(order: int, count: int) -> Any:
    return pyplot().get_cmap("viridis")((order - 1) / max(count - 1, 1) * 0.9)
