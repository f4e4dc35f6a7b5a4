"""How steep a model must be that separates the classes, once mixtures of near samples are training samples too."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks, _extras
from kmix_tf.analysis.segments import (
    in_units,
    rounding_of_squares,
    segment_distances,
    squared_distances,
    squares_inside,
    squares_to_points,
)
from kmix_tf.maths.samples import classed

# Entries of an array worked on at a time: the first stay in a processor's cache, the second are small in memory.
_CACHED, _BLOCK = 2**17, 2**21
_ROWS = 128
_MOST_SEGMENTS, _MOST_DISTANCES = 10**7, 10**8


class NearestSegments(NamedTuple):
    """Two segments of different classes. distance: a float. first, second: two rows of x each, equal for a point."""

    distance: float
    first: tuple[int, int]
    second: tuple[int, int]


@_checks.speaks
def lipschitz_lower_bound(x: Any, y: Any, epsilon: float, progress: bool = False) -> float:
    """How steep a function must be that is right on all mixtures of same-class samples near one another.

    Q, a lower bound of its Lipschitz constant: one over the least distance between segments of different classes,
    where a segment joins two samples of one class at most `epsilon` apart, and classes count as 1 apart. The larger
    epsilon, the more segments, and the larger Q: Local Mixup asks no less of a model than plain training, and no more
    than mixup. (Mixtures of two classes are left out, as in the paper.)

    Exact but for rounding. Pairs of segments are ruled out by bounds, not by chance; those left are compared one by
    one. m segments have up to m^2 / 2 pairs, at a few nanoseconds each whatever the features: about a second for
    10,000 segments, and ten seconds for the 160,596 of scikit-learn's digits at epsilon = infinity. Memory: some
    50 bytes a segment, 16 for each pair of samples of the two largest classes, and about 100 MB. Where segments are
    too many, take a smaller epsilon or a part of the samples, whose Q is a lower bound of all samples' Q.

    Args:
        x: numeric `(n, ...)`, finite, of two classes at least.
        y: integer classes `(n,)` or one-hot `(n, classes)`.
        epsilon: a Euclidean distance >= 0: 0 for plain training, `math.inf` for mixup.
        progress: True shows a bar; it needs Rich, which the extra `cli` brings.

    Returns:
        A float > 0; infinite where segments cross, or equal samples have different classes.

    Raises:
        ValueError: for other arguments, or more than ten million segments. ImportError: for a bar without Rich.

    Source: Local Mixup, eq. (18) and Theorem 4.6.

    Example:
        >>> from kmix_tf.analysis import lipschitz_lower_bound
        >>> x, y = [[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]], [0, 0, 1]
        >>> round(lipschitz_lower_bound(x, y, epsilon=0), 3), lipschitz_lower_bound(x, y, epsilon=4)
        (0.447, 1.0)
    """
    return _inverse(_sweep(x, y, [epsilon], progress)[0].distance)


@_checks.speaks
def lipschitz_lower_bounds(x: Any, y: Any, epsilons: Sequence[float], progress: bool = False) -> np.ndarray:
    """`lipschitz_lower_bound` for several epsilons, in hardly more time than for the largest.

    Args:
        x, y, progress: as `lipschitz_lower_bound`.
        epsilons: distances >= 0, in any order, at least one.

    Returns:
        float64, of as many entries.

    Raises:
        As `lipschitz_lower_bound`.

    Source: Local Mixup, Figure 5.

    Example:
        >>> from kmix_tf.analysis import lipschitz_lower_bounds
        >>> lipschitz_lower_bounds([[0.0], [4.0], [6.0]], [0, 0, 1], [0, np.inf]).tolist()
        [0.5, 0.5]
    """
    found = _sweep(x, y, epsilons, progress)
    return np.array([_inverse(nearest.distance) for nearest in found])


@_checks.speaks
def nearest_segments(x: Any, y: Any, epsilon: float, progress: bool = False) -> NearestSegments:
    """Which samples `lipschitz_lower_bound` comes from: where mixtures of one class come nearest to another.

    Args, raises: as `lipschitz_lower_bound`.

    Returns:
        `NearestSegments(distance, first, second)`: the samples at the ends of two segments of different classes, and
        their distance, 0 where they cross. Of several at the same distance, any.

    Source: Local Mixup, eq. (18).

    Example:
        >>> from kmix_tf.analysis import nearest_segments
        >>> nearest_segments([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]], [0, 0, 1], epsilon=4)
        NearestSegments(distance=1.0, first=(0, 1), second=(2, 2))
    """
    return _sweep(x, y, [epsilon], progress)[0]


class _Segments(NamedTuple):
    """Of one class. ends: `(m, 2)`, rows of its points. length: `(m,)`, squared, > 0."""

    ends: np.ndarray
    length: np.ndarray

    def within(self, low: float, high: float) -> "_Segments":
        """Those longer than low, but not than high."""
        lengths = np.sqrt(self.length)
        return _Segments(*(part[(lengths > low) & (lengths <= high)] for part in self))


class _Class(NamedTuple):
    """rows: `(n,)` of x. points: `(n, d)`."""

    rows: np.ndarray
    points: np.ndarray


class _Search:
    """The nearest pair so far, and by which estimates a pair may be nearer."""

    def __init__(self, x: np.ndarray, advance: Callable[[int], Any]):
        self.x = x
        self.slack = rounding_of_squares(x)
        self.advance = advance
        self.found = NearestSegments(math.inf, (0, 0), (0, 0))

    @property
    def limit(self) -> float:
        """Estimated squares below this are looked at.

        All which rounding leaves in doubt; but none that could lower the distance by a share of 1e-10 at most, since
        in data on a grid very many pairs are equally far apart.
        """
        square = self.found.distance**2
        return square - self.slack if self.slack < 1e-10 * square else square + self.slack

    @property
    def is_over(self) -> bool:
        return self.found.distance == 0

    def offer(self, estimates: np.ndarray, ends: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
        """Takes pairs in by their estimated squares, and measures those that may be the nearest.

        Args:
            estimates: `(m,)`. ends: from positions in it to rows of x, two `(..., 2)`.
        """
        if not len(estimates):
            return
        # The best one first, which rules out most of the others.
        best = int(estimates.argmin())
        if estimates[best] < self.limit:
            self._measure(*ends(np.array([best])))
        rest = np.flatnonzero(estimates < self.limit)
        rest = rest[np.argsort(estimates[rest])]
        size = max(1, _BLOCK // (8 * self.x.shape[1]))
        for start in range(0, len(rest), size):
            part = rest[start : start + size]
            part = part[estimates[part] < self.limit]
            if self.is_over or not len(part):
                return
            self._measure(*ends(part))

    def _measure(self, first: np.ndarray, second: np.ndarray) -> None:
        distances = segment_distances(self.x[first], self.x[second])
        best = distances.argmin()
        if distances[best] < self.found.distance:
            (a, b), (c, d) = first[best].tolist(), second[best].tolist()
            self.found = NearestSegments(float(distances[best]), (a, b), (c, d))


def _sweep(x: Any, y: Any, epsilons: Sequence[float], progress: bool) -> list[NearestSegments]:
    """The nearest segments for each epsilon: from small to large, each time only pairs with a new segment."""
    x, y = classed(x, y)
    wanted = [_distance(epsilon) for epsilon in _several(epsilons)]
    x, unit = in_units(x)
    steps = sorted({epsilon / unit for epsilon in wanted} - {0.0})
    classes = [_Class(rows, x[rows]) for rows in (np.flatnonzero(y == label) for label in range(y.max() + 1))]
    segments = _segments(x, classes, max(steps, default=0.0))
    sizes = [len(part.length) for part in segments]
    with _bar(progress, sum(first * second for first, second in combinations(sizes, 2))) as advance:
        search = _Search(x, advance)
        for pair in combinations(classes, 2):
            _compare_points(search, *pair)
        found = {0.0: search.found}
        for low, high in pairwise([0.0, *steps]):
            for first, second in combinations(range(len(classes)), 2):
                _compare(search, classes, segments, (first, second), low, high)
            found[high] = search.found
    nearest = [found[epsilon / unit] for epsilon in wanted]
    return [one._replace(distance=one.distance * unit) for one in nearest]


def _compare(search: _Search, classes: list, segments: list, pair: tuple[int, int], low: float, high: float) -> None:
    """All that the segments longer than low, up to high, bring between two classes."""
    first, second = (classes[which] for which in pair)
    old_first, new_first = (segments[pair[0]].within(*bounds) for bounds in ((0, low), (low, high)))
    all_second, new_second = (segments[pair[1]].within(*bounds) for bounds in ((0, high), (low, high)))
    if search.is_over or not len(new_first.length) + len(new_second.length):
        return
    squares = squared_distances(first.points, second.points)
    flipped = np.ascontiguousarray(squares.T)
    _compare_to_points(search, first, new_first, second, squares)
    _compare_to_points(search, second, new_second, first, flipped)
    _compare_inside(search, (first, second), (new_first, all_second), squares)
    _compare_inside(search, (first, second), (old_first, new_second), squares)


def _compare_points(search: _Search, first: _Class, second: _Class) -> None:
    width = len(second.rows)
    for rows in _blocks(len(first.rows), max(1, _BLOCK // width)):
        squares = squared_distances(first.points[rows], second.points).ravel()

        def ends(at: np.ndarray, rows: np.ndarray = rows) -> tuple[np.ndarray, np.ndarray]:
            return _twice(first.rows[rows[at // width]]), _twice(second.rows[at % width])

        search.offer(squares, ends)


def _compare_to_points(
    search: _Search, first: _Class, segments: _Segments, second: _Class, squares: np.ndarray
) -> None:
    width = len(second.rows)
    for rows in _blocks(len(segments.length), max(1, _BLOCK // (4 * width))):
        estimates = _to_points(segments, rows, squares).ravel()

        def ends(at: np.ndarray, rows: np.ndarray = rows) -> tuple[np.ndarray, np.ndarray]:
            return first.rows[segments.ends[rows[at // width]]], _twice(second.rows[at % width])

        search.offer(estimates, ends)


def _compare_inside(search: _Search, classes: tuple, segments: tuple, squares: np.ndarray) -> None:
    """Pairs that may be nearest inside both segments; their ends have been compared."""
    first, second = segments
    for rows in _blocks(len(first.length), _ROWS):
        if search.is_over:
            return
        to_points = np.ascontiguousarray(_to_points(first, rows, squares).T)
        # What holds for the nearest of a block's segments holds for all.
        nearest = to_points.min(axis=1, keepdims=True)
        left = np.flatnonzero(_bound(nearest, second, slice(None))[:, 0] < search.limit)
        for part in _blocks(len(left), _CACHED // _ROWS):
            bounds = _bound(to_points, second, left[part])
            to, of = np.nonzero(bounds < search.limit)
            if len(of):
                _compare_pairs(search, classes, segments, (rows[of], left[part][to]), squares)
        search.advance(len(rows) * len(second.length))


def _compare_pairs(search: _Search, classes: tuple, segments: tuple, which: tuple, squares: np.ndarray) -> None:
    first, second = (part.ends[rows] for part, rows in zip(segments, which, strict=True))
    corners = np.stack([squares[first[:, i], second[:, j]] for i in (0, 1) for j in (0, 1)])
    lengths = (part.length[rows] for part, rows in zip(segments, which, strict=True))
    estimates = squares_inside(corners, *lengths)
    search.offer(estimates, lambda at: (classes[0].rows[first[at]], classes[1].rows[second[at]]))


def _to_points(segments: _Segments, rows: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Squared distances of segments to all points of the other class: `(rows, n)`."""
    start, end = segments.ends[rows].T
    return squares_to_points(squares[start], squares[end], segments.length[rows][:, np.newaxis])


def _bound(to_points: np.ndarray, segments: _Segments, which: Any) -> np.ndarray:
    """Bounds from below of the squared distances of other segments to these.

    With h_k the squared distance of point k to another segment, that of a point t of the way from k to l is at least
    (1-t) h_k + t h_l - t (1-t) D_kl for every t, and least at (h_k + h_l) / 2 - D_kl / 4 - (h_k - h_l)^2 / (4 D_kl).

    Args:
        to_points: `(n, m)`. which: of the segments, l in number.

    Returns:
        `(l, m)`.
    """
    start, end = segments.ends[which].T
    # Lengths whose inverse overflows are none.
    length = np.maximum(segments.length[which], 1e-200)[:, np.newaxis]
    bound, other = to_points[start], to_points[end]
    difference = bound - other
    bound += other
    bound *= 0.5
    difference *= difference
    difference *= 0.25 / length
    bound -= difference
    bound -= 0.25 * length
    return bound


def _segments(x: np.ndarray, classes: list[_Class], epsilon: float) -> list[_Segments]:
    """The segments of each class up to a length, without those of length 0: they are points."""
    if epsilon == 0:
        return [_Segments(np.zeros([0, 2], np.int32), np.zeros(0)) for _ in classes]
    sizes = sorted((len(part.rows) for part in classes), reverse=True)
    if sizes[0] * sizes[1] > _MOST_DISTANCES:
        raise _checks.problem(
            f"x must hold fewer samples where epsilon > 0: of its two largest classes, at most "
            f"{_MOST_DISTANCES:,} pairs. Received: {sizes[0]:,} and {sizes[1]:,} samples. Take a part of the samples."
        )
    slack, found, total = rounding_of_squares(x), [], 0
    for part in classes:
        chunks = [_Segments(np.zeros([0, 2], np.int32), np.zeros(0))]
        for rows in _blocks(len(part.rows), max(1, _BLOCK // len(part.rows))):
            chunks.append(_segments_from(part.points, rows, epsilon, slack))
            total += len(chunks[-1].length)
            if total > _MOST_SEGMENTS:
                raise _checks.problem(
                    f"epsilon must admit at most {_MOST_SEGMENTS:,} segments. Received: an epsilon that "
                    "admits more. Take a smaller epsilon, or a part of the samples."
                )
        found.append(_Segments(*(np.concatenate(values) for values in zip(*chunks, strict=True))))
    return found


def _segments_from(points: np.ndarray, rows: np.ndarray, epsilon: float, slack: float) -> _Segments:
    squares = squared_distances(points[rows], points)
    near = (squares <= epsilon * epsilon + slack) & (rows[:, np.newaxis] < np.arange(len(points)))
    start, end = np.nonzero(near)
    ends = np.stack([rows[start], end], axis=1).astype(np.int32)
    # Directly, so that pairs at exactly epsilon count, as they do in training.
    parts = _blocks(len(ends), max(1, _BLOCK // points.shape[1]))
    lengths = [np.square(points[ends[part, 0]] - points[ends[part, 1]]).sum(axis=1) for part in parts]
    return _Segments(ends, np.concatenate([np.zeros(0), *lengths])).within(0, epsilon)


@contextlib.contextmanager
def _bar(progress: bool, total: int) -> Iterator[Callable[[int], Any]]:
    if not _checks.flag("progress", progress):
        yield lambda count: None
        return
    rich = _extras.require("rich.progress", "cli", f"{_checks.speaker()}(progress=True)")
    with rich.Progress(console=rich.Console(stderr=True)) as bars:
        task = bars.add_task("pairs", total=total)
        yield lambda count: bars.advance(task, count)


def _several(epsilons: Any) -> list:
    if np.ndim(epsilons) != 1 or not len(epsilons):
        _checks.refuse("epsilons", "a sequence of at least one distance", epsilons)
    return list(epsilons)


def _distance(epsilon: Any) -> float:
    return math.inf if epsilon == math.inf else _checks.number("epsilon", epsilon)


def _inverse(distance: float) -> float:
    return 1 / distance if distance > 0 else math.inf


def _blocks(count: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def _twice(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows, rows], axis=-1)
