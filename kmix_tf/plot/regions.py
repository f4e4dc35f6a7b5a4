"""Decision regions of a classifier of points in the plane."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import as_numbers, require_finite
from kmix_tf.plot._axes import axes_or_new
from kmix_tf.plot._points import in_plane, labels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_decision_regions(
    predict: Callable[[np.ndarray], Any], x: Any, y: Any, resolution: int = 150, axes: "Axes | None" = None
) -> "Axes":
    """Draws the probability of class 1 over the plane, the boundary where it is 1/2, and the data.

    Args:
        predict: takes float32 points `(n, 2)`, returns the probability of class 1, `(n,)` or `(n, 1)`, finite.
        x: `(n, 2)`, finite, n >= 1. y: `(n,)`, 0 or 1: one probability tells two classes apart, and no more.
        resolution: points along each side, an integer >= 2.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. TypeError: if predict cannot be called. ValueError: for other arguments.

    Source: k-mixup, Figure 1.

    Example:
        >>> axes = plot_decision_regions(lambda points: points[:, 0] > 0, [[-1, 0], [1, 0]], [0, 1], resolution=9)
    """
    predict = _checks.function("predict", predict)
    x = in_plane("x", x)
    is_one = _is_one(y, len(x))
    resolution = _checks.integer("resolution", resolution, minimum=2)
    margin = 0.1 * np.ptp(x, axis=0)
    # Data without extent stand in the middle of a plane of size 1.
    margin[margin == 0] = 0.5
    (left, low), (right, high) = x.min(axis=0) - margin, x.max(axis=0) + margin
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    probability = _answer(predict, np.stack([across.ravel(), up.ravel()], axis=1)).reshape(across.shape)
    axes = axes_or_new(axes)
    axes.imshow(
        probability, origin="lower", extent=(left, right, low, high), aspect="auto", cmap="RdBu_r", vmin=0, vmax=1
    )
    axes.contour(across, up, probability, levels=[0.5], colors="black", linewidths=1)
    for which, colour in ((~is_one, "#c6dbef"), (is_one, "#fcbba1")):
        axes.scatter(x[which, 0], x[which, 1], color=colour, s=12, edgecolors="black", linewidths=0.4)
    axes.set(xticks=[], yticks=[])
    return axes


def _is_one(y: Any, count: int) -> np.ndarray:
    """Which samples are of class 1, `(n,)`."""
    y = labels_of(y, count)
    if not np.isin(y, (0, 1)).all():
        raise _checks.problem(
            f"y must be 0 or 1, since one probability tells two classes apart. Received: y of the values "
            f"{np.unique(y)[:5].tolist()}. For one class against the others take y == c, and a predict that gives "
            "its probability."
        )
    return y == 1


def _answer(predict: Callable, points: np.ndarray) -> np.ndarray:
    """The probability at each point, `(m,)`."""
    answer = as_numbers("what predict returns", predict(points.astype(np.float32)))
    if answer.shape not in ((len(points),), (len(points), 1)):
        raise _checks.problem(
            f"predict must return the probability of class 1, ({len(points)},) for as many points. "
            f"Received: shape {answer.shape}. Of a column for each class take [:, 1]."
        )
    require_finite("what predict returns", answer)
    return answer.reshape(-1)
