"""A toy on which mixup fails and k-mixup does not: four bars of alternating classes, side by side."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from kmix_tf.analysis import four_bars
from kmix_tf.cli.demo.arms import PLAIN, Arm, arms, kmixup, mixup
from kmix_tf.paired import Trainer, batches, probabilities

SAMPLES, TESTED = 512, 2000
# Of the paper's table of toys, where mixup fails on this one.
ALPHA = 4.0
STEPS, EVERY = 1500, 100
NAMES = (PLAIN, mixup(ALPHA), kmixup(ALPHA))
# Points along each side of the plane that is drawn.
_SIDE = 120


class Toy(NamedTuple):
    """The training data of the first seed, errors in percent by arm and seed, and what is drawn of the first seed.

    arms: by name, how they mix. edges: left, right, low, high. regions: by arm, the probability of class 1 over the
    plane, `(side, side)`.
    """

    x: np.ndarray
    y: np.ndarray
    arms: dict[str, Arm]
    errors: dict[str, list[float]]
    edges: tuple[float, float, float, float]
    regions: dict[str, np.ndarray]


def network() -> keras.Model:
    """The k-mixup paper's for its toys: 130 and 120 hidden units."""
    hidden = [keras.layers.Dense(units, activation="relu") for units in (130, 120)]
    return keras.Sequential([keras.layers.Input((2,)), *hidden, keras.layers.Dense(2)])


def measure(seeds: list[int], on_steps: Callable[[int], None]) -> Toy:
    """Trains by each arm with each seed: errors on new points of the same toy."""
    trainer = Trainer(network)
    errors: dict[str, list[float]] = {name: [] for name in NAMES}
    regions = {}
    first = _drawn(seeds[0])
    chosen = arms(first[0], (ALPHA,))
    edges = _edges(first[0])
    for seed in seeds:
        x, y = _drawn(seed)
        x_test, y_test = _drawn(seed + 10_000, TESTED)
        for name in NAMES:
            mixed = batches(x, y, 64, seed, chosen[name].layer(2))
            model = trainer.run(mixed, STEPS, seed, EVERY, on_steps)
            errors[name].append(100 * float(np.mean(probabilities(model, x_test).argmax(axis=1) != y_test)))
            if seed == seeds[0]:
                regions[name] = probabilities(model, _plane(edges))[:, 1].reshape(_SIDE, _SIDE)
    return Toy(*first, chosen, errors, edges, regions)


def _drawn(seed: int, count: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    x, y = four_bars(count, seed=seed)
    return x.astype(np.float32), y.astype(np.int32)


def _edges(x: np.ndarray) -> tuple[float, float, float, float]:
    (left, low), (right, high) = 1.1 * x.min(axis=0), 1.1 * x.max(axis=0)
    return float(left), float(right), float(low), float(high)


def _plane(edges: tuple[float, float, float, float]) -> np.ndarray:
    left, right, low, high = edges
    across, up = np.meshgrid(np.linspace(left, right, _SIDE), np.linspace(low, high, _SIDE))
    return np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)
