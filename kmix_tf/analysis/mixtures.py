"""Mixtures of pairs of samples, drawn at random."""

from typing import NamedTuple

import numpy as np


class Mixtures(NamedTuple):
    """ratio x[first] + (1 - ratio) x[second]: indices and ratios `(m,)`."""

    first: np.ndarray
    second: np.ndarray
    ratio: np.ndarray


def _ratios(size: int, alpha: float, generator: np.random.Generator) -> np.ndarray:
    return generator.beta(alpha, alpha, size) if alpha else np.ones(size)


def epoch_of(size: int, alpha: float, generator: np.random.Generator) -> Mixtures:
    """Each sample mixed with one drawn from all, itself included."""
    return Mixtures(np.arange(size), generator.integers(size, size=size), _ratios(size, alpha, generator))


def pairs_of(size: int, count: int, alpha: float, generator: np.random.Generator) -> Mixtures:
    """Mixtures of two different samples."""
    first = generator.integers(size, size=count)
    second = (first + 1 + generator.integers(size - 1, size=count)) % size
    return Mixtures(first, second, _ratios(count, alpha, generator))


def mixed(x: np.ndarray, made: Mixtures) -> np.ndarray:
    """Rows `(m, d)` of the mixtures of `x` `(n, d)`."""
    ratio = made.ratio[:, np.newaxis]
    return ratio * x[made.first] + (1 - ratio) * x[made.second]
