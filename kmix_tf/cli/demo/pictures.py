"""The demo's figures, as PNG."""

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _extras, plot
from kmix_tf.cli.demo.training import METHODS, fit, pipeline
from kmix_tf.layers import KMixupLayer

GROUPS = (1, 16)
TOY_EPOCHS = 60


def drawing() -> ModuleType:
    """matplotlib.pyplot, set to draw into files."""
    matplotlib = _extras.require("matplotlib", "cli", "kmix-tf demo")
    matplotlib.use("Agg")
    return _extras.require("matplotlib.pyplot", "cli", "kmix-tf demo")


@contextlib.contextmanager
def _drawn(shape: tuple[int, int], size: tuple[float, float]) -> Iterator[tuple[io.BytesIO, list[Any]]]:
    """What a new figure is written to at the end, as PNG, and its Axes."""
    pyplot, png = drawing(), io.BytesIO()
    figure, axes = pyplot.subplots(*shape, figsize=size, layout="constrained", squeeze=False)
    try:
        yield png, axes.ravel().tolist()
        figure.savefig(png, format="png", dpi=130)
    finally:
        pyplot.close(figure)


def draw_pairs(x: np.ndarray, y: np.ndarray, seed: int) -> bytes:
    """Pairs and mixtures of one batch for k = 1 and k = 16: images as images, all else in the plane."""
    is_image = x.ndim == 4 and x.shape[-1] in (1, 3)
    flat = x.reshape(len(x), -1)
    with _drawn(*(((2, 1), (9, 5)) if is_image else ((1, 2), (9, 4)))) as (png, all_axes):
        for axes, k in zip(all_axes, GROUPS, strict=True):
            # So large an alpha makes every ratio a half, where a mixture shows most of both.
            layer = KMixupLayer(k, alpha=1e6, features_only=True)
            partner, mixed = layer.plan([x], seed).partner.numpy(), layer(x, seed=seed).numpy()
            if is_image:
                plot.plot_image_pairs(x, partner[:12], mixed[:12], axes=axes)
            else:
                flatten = _plane(flat)
                plot.plot_coupling(flatten(flat), partner, flatten(mixed.reshape(len(x), -1)), y, axes=axes)
            distance = np.sqrt(((flat - flat[partner]) ** 2).sum(axis=1).mean())
            title = f"k = {k}: pairs at a root mean squared distance of {distance:.1f}, mixed half and half"
            axes.set_title(title, fontsize=10)
    return png.getvalue()


def draw_reliability(y: np.ndarray, probabilities: dict[str, np.ndarray]) -> bytes:
    """Reliability of all methods, over the test predictions of all seeds."""
    with _drawn((1, 1), (5.5, 5)) as (png, (axes,)):
        plot.plot_reliability(y, probabilities, axes=axes)
        axes.set_title("Reliability on the test sets of all seeds", fontsize=10)
    return png.getvalue()


def draw_regions(seed: int, on_epoch: Callable[[], None]) -> bytes:
    """Decision regions of one network on two interleaved classes in the plane, trained by each method."""
    x, y = two_moons(256, np.random.default_rng(seed))
    with _drawn((1, len(METHODS)), (10, 3.4)) as (png, all_axes):
        for axes, (method, k) in zip(all_axes, METHODS.items(), strict=True):
            model = _toy_model(x, y, k, seed, on_epoch)
            plot.plot_decision_regions(functools.partial(_second_class, model), x, y, axes=axes)
            axes.set_title(method, fontsize=10)
    return png.getvalue()


def two_moons(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved half circles with noise of 0.15: x float32 `(count, 2)`, y int32 `(count,)`."""
    y = generator.integers(0, 2, count)
    angle = np.pi * generator.random(count)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, np.newaxis] == 0, upper, [1, 0.5] - upper)
    return (x + 0.15 * generator.normal(size=x.shape)).astype(np.float32), y.astype(np.int32)


def _toy_model(x: np.ndarray, y: np.ndarray, k: int, seed: int, on_epoch: Callable[[], None]) -> keras.Model:
    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.layers.Input((2,)), *hidden, keras.layers.Dense(2)])
    fit(model, pipeline(x, y, 2, k, seed), 1e-2, TOY_EPOCHS, 4, on_epoch)
    return model


def _second_class(model: keras.Model, points: np.ndarray) -> np.ndarray:
    """Its probability."""
    return tf.nn.softmax(model(points)).numpy()[:, 1]


def _plane(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The projection onto the two directions in which points spread most."""
    centre = points.mean(axis=0)
    directions = np.linalg.svd(points - centre, full_matrices=False)[2][:2]
    if len(directions) < 2:
        return lambda values: np.concatenate([values, np.zeros_like(values)], axis=1)[:, :2]
    return lambda values: (values - centre) @ directions.T
