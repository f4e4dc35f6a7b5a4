"""The data that mixup trains on: its vicinal distribution, drawn from."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.layers import KMixupLayer
from kmix_tf.maths.samples import samples_of
from kmix_tf.plot._axes import axes_or_new, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_vicinal(
    x: Any, y: Any, k: int, alpha: float = 1.0, samples: int = 512, seed: int = 0, axes: "Axes | None" = None
) -> "Axes":
    """Draws mixtures that k-mixup makes of points in the plane, coloured by their mixed labels.

    Where mixtures leave the data, or take one class's colour into another's place, a model is taught what the data do
    not say; where they bridge a gap, how to behave in it.

    Args:
        x: `(n, 2)`, finite, n >= 2 k.
        y: integer classes `(n,)` below 16,384, or soft labels `(n, classes)`: each class has a colour, and mixtures
            are between; or floats `(n,)`, regression targets, on a scale of colours.
        k: an integer >= 1. 1 is plain mixup.
        alpha: ratios are drawn from Beta(alpha, alpha), one for each mixture; finite and >= 0.
        samples: how many mixtures, an integer >= 1.
        seed: an integer >= 0.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. The data are small and grey, below.

    Raises:
        ImportError: without Matplotlib. ValueError: for other arguments.

    Source: k-mixup, Figure 2, bottom.

    Example:
        >>> from kmix_tf.plot import plot_vicinal
        >>> points = np.random.default_rng(0).normal(size=(40, 2))
        >>> axes = plot_vicinal(points, points[:, 0] > 0, k=8, samples=100)
    """
    x, y = samples_of(x, y)
    k = _checks.integer("k", k, minimum=1)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) < 2 * k:
        raise _checks.problem(f"x must be (n, 2), n >= 2 k = {2 * k}. Received: x of shape {x.shape}.")
    if y.ndim > 2:
        raise _checks.problem(f"y must be (n,) or (n, classes). Received: y of shape {y.shape}.")
    samples = _checks.integer("samples", samples, minimum=1)
    seed = _checks.integer("seed", seed, minimum=0)
    alpha = _checks.number("alpha", alpha)
    layer = KMixupLayer(k, alpha, scope="sample")
    mixed, labels = _vicinal(layer, x, y, samples, seed)
    axes = axes_or_new(axes)
    axes.scatter(x[:, 0], x[:, 1], s=4, color="0.8", zorder=1)
    axes.scatter(mixed[:, 0], mixed[:, 1], s=9, c=_colours(labels), linewidths=0, zorder=2)
    axes.set(xticks=[], yticks=[], title=f"k = {k}, alpha = {alpha:g}")
    return axes


def _vicinal(layer: KMixupLayer, x: np.ndarray, y: np.ndarray, samples: int, seed: int) -> tuple:
    """Mixtures of all samples, as often as it takes, of which as many as are asked for are picked at random."""
    rounds = [layer(x, y, seed=(seed, i)) for i in range(-(-samples // len(x)))]
    mixed, labels = (np.concatenate([np.asarray(part) for part in parts]) for parts in zip(*rounds, strict=True))
    chosen = np.random.default_rng(seed).choice(len(mixed), samples, replace=False)
    return mixed[chosen], labels[chosen]


def _colours(labels: np.ndarray) -> np.ndarray:
    """Of classes, the mean of their colours, weighted by shares; of numbers, where they are in their range."""
    if labels.ndim == 1:
        span = np.ptp(labels) or 1.0
        return pyplot().get_cmap("viridis")((labels - labels.min()) / span)
    classes = labels.shape[1]
    palette = pyplot().get_cmap("tab10" if classes <= 10 else "turbo")
    colours = palette(np.arange(classes) if classes <= 10 else np.linspace(0, 1, classes))[:, :3]
    shares = np.clip(labels, 0, None)
    return np.clip(shares @ colours / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12), 0, 1)
