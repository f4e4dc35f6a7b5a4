"""Samples that lie between samples of other classes."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.chords import ball_around, chords_past, nearest_on_segment
from kmix_tf.analysis.segments import in_units
from kmix_tf.maths.samples import labelled

# All chords past each of n samples are n^3 / 2 pairs: some minutes at this size.
_MOST_SAMPLES = 2000


class CollinearSamples(NamedTuple):
    """Samples on segments of other classes. triples: `(m, 3)` int64, the sample and the ends of the segment.
    ratio: `(m,)`, what the first end weighs where the segment is nearest. distance: `(m,)`, from there."""

    triples: np.ndarray
    ratio: np.ndarray
    distance: np.ndarray


@_checks.speaks
def collinear_samples(x: Any, y: Any, tolerance: float | None = None) -> CollinearSamples:
    """The samples that lie on a segment between two samples of other classes: there, mixtures contradict labels.

    Where there are none, a continuous classifier can learn all mixtures and all labels. The ends may share a class.
    A sample that coincides with one of another class comes once, with that one as both ends, not with all segments
    that start there.

    Args:
        x: numeric `(n, ...)`, finite, n <= 2000: all n^3 / 2 triples are looked at, in blocks of bounded memory. Of
            larger data, take a random subset.
        y: integer classes `(n,)` below 16,384, or one-hot or soft labels `(n, classes)`, whose largest counts; of two
            classes.
        tolerance: the distance from the segment that still counts as on it, > 0, in the units of x. By default
            a billionth of the largest distance from the mean.

    Returns:
        `CollinearSamples(triples, ratio, distance)`, in order of the samples; empty where the assumption holds.

    Raises:
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Assumption 2.9.

    Example:
        >>> from kmix_tf.analysis.collinearity import collinear_samples
        >>> collinear_samples([[0.0], [1.0], [2.0]], [0, 1, 0])
        CollinearSamples(triples=array([[1, 0, 2]]), ratio=array([0.5]), distance=array([0.]))
    """
    x, _, classes = labelled(x, y, least=2)
    if len(x) > _MOST_SAMPLES:
        raise _checks.problem(
            f"x must hold at most {_MOST_SAMPLES} samples, because all triples are looked at. "
            f"Received: {len(x)}. Take a random subset of that size."
        )
    tolerance = _tolerance(x, tolerance)
    # A power of two, which rounds nothing: squares in this unit neither over- nor underflow.
    unit = in_units(x)[1]
    x, tolerance = x / unit, tolerance / unit
    found = [_collinear_with(index, x, classes, tolerance) for index in range(len(x))]
    triples, ratio, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return CollinearSamples(triples, ratio, unit * distance)


def _tolerance(x: np.ndarray, tolerance: Any) -> float:
    if tolerance is not None:
        return _checks.positive("tolerance", tolerance)
    x, unit = in_units(x)
    return 1e-9 * unit * float(np.sqrt(np.square(x).sum(axis=1).max())) or 1e-9


def _collinear_with(
    index: int, x: np.ndarray, classes: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triples of one sample, ratios and distances: segments past it, and samples of another class at its place."""
    others = np.flatnonzero(classes != classes[index])
    ball = ball_around(x[index], x[others], tolerance)
    same = np.flatnonzero(ball.inside)
    found = [np.empty((0, 2), np.int64), np.stack([same, same], axis=1)]
    found += [np.stack([chords.first, chords.second], axis=1) for chords in chords_past(ball)]
    ends = others[np.concatenate(found)]
    _, _, square, ratio = nearest_on_segment(*(x[ends[:, i]] - x[index] for i in (0, 1)))
    ratio[: len(same)] = 1.0
    return np.insert(ends, 0, index, axis=1), ratio, np.sqrt(square)
