"""What all toys return, and the steps they share."""

from typing import NamedTuple

import numpy as np

from kmix_tf import _checks


class Toy(NamedTuple):
    """x: float64 `(n, features)`. y: integer classes `(n,)`, int64."""

    x: np.ndarray
    y: np.ndarray


def asked(n: int, seed: int) -> tuple[int, np.random.Generator]:
    """How many samples of two classes, and where their numbers come from."""
    n = _checks.integer("n", n, minimum=2)
    return n, np.random.default_rng(_checks.integer("seed", seed, minimum=0))


def two_classes(n: int) -> np.ndarray:
    """First the zeros, then the ones; of zeros one more where n is odd. int64 `(n,)`."""
    return np.repeat(np.arange(2, dtype=np.int64), [n - n // 2, n // 2])


def shuffled(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> Toy:
    """The samples in random order."""
    order = generator.permutation(len(y))
    return Toy(x[order], y[order])


def with_flips(toy: Toy, flipped: float, train: float, generator: np.random.Generator) -> Toy:
    """Turns a share of the labels of the first samples, those trained on, into the other of two classes.

    They are drawn last, so that the samples are the same for every share.
    """
    flipped, train = _checks.probability("flipped", flipped), _checks.probability("train", train)
    trained = round(train * len(toy.y))
    wrong = generator.permutation(trained)[: round(flipped * trained)]
    y = toy.y.copy()
    y[wrong] = 1 - y[wrong]
    return toy._replace(y=y)
