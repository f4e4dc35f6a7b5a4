"""The nearest sample of one's own class and of another."""

from typing import NamedTuple

import numpy as np

from kmix_tf.analysis.nearest import nearest_rows


class Neighbors(NamedTuple):
    """Of each sample the nearest other one of its class and of the other classes: places `(n,)`, distances `(n,)`.

    A sample that is alone in its class has an infinite distance to its own.
    """

    same: np.ndarray
    same_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray


def nearest(x: np.ndarray, y: np.ndarray) -> Neighbors:
    """Finds neighbours among `x` `(n, d)` with classes `y` `(n,)`."""

    def not_of_ones_own(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] != y] = np.inf
        scores[np.arange(len(scores)), np.arange(len(y))[these]] = np.inf

    def not_of_another(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] == y] = np.inf

    same, other = (
        nearest_rows(lambda these: x[these], len(x), x, forbid) for forbid in (not_of_ones_own, not_of_another)
    )
    return Neighbors(*same, *other)
