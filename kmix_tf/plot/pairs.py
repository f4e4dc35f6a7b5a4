"""Pairs and what becomes of them: couplings of points, and rows of images."""

from typing import Any

import numpy as np

from kmix_tf.plot._axes import axes_or_new


def plot_coupling(x: Any, partner: Any, mixed: Any, y: Any = None, axes: Any = None) -> Any:
    """Draws points in the plane, a line from each to its partner, and the mixtures on the lines.

    Args:
        x: `(n, 2)`. partner: `(n,)`, rows of x. mixed: `(n, 2)`.
        y: `(n,)`, colours of the points, or None.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: if x is not `(n, 2)`.

    Source: k-mixup, Figure 2.

    Example:
        >>> axes = plot_coupling([[0, 0], [1, 1]], [1, 0], [[0.3, 0.3], [0.7, 0.7]])
    """
    x, mixed = np.asarray(x, dtype=float), np.asarray(mixed, dtype=float)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"plot_coupling: x must be (n, 2). Received: x of shape {x.shape}.")
    axes = axes_or_new(axes)
    ends = np.stack([x, x[np.asarray(partner)]], axis=1)
    for start, end in ends:
        axes.plot(*np.stack([start, end], axis=1), color="0.75", linewidth=0.6, zorder=1)
    colours = {} if y is None else {"c": y, "cmap": "tab10"}
    axes.scatter(*x.T, s=12, zorder=2, **colours)
    axes.scatter(*mixed.T, s=8, color="black", marker="x", linewidths=0.7, zorder=3)
    axes.set(xticks=[], yticks=[])
    return axes


def plot_image_pairs(images: Any, partner: Any, mixed: Any, axes: Any = None) -> Any:
    """Draws three rows of images: samples, their partners, and the mixtures.

    Args:
        images: `(n, height, width)` or `(n, height, width, channels)` with 1 or 3 channels, any range.
        partner: `(m,)`, rows of images. mixed: `(m, ...)`, mixtures of the first m images; m <= n.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes.

    Raises:
        ImportError: without Matplotlib. ValueError: for any other shape.

    Source: k-mixup, Section 2.

    Example:
        >>> images = np.random.default_rng(0).random((4, 8, 8))
        >>> axes = plot_image_pairs(images, [1, 0], images[:2])
    """
    images, mixed = np.asarray(images, dtype=float), np.asarray(mixed, dtype=float)
    images, mixed = (batch[..., np.newaxis] if batch.ndim == 3 else batch for batch in (images, mixed))
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[1:] != mixed.shape[1:]:
        raise ValueError(
            "plot_image_pairs: images must be (n, height, width), or with 1 or 3 channels, and mixed alike. "
            f"Received: images of shape {images.shape} and mixed of shape {mixed.shape}."
        )
    axes = axes_or_new(axes)
    rows = [images[: len(mixed)], images[np.asarray(partner)], mixed]
    padded = [np.pad(row, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=np.nan) for row in rows]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in padded], axis=0)
    low, high = np.nanmin(images), np.nanmax(images)
    sheet = np.clip((sheet - low) / (high - low if high > low else 1), 0, 1)
    if sheet.shape[-1] == 3:
        sheet = np.nan_to_num(sheet, nan=1.0)
    axes.imshow(sheet.squeeze(), cmap="gray_r", vmin=0, vmax=1)
    height = images.shape[1] + 2
    axes.set_yticks([height * (i + 0.5) for i in range(3)], ["sample", "partner", "mixture"])
    axes.set_xticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes
