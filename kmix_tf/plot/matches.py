"""Who is matched with whom: a sample's likely partners, and how many matches cross from class to class."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.crossing import CrossMatchBound, CrossMatchShare
from kmix_tf.analysis.matching_distribution import flat_samples, matching_distribution
from kmix_tf.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Square points that all partners share, so that few likely ones are as clear as many unlikely ones are light.
_AREA = 4000


@_checks.speaks
def plot_matching_distribution(
    x: Any,
    index: int,
    k: int,
    trials: int | None = 10_000,
    seed: int = 0,
    disjoint: bool = True,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draws points in the plane, each the larger and darker the likelier it is the marked sample's partner.

    Args:
        x: `(n, 2)`. index, k, trials, seed, disjoint: as in `kmix_tf.analysis.matching_distribution`.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. The sample is the star; points that are never its partner are grey. Areas and colours
        show the probabilities, and the colour bar says which.

    Raises:
        ImportError: without Matplotlib. ValueError, TypeError: if x is not `(n, 2)`, and as `matching_distribution`.

    Source: k-mixup, Figure 3.

    Example:
        >>> from kmix_tf.plot import plot_matching_distribution
        >>> points = np.random.default_rng(0).normal(size=(40, 2))
        >>> axes = plot_matching_distribution(points, index=0, k=8, trials=200)
    """
    if len(np.shape(x)) != 2 or np.shape(x)[1] != 2:
        raise _checks.problem(f"x must be (n, 2). Received: x of shape {np.shape(x)}.")
    x, k = flat_samples(x, k, _checks.flag("disjoint", disjoint))
    found = matching_distribution(x, index, k, trials, seed, disjoint)
    axes = axes_or_new(axes)
    # The likeliest last, on top.
    partners = found.indices[::-1]
    probabilities = found.probabilities[partners]
    axes.scatter(x[:, 0], x[:, 1], s=4, color="0.75", linewidths=0, zorder=1)
    areas = np.clip(_AREA * probabilities, 3, 90)
    looks: dict[str, Any] = {"cmap": "viridis_r", "vmin": 0, "edgecolors": "0.35", "linewidths": 0.2, "zorder": 2}
    drawn = axes.scatter(x[partners, 0], x[partners, 1], s=areas, c=probabilities, **looks)
    star: dict[str, Any] = {"marker": "*", "color": "red", "edgecolors": "white", "linewidths": 0.8, "zorder": 3}
    axes.scatter(x[index, 0], x[index, 1], s=150, **star)
    axes.figure.colorbar(drawn, ax=axes, label="probability")
    axes.set(xticks=[], yticks=[], title=f"k = {k}")
    return axes


@_checks.speaks
def plot_cross_matches(shares: Any, bound: CrossMatchBound | None = None, axes: "Axes | None" = None) -> "Axes":
    """Draws the share of matches that join different classes or clusters against k, and what clusters far apart have.

    Args:
        shares: a `CrossMatchShare` of several k, or a dict of them by name.
        bound: a `CrossMatchBound` of several k, or None: a band from least to most.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. Bars are two standard errors to either side.

    Raises:
        ImportError: without Matplotlib. TypeError: for other arguments.

    Source: k-mixup, Section 3.2, Theorem 3.4.

    Example:
        >>> from kmix_tf.analysis import cross_match_bound, cross_match_share
        >>> from kmix_tf.plot import plot_cross_matches
        >>> x, labels = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
        >>> axes = plot_cross_matches(cross_match_share(x, labels, [1, 4]), cross_match_bound([20, 20], [1, 4]))
    """
    named = shares if isinstance(shares, dict) else {"share": shares}
    for value in named.values():
        if not isinstance(value, CrossMatchShare):
            _checks.refuse("shares", "a CrossMatchShare or a dict of them", shares, TypeError)
    if bound is not None and not isinstance(bound, CrossMatchBound):
        _checks.refuse("bound", "a CrossMatchBound", bound, TypeError)
    axes = axes_or_new(axes)
    ticks = set()
    if bound is not None:
        k, least, most = (np.atleast_1d(column)[np.argsort(np.atleast_1d(bound.k))] for column in bound[:3])
        axes.fill_between(k, least, most, color="0.88", linewidth=0, label="least to most, clusters far apart")
        axes.plot(k, least, color="0.45", linestyle="--", linewidth=1, label="least possible")
        ticks |= set(k.tolist())
    for name, found in named.items():
        k, share, error = (np.atleast_1d(column)[np.argsort(np.atleast_1d(found.k))] for column in found)
        axes.errorbar(k, share, 2 * error, marker="o", markersize=4, linewidth=1.5, capsize=2, label=name)
        ticks |= set(k.tolist())
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(ticks), [str(tick) for tick in sorted(ticks)])
    axes.minorticks_off()
    axes.set(xlabel="k", ylabel="share of matches across")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, framealpha=0.85, edgecolor="none")
    return axes
