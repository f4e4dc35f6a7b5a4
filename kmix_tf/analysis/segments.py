"""Distances between segments: quickly from squared distances of their ends, and carefully from the ends themselves.

Two segments are at their least distance either where an end of one meets the other, or where the critical point of
their squared distance lies inside both. Along segments ij and kl, with D squared distances, that square is
(1-s)(1-t) D_ik + (1-s) t D_il + s (1-t) D_jk + s t D_jl - s (1-s) D_ij - t (1-t) D_kl.
"""

import numpy as np

# Lengths below this share of the lengths compared are what rounding makes of 0: sixteen times a float64's precision.
_ROUNDING = 16 * np.finfo(np.float64).eps


def in_units(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Flat `(n, d)`, centred, and of size about 1, so that squares neither over- nor underflow; and the unit.

    The unit is a power of two, so that measuring in it rounds nothing.
    """
    x = x.reshape(len(x), -1)
    exponent = int(np.frexp(np.abs(x).max())[1]) - 1
    x = np.ldexp(x, -exponent)
    return x - x.mean(axis=0), float(np.ldexp(1.0, exponent))


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`(m, d)`, `(n, d)` -> `(m, n)`, by the product of matrices: exact but for `rounding_of_squares`."""
    squares = -2 * first @ second.T
    squares += np.square(first).sum(axis=1)[:, np.newaxis]
    squares += np.square(second).sum(axis=1)
    return squares


def rounding_of_squares(x: np.ndarray) -> float:
    """A bound of what `squared_distances` among the points `(n, d)` misses, and estimates made of its results."""
    largest = np.square(x).sum(axis=1).max()
    return float(32 * np.finfo(np.float64).eps * (4 + np.sqrt(x.shape[1])) * largest)


def squares_to_points(to_start: np.ndarray, to_end: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The squared distance of a point to a segment, given those to its ends and the segment's squared length > 0."""
    along = np.clip(0.5 + (to_start - to_end) / (2 * length), 0, 1)
    return to_start + along * (to_end - to_start - (1 - along) * length)


def squares_inside(corners: np.ndarray, first_length: np.ndarray, second_length: np.ndarray) -> np.ndarray:
    """The squared distance of two segments at the critical point, moved into both where it is outside.

    Args:
        corners: `(4, m)`, squared distances of start to start, start to end, end to start and end to end.
        first_length, second_length: `(m,)`, squared, > 0.

    Returns:
        `(m,)`, at least the squared distance of the segments, and equal to it where no end is nearer.
    """
    start, start_end, end_start, end = corners
    product = (start_end + end_start - start - end) / 2
    first_slope = (end_start - start - first_length) / 2
    second_slope = (start + second_length - start_end) / 2
    determinant = first_length * second_length - np.square(product)
    # Of parallel segments, an end is nearest; any number will do.
    determinant = np.maximum(determinant, 1e-14 * first_length * second_length)
    s = np.clip((product * second_slope - first_slope * second_length) / determinant, 0, 1)
    # Of nearly parallel segments the determinant is uncertain, and s with it; the best t for this s makes up for it.
    t = np.clip((s * product + second_slope) / second_length, 0, 1)
    along_first = s * (s * first_length + 2 * first_slope - 2 * t * product)
    return start + along_first + t * (t * second_length - 2 * second_slope)


def segment_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The distances of segments to segments, by arithmetic on differences of their ends.

    Args:
        first, second: float64 `(m, 2, d)`, the two ends of each; equal ends make a point.

    Returns:
        `(m,)`; exactly 0 where the segments cross or touch but for rounding.
    """
    distances = _distances_inside(first, second)
    for end in (0, 1):
        distances = np.minimum(distances, _distances_to_points(first, second[:, end]))
        distances = np.minimum(distances, _distances_to_points(second, first[:, end]))
    apart = _lengths(first[:, 0] - second[:, 0])
    reach = apart + _lengths(first[:, 1] - first[:, 0]) + _lengths(second[:, 1] - second[:, 0])
    return np.where(distances <= _ROUNDING * reach, 0, distances)


def _distances_to_points(segments: np.ndarray, points: np.ndarray) -> np.ndarray:
    # From the nearer end, so that a point next to an end is measured from there.
    swap = _lengths(points - segments[:, 0]) > _lengths(points - segments[:, 1])
    start = np.where(swap[:, np.newaxis], segments[:, 1], segments[:, 0])
    other = np.where(swap[:, np.newaxis], segments[:, 0], segments[:, 1])
    direction, offset = other - start, points - start
    along = np.clip(_ratio(_dot(direction, offset), _dot(direction, direction)), 0, 1)
    return _lengths(offset - along[:, np.newaxis] * direction)


def _distances_inside(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b, offset = first[:, 1] - first[:, 0], second[:, 1] - second[:, 0], first[:, 0] - second[:, 0]
    square = _dot(a, a)
    # Across `a`, one unknown is left. Twice, because what is across may be a small rest.
    across_b, across_offset = b, offset
    for _ in range(2):
        across_b = across_b - _ratio(_dot(a, across_b), square)[:, np.newaxis] * a
        across_offset = across_offset - _ratio(_dot(a, across_offset), square)[:, np.newaxis] * a
    t = np.clip(_ratio(_dot(across_b, across_offset), _dot(across_b, across_b)), 0, 1)
    from_second = offset - t[:, np.newaxis] * b
    s = np.clip(-_ratio(_dot(a, from_second), square), 0, 1)
    return _lengths(from_second + s[:, np.newaxis] * a)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.einsum("md,md->m", first, second)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(vectors, vectors))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """0 where both are 0; a vector without length has no direction."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
