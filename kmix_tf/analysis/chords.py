"""Chords between samples, and the ratios for which they are in a ball."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kmix_tf import _checks

# Pairs looked at together, and numbers that a block of vectors may hold.
_PAIRS = 2**19
# Below this share of the product it is a difference of, a square loses too many digits, and is computed anew.
_DOUBTFUL = 1e-5


class Ball(NamedTuple):
    """A ball as its centre sees it. offsets: of the samples, `(n, d)`, in units near the radius; squares: their
    squared lengths `(n,)`; inside: whether they are in the open ball `(n,)`; radius_squared: in [1, 4)."""

    offsets: np.ndarray
    squares: np.ndarray
    inside: np.ndarray
    radius_squared: float


class Chords(NamedTuple):
    """Chords that meet a ball for ratios of their first sample from low to high, each `(m,)`.

    low_rest and high_rest are the complements to 1: near 1, they have the digits that low and high have lost.
    """

    first: np.ndarray
    second: np.ndarray
    low: np.ndarray
    high: np.ndarray
    low_rest: np.ndarray
    high_rest: np.ndarray


def ball_around(centre: np.ndarray, x: np.ndarray, radius: float) -> Ball:
    """The samples seen from a point: the differences are exact where they matter, near the ball.

    Raises:
        ValueError: if squares in units of the radius overflow.
    """
    unit = 2.0 ** np.floor(np.log2(radius))
    with np.errstate(over="ignore"):
        offsets = (x - centre) / unit
        squares = np.einsum("nd,nd->n", offsets, offsets)
    if not np.isfinite(squares).all():
        _checks.refuse("radius", "at least 1e-150 of the largest distance", radius)
    radius_squared = (radius / unit) ** 2
    return Ball(offsets, squares, squares < radius_squared, radius_squared)


def chords_from_inside(ball: Ball) -> Iterator[Chords]:
    """The chords from samples inside the ball, which come first, to those outside; in blocks."""
    inside, outside = np.flatnonzero(ball.inside), np.flatnonzero(~ball.inside)
    if not len(outside):
        return
    far = ball.offsets[outside]
    rows = max(1, _PAIRS // len(outside))
    for start in range(0, len(inside), rows):
        block = inside[start : start + rows]
        products = (ball.offsets[block] @ far.T).ravel()
        yield _cut(ball, np.repeat(block, len(outside)), np.tile(outside, len(block)), products)


def chords_past(ball: Ball) -> Iterator[Chords]:
    """The chords of two samples outside the ball that pass through it, each pair once; in blocks.

    Samples at angles s and t from their tangents to the ball see one another through it if the angle between them
    is more than s + t: one matrix product tells, and few pairs are left to look at.
    """
    outside = np.flatnonzero(~ball.inside)
    if len(outside) < 2:
        return
    squares = ball.squares[outside]
    lengths = np.sqrt(squares)
    sine = np.sqrt((squares - ball.radius_squared) / squares)
    cosine = np.sqrt(ball.radius_squared / squares)
    left = np.column_stack([ball.offsets[outside] / lengths[:, np.newaxis], sine, cosine])
    right = left * np.append(np.ones(left.shape[1] - 1), -1)
    slack = 4 * np.finfo(np.float64).eps * left.shape[1]
    rows = max(1, _PAIRS // len(outside))
    for start in range(0, len(outside), rows):
        angles = left[start : start + rows] @ right[start:].T
        row, column = np.nonzero(np.triu(angles <= slack, 1))
        if len(row):
            angles, row, column = angles[row, column], row + start, column + start
            products = angles - sine[row] * sine[column] + cosine[row] * cosine[column]
            yield _cut(ball, outside[row], outside[column], products * lengths[row] * lengths[column])


def _cut(ball: Ball, first: np.ndarray, second: np.ndarray, products: np.ndarray) -> Chords:
    """The ratios at which chords enter and leave the ball, given the inner products of their ends.

    They solve |second + ratio (first - second)|^2 = radius^2; the roots near 0, for ratios counted from either end,
    are computed without cancellation.
    """
    a, b = ball.squares[first], ball.squares[second]
    toward, back = b - products, a - products
    discriminant = (toward + back) * ball.radius_squared - (a * b - products**2)
    doubtful = (discriminant < _DOUBTFUL * a * b) | (toward + back < _DOUBTFUL * (a + b))
    _recompute(ball, first, second, np.flatnonzero(doubtful), toward, back, discriminant)
    inside = ball.inside[first]
    through = inside | ((discriminant > 0) & (toward > 0) & (back > 0))
    first, second, a, b, toward, back, discriminant, inside = (
        values[through] for values in (first, second, a, b, toward, back, discriminant, inside)
    )
    root, span = np.sqrt(np.maximum(discriminant, 0)), toward + back
    low, low_rest = (b - ball.radius_squared) / (toward + root), (back + root) / span
    high = np.where(inside, 1.0, (toward + root) / span)
    high_rest = np.zeros(len(high))
    np.divide(a - ball.radius_squared, back + root, out=high_rest, where=~inside)
    return Chords(first, second, *(np.clip(values, 0, 1) for values in (low, high, low_rest, high_rest)))


def _recompute(
    ball: Ball,
    first: np.ndarray,
    second: np.ndarray,
    which: np.ndarray,
    toward: np.ndarray,
    back: np.ndarray,
    discriminant: np.ndarray,
) -> None:
    """Fills in what was a small difference of large numbers, from the vectors themselves."""
    rows = max(1, _PAIRS // ball.offsets.shape[1])
    for start in range(0, len(which), rows):
        these = which[start : start + rows]
        ends = ball.offsets[first[these]], ball.offsets[second[these]]
        toward[these], back[these], square = nearest_on_segment(*ends)[:3]
        discriminant[these] = (toward[these] + back[these]) * (ball.radius_squared - square)


def nearest_on_segment(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
    """Where the line through two points, each `(m, d)`, is nearest to the origin.

    Returns:
        toward, back: the inner products of first - second with -second and first; their sum is its square.
        square: the squared distance of the line. ratio: what the first point weighs there.
    """
    chord = first - second
    toward, back = -np.einsum("md,md->m", second, chord), np.einsum("md,md->m", first, chord)
    span = toward + back
    ratio = np.divide(toward, span, out=np.full(len(span), 0.5), where=span > 0)
    foot = second + ratio[:, np.newaxis] * chord
    return toward, back, np.einsum("md,md->m", foot, foot), ratio
