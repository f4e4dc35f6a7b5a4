"""What Local Mixup asks a model to answer, for several numbers of neighbours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks, _extras
from kmix_tf.analysis.interpolant import local_mixup_interpolant
from kmix_tf.maths.samples import as_list, as_numbers
from kmix_tf.plot._axes import axes_or_new, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_interpolants(y: Any, neighbors: int | Sequence[int], axes: "Axes | None" = None) -> "Axes":
    """Draws data on a circle, unrolled, and the minimiser of Local Mixup's loss for each number of neighbours.

    Args:
        y: numbers `(n,)`, finite, as `kmix_tf.analysis.local_mixup_interpolant` takes them.
        neighbors: integers >= 1, one line each, the darker the more; or one integer.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: for other arguments.

    Source: Local Mixup, eqs. (4) and (5).

    Example:
        >>> axes = plot_interpolants(np.sin(np.arange(20.0)), [1, 2, 8])
    """
    y = as_numbers("y", y)
    if y.ndim != 1 or y.size == 0 or not np.isfinite(y).all():
        _checks.refuse("y", "finite numbers (n,), n >= 1", y)
    several = as_list(neighbors)
    if not several:
        _checks.refuse("neighbors", "at least one integer", neighbors)
    with _checks.speaking_as("plot_interpolants"):
        curves = [local_mixup_interpolant(y, count) for count in several]
    axes = axes_or_new(axes)
    colours = pyplot().get_cmap("viridis_r")(np.linspace(0.15, 1, len(several)))
    for count, curve, colour in zip(several, curves, colours, strict=True):
        label = f"{count} neighbour" + "s" * (count > 1)
        axes.plot(curve, color=colour, linewidth=1.5, label=label)
    axes.scatter(np.arange(len(y)), y, s=14, color="black", zorder=3, label="data")
    axes.axhline(y.mean(), color="0.6", linestyle="--", linewidth=1, label="mean")
    axes.set(xlabel="point", ylabel="value")
    axes.xaxis.set_major_locator(
        _extras.require("matplotlib.ticker", "plot", "kmix_tf.plot").MaxNLocator(integer=True)
    )
    axes.legend(frameon=False, fontsize=8)
    return axes
