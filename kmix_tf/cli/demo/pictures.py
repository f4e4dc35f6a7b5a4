"""The demo's figures, as PNG."""

import contextlib
import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from kmix_tf import _extras, plot
from kmix_tf.cli.demo.arms import K
from kmix_tf.cli.demo.toy import Toy
from kmix_tf.layers import KMixupLayer

# Pairs that are drawn, of a batch of so many.
_SHOWN, _BATCH = 10, 128
# Of Okabe and Ito: to be told apart by everybody.
_SAME, _OTHER = "#0072b2", "#d55e00"


def drawing() -> ModuleType:
    """matplotlib.pyplot, set to draw into files."""
    matplotlib = _extras.require("matplotlib", "cli", "kmix-tf demo")
    matplotlib.use("Agg")
    return _extras.require("matplotlib.pyplot", "cli", "kmix-tf demo")


@contextlib.contextmanager
def _drawn(shape: tuple[int, int], size: tuple[float, float]) -> Iterator[tuple[io.BytesIO, Any, list[Any]]]:
    """What a new figure is written to at the end, as PNG; the Figure and its Axes."""
    pyplot, png = drawing(), io.BytesIO()
    figure, axes = pyplot.subplots(*shape, figsize=size, layout="constrained", squeeze=False)
    try:
        yield png, figure, axes.ravel().tolist()
        figure.savefig(png, format="png", dpi=130)
    finally:
        pyplot.close(figure)


def draw_pairs(x: np.ndarray, y: np.ndarray, seed: int) -> bytes:
    """Partners of the same samples for k = 1 and k = 16: images as images, all else in the plane."""
    x, y = x[:_BATCH], y[:_BATCH]
    partners = {k: KMixupLayer(k, features_only=True).plan([x], seed).partner.numpy() for k in (1, K)}
    is_image = x.ndim == 4 and x.shape[-1] in (1, 3)
    return _image_pairs(x, y, partners) if is_image else _plane_pairs(x, y, partners)


def _image_pairs(x: np.ndarray, y: np.ndarray, partners: dict[int, np.ndarray]) -> bytes:
    """A column a sample: the sample, then for each k its partner with the distance, and both mixed half and half."""
    count = min(_SHOWN, len(x))
    low, high = float(x.min()), float(x.max())
    with _drawn((5, count), (0.95 * count + 1, 6.4)) as (png, figure, all_axes):
        rows = [all_axes[count * row : count * (row + 1)] for row in range(5)]
        for column in range(count):
            _image(rows[0][column], x[column], low, high)
            for place, (_, partner) in enumerate(partners.items()):
                other = partner[column]
                apart = float(np.sqrt(np.square(x[column] - x[other]).sum()))
                colour = _SAME if y[column] == y[other] else _OTHER
                _image(rows[1 + 2 * place][column], x[other], low, high, f"{apart:.1f}", colour)
                _image(rows[2 + 2 * place][column], (x[column] + x[other]) / 2, low, high)
        for k, row in zip(partners, (1, 3), strict=True):
            name = "random partner" if k == 1 else f"partner, k = {k}"
            for words, axes in ((name, rows[row][0]), ("mixed half\nand half", rows[row + 1][0])):
                axes.set_ylabel(words, rotation=0, ha="right", va="center")
        rows[0][0].set_ylabel("sample", rotation=0, ha="right", va="center")
        figure.suptitle(_pairs_title(x, y, partners), fontsize=10)
    return png.getvalue()


def _image(axes: Any, image: np.ndarray, low: float, high: float, title: str = "", colour: str = "0.8") -> None:
    scaled = (image - low) / ((high - low) or 1.0)
    axes.imshow(scaled.squeeze(), cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=colour, linewidth=2.5 if title else 1)
    axes.set_title(title, fontsize=9, color=colour if title else "black", pad=2)


def _pairs_title(x: np.ndarray, y: np.ndarray, partners: dict[int, np.ndarray]) -> str:
    flat = x.reshape(len(x), -1)
    told = []
    for k, partner in partners.items():
        distance = np.sqrt(np.square(flat - flat[partner]).sum(axis=1).mean())
        told.append(f"k = {k}: {distance:.1f} and {np.mean(y == y[partner]):.0%}")
    return (
        f"Distance of partners (root mean square) and share of the same class in a batch of {len(x)}: "
        f"{'; '.join(told)}.\nAbove a partner its distance; framed blue: same class, orange: another."
    )


def _plane_pairs(x: np.ndarray, y: np.ndarray, partners: dict[int, np.ndarray]) -> bytes:
    flat = x.reshape(len(x), -1)
    points = _in_plane(flat)
    with _drawn((1, len(partners)), (9, 4)) as (png, figure, all_axes):
        for axes, (k, partner) in zip(all_axes, partners.items(), strict=True):
            plot.plot_coupling(points, partner, (points + points[partner]) / 2, y, axes=axes)
            axes.set_title(f"k = {k}", fontsize=10)
        figure.suptitle(_pairs_title(flat, y, partners).split("\n")[0], fontsize=10)
    return png.getvalue()


def _in_plane(points: np.ndarray) -> np.ndarray:
    """Projected onto the two directions in which they spread most."""
    centred = points - points.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    if len(directions) < 2:
        return np.concatenate([points, np.zeros_like(points)], axis=1)[:, :2]
    return centred @ directions.T


def draw_reliability(y: np.ndarray, probabilities: dict[str, np.ndarray]) -> bytes:
    """Reliability of all arms, over the test predictions of all seeds."""
    with _drawn((1, 1), (5.5, 5)) as (png, _, (axes,)):
        plot.plot_reliability(y, probabilities, axes=axes)
        axes.set_title("How often predictions are right, by their confidence", fontsize=10)
    return png.getvalue()


def draw_regions(toy: Toy) -> bytes:
    """The probability of one class over the plane, by arm, with the samples and the errors of all seeds."""
    with _drawn((1, len(toy.regions)), (10.5, 3.9)) as (png, figure, all_axes):
        for axes, (name, probability) in zip(all_axes, toy.regions.items(), strict=True):
            shown = axes.imshow(
                probability, origin="lower", extent=toy.edges, aspect="equal", cmap="RdBu_r", vmin=0, vmax=1
            )
            for which, marker in enumerate("o^"):
                chosen = toy.x[toy.y == which]
                colour = ("#9ecae1", "#fcae91")[which]
                axes.scatter(*chosen.T, s=9, marker=marker, color=colour, edgecolors="black", linewidths=0.3)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{name}\n{np.mean(toy.errors[name]):.1f} % error", fontsize=10)
        figure.colorbar(shown, ax=all_axes, shrink=0.8, label="probability of the class of triangles")
    return png.getvalue()
