"""Slopes of mixtures on their nearer ends, summed up batch by batch: how far a mix shrinks, measured."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.models.rescaled.places import PlaceMeans, Shape

# Of mixtures that are their nearer ends but for rounding, the slope is exactly 1.
_ROUNDING = 1e-5
# What varies less, as a part of its mean's square, does so by the rounding of float32.
_CONSTANT = 1e-14


class MeasuredTheta(NamedTuple):
    """theta as it was measured: how far mixtures shrink towards the mean, seen from their nearer ends.

    Of plain mixup both are theta_bar, but for the standard errors and, as partners are others, (1 - theta_bar) /
    (n - 1) of n samples.

    x: for each feature the slope, None for features that are left as they are; in the order of `tf.nest.flatten`.
    y: for each output, alike. x_error, y_error: their standard errors, by how batches differ. mixtures: how
    many were looked at.

    Source: On Mixup Regularization, Theorem 1: the perturbations are what this regression leaves over.

    Example:
        >>> MeasuredTheta(x=(0.86,), y=(0.81,), x_error=(0.001,), y_error=(0.002,), mixtures=20000).y
        (0.81,)
    """

    x: tuple[float | None, ...]
    y: tuple[float, ...]
    x_error: tuple[float | None, ...]
    y_error: tuple[float, ...]
    mixtures: int


class Slope:
    """The slope of one leaf's mixtures on their nearer ends, over all of its places together.

    It is the weighted regression with an intercept at each place: places that vary more say more. Nothing grows with
    the number of mixtures; sums are of float64.

    Args:
        shape: of a row, None for open axes, over which a place is one.
        centre: float64, of that shape with 1 for open axes: the mean of the data, around which sums keep their
            precision, and batches are compared.

    Attributes:
        near, mixed: `PlaceMeans` of the nearer ends and of the mixtures, as they count.
    """

    def __init__(self, shape: Shape, centre: np.ndarray):
        self.near, self.mixed = PlaceMeans(shape), PlaceMeans(shape)
        self._centre = centre
        self._sums = np.zeros(2)  # of (near - centre) times (mixed - centre), and of (near - centre)^2
        self._open = np.zeros(2)  # the same of a batch that goes on, around the means of what came before
        self._means = centre, centre
        self._squares = np.zeros(3)  # of the batches' sums: products squared, products times squares, squares squared
        self._batches = self._compared = 0
        self._moved = 0.0

    @property
    def value(self) -> float:
        """The slope; 1 where nothing varies, or nothing is mixed."""
        if self.is_unmoved:
            return 1.0
        product, square = self._around_means()
        return float(product / square) if self._varies(square) else 1.0

    @property
    def error(self) -> float:
        """The standard error of the slope, by how batches differ: infinite of one batch."""
        _, square = self._around_means()
        if self.is_unmoved or not self._varies(square):
            return 0.0
        if not self._compared:
            return float("inf")
        slope, (product, both, squared) = self.value, self._squares
        spread = max(product - 2 * slope * both + slope**2 * squared, 0.0)
        return float(np.sqrt(spread * self._batches / self._compared) / square)

    @property
    def is_unmoved(self) -> bool:
        """Whether all mixtures are their nearer ends, as targets are that are mixed within their class."""
        return self._moved <= _ROUNDING

    def add(self, near: np.ndarray, mixed: np.ndarray, weights: np.ndarray) -> None:
        """Adds mixtures of a batch, `(mixtures, *row)`, with weights `(mixtures,)` or `(mixtures, *places)`."""
        near, mixed = np.asarray(near, dtype=np.float64), np.asarray(mixed, dtype=np.float64)
        self.near.update(near, weights)
        self.mixed.update(mixed, weights)
        wide = weights.reshape(weights.shape + (1,) * (near.ndim - weights.ndim))
        first, second = near - self._centre, mixed - self._centre
        self._sums += _products(wide, first, second)
        self._open += _products(wide, near - self._means[0], mixed - self._means[1])
        scale = max(np.abs(first).max(initial=0.0), np.finfo(np.float64).tiny)
        apart = np.where(wide > 0, np.abs(mixed - near), 0.0).max(initial=0.0)
        self._moved = max(self._moved, float(apart / scale))

    def end_batch(self) -> None:
        """Ends a batch: its mixtures depend on each other, those of another one do not."""
        product, square = self._open
        if self._batches:  # Of the first, nothing is known to compare it with.
            self._squares += [product**2, product * square, square**2]
            self._compared += 1
        self._batches += 1
        self._open = np.zeros(2)
        self._means = self.near.mean, self.mixed.mean

    def merge(self, other: "Slope") -> None:
        """Adds what another of the same shape has seen."""
        self._sums += other._around(self._centre)
        self.near.merge(other.near)
        self.mixed.merge(other.mixed)
        self._squares += other._squares
        self._batches += other._batches
        self._compared += other._compared
        self._moved = max(self._moved, other._moved)

    def opened(self, shape: Shape, centre: np.ndarray) -> "Slope":
        """The same around another centre, over the open axes of another shape, which are this one's and more."""
        wider = Slope(shape, centre)
        wider.near, wider.mixed = self.near.opened(shape), self.mixed.opened(shape)
        wider._sums, wider._squares = self._around(centre), self._squares.copy()
        wider._batches, wider._compared, wider._moved = self._batches, self._compared, self._moved
        wider._means = wider.near.mean, wider.mixed.mean
        return wider

    def _varies(self, square: float) -> bool:
        return bool(square > _CONSTANT * (self.near.total * self.near.mean**2).sum())

    def _around_means(self) -> tuple[float, float]:
        """Sums of products and squares, each around its own mean."""
        near, mixed = self.near.mean - self._centre, self.mixed.mean - self._centre
        product, square = self._sums - [(self.near.total * near * each).sum() for each in (mixed, near)]
        return product, square

    def _around(self, centre: np.ndarray) -> np.ndarray:
        """Sums of products and squares around another centre."""
        away = self._centre - centre
        near, mixed = self.near.mean - self._centre, self.mixed.mean - self._centre
        added = [(self.near.total * (away * (near + other) + away**2)).sum() for other in (mixed, near)]
        return self._sums + added


def _products(weights: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[float]:
    return [float((weights * first * each).sum()) for each in (second, first)]


class Slopes:
    """The slopes of all leaves.

    Args:
        features: one for each leaf of the features, None for those that are left as they are. targets: alike.

    Attributes:
        mixtures: how many were looked at. weighs: whether mixtures count differently; means are then theirs.
    """

    def __init__(self, features: Sequence[Slope | None], targets: Sequence[Slope], weighs: bool):
        self.features, self.targets, self.weighs = list(features), list(targets), weighs
        self.mixtures = 0

    @property
    def all(self) -> list[Slope]:
        """Those of leaves that are mixed: features, then targets."""
        return [slope for slope in (*self.features, *self.targets) if slope is not None]

    @property
    def measured(self) -> MeasuredTheta:
        """What follows from them."""
        return MeasuredTheta(
            tuple(None if slope is None else slope.value for slope in self.features),
            tuple(slope.value for slope in self.targets),
            tuple(None if slope is None else slope.error for slope in self.features),
            tuple(slope.error for slope in self.targets),
            self.mixtures,
        )

    def merge(self, other: "Slopes") -> None:
        """Adds what others have seen of data of the same shapes."""
        self.mixtures += other.mixtures
        self.weighs |= other.weighs
        for ours, theirs in zip(self.all, other.all, strict=True):
            ours.merge(theirs)

    def opened(self, features: Sequence[PlaceMeans | None], targets: Sequence[PlaceMeans]) -> "Slopes":
        """The same, of the shapes and around the means of others."""
        wider = Slopes(_opened(self.features, features), _opened(self.targets, targets), self.weighs)
        wider.mixtures = self.mixtures
        return wider


def _opened(slopes: Sequence[Any], means: Sequence[Any]) -> list[Any]:
    return [slope and slope.opened(mean.shape, mean.mean) for slope, mean in zip(slopes, means, strict=True)]
