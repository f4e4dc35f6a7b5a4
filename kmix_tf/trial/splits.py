"""Repeated splits into parts to train on, to stop by and to test on, with classes in all of them alike."""

from typing import NamedTuple

import numpy as np

from kmix_tf.trial.dependent import split_groups, split_times
from kmix_tf.trial.parting import TEST, TRAIN, VALIDATION, Split
from kmix_tf.trial.problem import CLASSES, REGRESSION, Problem

__all__ = ["TEST", "TRAIN", "VALIDATION", "Part", "Parts", "Split", "parts", "split", "split_of"]


class Part(NamedTuple):
    """x, y, weight as in `Problem`; x, and y of a regression, in units of the training part's spread."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def first(self, rows: int) -> "Part":
        """The first rows."""
        return Part(self.x[:rows], self.y[:rows], None if self.weight is None else self.weight[:rows])


class Parts(NamedTuple):
    """The three parts of a split, ready to train with."""

    train: Part
    validation: Part
    test: Part


def split_of(problem: Problem, seed: int, number: int) -> Split:
    """A split of a problem: by time or by groups if it has them, else of rows that do not depend on one another."""
    if problem.time is not None:
        return split_times(problem.time, number)
    if problem.groups is not None:
        return split_groups(problem.groups, seed, number)
    return split(problem.strata, seed, number)


def split(strata: np.ndarray, seed: int, number: int) -> Split:
    """The split of a seed and a number: a quarter to test on, 15 % to stop by, 60 % to train on.

    All numbers give parts of equal sizes, and every stratum has in each its share, rounded up or down.
    """
    generator = np.random.default_rng([seed, number, 29])
    keys = generator.permutation(int(strata.max()) + 1)[strata]
    rows = np.lexsort((generator.random(len(strata)), keys))
    rows, test = _dealt(rows, round(TEST * len(strata)), generator)
    train, validation = _dealt(rows, round(VALIDATION * len(strata)), generator)
    return Split(*map(np.sort, (train, validation, test)))


def _dealt(rows: np.ndarray, size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows without `size` of them at equal steps, and those."""
    taken = ((np.arange(size) + generator.random()) * (len(rows) / size)).astype(np.int64)
    return np.delete(rows, taken), rows[taken]


def parts(problem: Problem, chosen: Split, standardize: bool = True) -> Parts:
    """The parts, in units of the training part's spreads: features, an image's channels, numbers to predict."""
    x, y = problem.x, problem.y
    if standardize:
        x = _scaled(x, x[chosen.train], axes=tuple(range(x.ndim - 1)) if x.ndim == 4 else (0,))
    if problem.task == REGRESSION:
        y = _scaled(y, y[chosen.train], axes=(0,))
    weight = problem.weight
    return Parts(*(Part(x[rows], y[rows], None if weight is None else weight[rows]) for rows in chosen))


def _scaled(values: np.ndarray, train: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    mean = train.mean(axis=axes, dtype=np.float64)
    spread = train.std(axis=axes, dtype=np.float64)
    # What never changes in training stays near 0; rounding alone would else be blown up.
    spread = np.where(spread > 1e-6 * np.abs(mean), spread, 1.0)
    return ((values - mean) / spread).astype(np.float32)


def classes_of(problem: Problem) -> int | None:
    """How many classes a mix is told of; None where targets mix as they are."""
    return len(problem.names) if problem.task == CLASSES else None
