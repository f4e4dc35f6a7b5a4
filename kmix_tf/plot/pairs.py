"""Pairs and what becomes of them: couplings of points, and rows of images."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import as_numbers, require_finite
from kmix_tf.plot._axes import axes_or_new
from kmix_tf.plot._points import in_plane, labels_of, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@_checks.speaks
def plot_coupling(x: Any, partner: Any, mixed: Any, y: Any = None, axes: "Axes | None" = None) -> "Axes":
    """Draws points in the plane, a line from each to its partner, and the mixtures on the lines.

    Args:
        x: `(n, 2)`, finite, n >= 1. partner: `(n,)`, rows of x. mixed: `(n, 2)`, finite.
        y: `(n,)`, finite numbers, such as integer classes, on a scale of colours; or None.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: for other arguments.

    Source: k-mixup, Figure 2.

    Example:
        >>> axes = plot_coupling([[0, 0], [1, 1]], [1, 0], [[0.3, 0.3], [0.7, 0.7]])
    """
    x, mixed = in_plane("x", x), in_plane("mixed", mixed)
    if len(mixed) != len(x):
        raise _checks.problem(f"mixed must be {x.shape}, as x is. Received: mixed of shape {mixed.shape}.")
    partner = rows_of("partner", partner, len(x), len(x))
    colours: dict[str, Any] = {} if y is None else {"c": labels_of(y, len(x)), "cmap": "tab10"}
    axes = axes_or_new(axes)
    ends = np.stack([x, x[partner]], axis=1)
    for start, end in ends:
        axes.plot(*np.stack([start, end], axis=1), color="0.75", linewidth=0.6, zorder=1)
    axes.scatter(x[:, 0], x[:, 1], s=12, zorder=2, **colours)
    axes.scatter(mixed[:, 0], mixed[:, 1], s=8, color="black", marker="x", linewidths=0.7, zorder=3)
    axes.set(xticks=[], yticks=[])
    return axes


@_checks.speaks
def plot_image_pairs(images: Any, partner: Any, mixed: Any, axes: "Axes | None" = None) -> "Axes":
    """Draws three rows of images: samples, their partners, and the mixtures.

    Args:
        images: `(n, height, width)` or `(n, height, width, channels)` with 1 or 3 channels, any range.
        partner: `(m,)`, rows of images. mixed: `(m, ...)`, mixtures of the first m images; 1 <= m <= n. All finite.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: for other arguments.

    Source: k-mixup, Section 2.

    Example:
        >>> images = np.random.default_rng(0).random((4, 8, 8))
        >>> axes = plot_image_pairs(images, [1, 0], images[:2])
    """
    images, mixed = as_numbers("images", images), as_numbers("mixed", mixed)
    images, mixed = (batch[..., np.newaxis] if batch.ndim == 3 else batch for batch in (images, mixed))
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[1:] != mixed.shape[1:]:
        raise _checks.problem(
            f"images must be (n, height, width), or with 1 or 3 channels, and mixed alike. "
            f"Received: images of shape {images.shape} and mixed of shape {mixed.shape}."
        )
    if not mixed.size or len(mixed) > len(images):
        raise _checks.problem(
            f"mixed must be of 1 to {len(images)} images, as many as there are at most. "
            f"Received: mixed of shape {mixed.shape}."
        )
    for name, batch in (("images", images), ("mixed", mixed)):
        require_finite(name, batch)
    partner = rows_of("partner", partner, len(mixed), len(images))
    axes = axes_or_new(axes)
    sheet = _sheet([images[: len(mixed)], images[partner], mixed], images.min(), images.max())
    axes.imshow(sheet.squeeze(), cmap="gray_r", vmin=0, vmax=1)
    height = images.shape[1] + 2
    axes.set_yticks([height * (i + 0.5) for i in range(3)], ["sample", "partner", "mixture"])
    axes.set_xticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def _sheet(rows: list[np.ndarray], low: float, high: float) -> np.ndarray:
    """Rows of images as one, each with a border, from 0 for low to 1 for high; the border of grey images is NaN."""
    padded = [np.pad(row, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=np.nan) for row in rows]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in padded], axis=0)
    sheet = np.clip((sheet - low) / (high - low if high > low else 1), 0, 1)
    return np.nan_to_num(sheet, nan=1.0) if sheet.shape[-1] == 3 else sheet
