"""Decision regions of a classifier of points in the plane."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kmix_tf.plot._axes import axes_or_new


def plot_decision_regions(
    predict: Callable[[np.ndarray], Any], x: Any, y: Any, resolution: int = 150, axes: Any = None
) -> Any:
    """Draws the probability of class 1 over the plane, the boundary where it is 1/2, and the data.

    Args:
        predict: takes float32 points `(n, 2)`, returns the probability of class 1, `(n,)`.
        x: `(n, 2)`. y: `(n,)`, 0 or 1.
        resolution: points along each side, >= 2.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: if x is not `(n, 2)`.

    Source: k-mixup, Figure 1.

    Example:
        >>> axes = plot_decision_regions(lambda points: points[:, 0] > 0, [[-1, 0], [1, 0]], [0, 1], resolution=9)
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"plot_decision_regions: x must be (n, 2). Received: x of shape {x.shape}.")
    axes = axes_or_new(axes)
    margin = 0.1 * (x.max(axis=0) - x.min(axis=0))
    (left, low), (right, high) = x.min(axis=0) - margin, x.max(axis=0) + margin
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    points = np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)
    probability = np.asarray(predict(points), dtype=float).reshape(across.shape)
    axes.imshow(
        probability, origin="lower", extent=(left, right, low, high), aspect="auto", cmap="RdBu_r", vmin=0, vmax=1
    )
    axes.contour(across, up, probability, levels=[0.5], colors="black", linewidths=1)
    for label, colour in ((0, "#c6dbef"), (1, "#fcbba1")):
        axes.scatter(*x[y == label].T, color=colour, s=12, edgecolors="black", linewidths=0.4)
    axes.set(xticks=[], yticks=[])
    return axes
