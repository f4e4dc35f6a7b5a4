"""Where mixing fails: training labels that the mixup-optimal classifier contradicts, and from which alpha on."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from kmix_tf import _checks
from kmix_tf.analysis.chords import Ball, Chords, ball_around
from kmix_tf.analysis.optimal_classifier import BetaLaw, Law, chords_of, label_means, mixture_weights, ratio_law
from kmix_tf.maths.samples import Labelled, labelled

# By so much another class must lead: more than rounding, so that ties contradict nothing.
_LEAD = 1e-9
# Chords of a ball that are kept for the next alpha, 250 MB of them; of more, they are cut anew.
_KEPT = 2**22


class FlipThreshold(NamedTuple):
    """alpha: the smallest at which a label is contradicted; 0.0 if one is without mixing, infinity if none is.

    index, label, flipped_to: the sample, its class and the class predicted there, ints; None if there is none.
    checked: `(m,)` int64, the samples looked at. thresholds: `(m,)` float64, the smallest alpha of each.
    """

    alpha: float
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    label: int | None
    flipped_to: int | None
    checked: np.ndarray
    thresholds: np.ndarray


class Contradicted(NamedTuple):
    """share: of the samples looked at, those whose label is contradicted, a float. checked: `(m,)` int64, the samples
    looked at. index, label, flipped_to: `(k,)` int64, those contradicted, their classes, the classes predicted."""

    share: float
    checked: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    label: np.ndarray
    flipped_to: np.ndarray


@_checks.speaks
def flip_threshold(
    x: Any,
    y: Any,
    radius: Any,
    low: float = 1e-2,
    high: float = 1e4,
    per_decade: int = 5,
    max_points: int | None = None,
    seed: int = 0,
) -> FlipThreshold:
    """The alpha from which on a model that fits mixtures perfectly contradicts a training label.

    What is found is the smallest alpha of Beta(alpha, alpha): at larger ones, the label may be in force again.
    Samples are asked without mixing, and at alphas evenly spaced in logarithm; between the last that agrees and the
    first that contradicts, a root is found. A contradiction that comes and goes between two neighbours is missed.

    Args:
        x: numeric `(n, ...)`, finite.
        y: integer classes `(n,)` below 16,384, or one-hot or soft labels `(n, classes)`, whose largest is the class;
            two classes or more.
        radius: of the balls in which predictions are constant, > 0, in the units of x: a number, or `(n,)`, one for
            each sample; 0 there leaves a sample out. With half the distance of nearest neighbours and less, no
            mixing contradicts nothing.
        low, high: the alphas looked at besides 0, 0 < low < high.
        per_decade: alphas looked at from one to ten times it, an integer >= 1.
        max_points: how many samples, drawn at random from those not left out, are asked; an integer >= 1. All by
            default. They are asked about the mixtures of all of x, which takes a pass over all n^2 / 2 pairs each.
        seed: of the draw, an integer >= 0.

    Returns:
        `FlipThreshold(alpha, index, label, flipped_to, checked, thresholds)`. Of samples with the same alpha, index
        is the first.

    Raises:
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Theorem 2.7: however small the radius,
    on the line of 0, 1, 2 with labels 0, 1, 0 there is such an alpha.

    Example:
        >>> from kmix_tf.analysis.flip import flip_threshold
        >>> found = flip_threshold([[0.0], [1.0], [2.0]], [0, 1, 0], radius=0.1)
        >>> round(found.alpha, 2), found.index, found.label, found.flipped_to
        (22.88, 1, 1, 0)
    """
    alphas = _alphas(_checks.positive("low", low), _checks.positive("high", high), per_decade)
    data, radii, checked = _chosen(x, y, radius, max_points, seed)
    found = [_threshold(data, index, radii[index], alphas) for index in checked]
    thresholds = np.array([alpha for alpha, _ in found])
    first = int(thresholds.argmin())
    if not np.isfinite(thresholds[first]):
        return FlipThreshold(np.inf, None, None, None, checked, thresholds)
    index = int(checked[first])
    return FlipThreshold(
        float(thresholds[first]), index, int(data.classes[index]), found[first][1], checked, thresholds
    )


@_checks.speaks
def contradicted(
    x: Any, y: Any, alpha: Any, radius: Any, max_points: int | None = None, seed: int = 0
) -> Contradicted:
    """The training samples whose label a model that fits mixtures perfectly contradicts.

    Args:
        x, y, radius, max_points, seed: as in `flip_threshold`.
        alpha: of Beta(alpha, alpha), finite and >= 0, or a distribution, as in `mixup_optimal_classifier`.

    Returns:
        `Contradicted(share, checked, index, label, flipped_to)`. Ties contradict nothing.

    Raises:
        TypeError: if alpha is neither a number nor a distribution.
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Section 2.3 and Lemma 2.3.

    Example:
        >>> from kmix_tf.analysis.flip import contradicted
        >>> contradicted([[0.0], [1.0], [2.0]], [0, 1, 0], alpha=32, radius=0.1).index.tolist()
        [1]
    """
    return _contradictions(x, y, [ratio_law(alpha)], radius, max_points, seed)[0]


@_checks.speaks
def contradictions(
    x: Any, y: Any, alphas: Sequence[Any], radius: Any, max_points: int | None = None, seed: int = 0
) -> tuple[Contradicted, ...]:
    """`contradicted` at several alphas, in little more time than at one: the same samples are asked, once.

    Where the mixtures of two samples meet a ball does not depend on alpha, and takes most of the time.

    Args:
        x, y, radius, max_points, seed: as in `flip_threshold`.
        alphas: one or more, each as in `contradicted`.

    Returns:
        A `Contradicted` for each alpha, in their order; `checked` is the same in all.

    Raises:
        TypeError: if an alpha is neither a number nor a distribution, or alphas are no sequence.
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Section 2.3 and Lemma 2.3.

    Example:
        >>> from kmix_tf.analysis.flip import contradictions
        >>> x, y = [[0.0], [1.0], [2.0], [4.0]], [0, 1, 0, 1]
        >>> [found.index.tolist() for found in contradictions(x, y, alphas=[1, 32], radius=[0.1, 0.1, 0.1, 0])]
        [[], [1]]
    """
    if np.ndim(alphas) != 1 or len(alphas) == 0:
        _checks.refuse("alphas", "a sequence of one or more", alphas, TypeError)
    return _contradictions(x, y, [ratio_law(alpha) for alpha in alphas], radius, max_points, seed)


def _contradictions(
    x: Any, y: Any, laws: list[Law | None], radius: Any, max_points: int | None, seed: int
) -> tuple[Contradicted, ...]:
    data, radii, checked = _chosen(x, y, radius, max_points, seed)
    winners = np.empty((len(checked), len(laws)), np.int64)
    for row, index in enumerate(checked):
        ball = _ball(data, index, radii[index])
        chords = _kept(functools.partial(chords_of, ball)) if len(laws) > 1 else None
        winners[row] = [_winner(ball, law, data, index, chords)[0] for law in laws]
    return tuple(_told(data, checked, column) for column in winners.T)


def _told(data: Labelled, checked: np.ndarray, winners: np.ndarray) -> Contradicted:
    wrong = winners != data.classes[checked]
    index = checked[wrong]
    return Contradicted(float(wrong.mean()), checked, index, data.classes[index], winners[wrong])


def _alphas(low: float, high: float, per_decade: int) -> np.ndarray:
    if low >= high:
        _checks.refuse("high", f"> low, which is {low:g}", high)
    per_decade = _checks.integer("per_decade", per_decade, minimum=1)
    steps = int(np.ceil(np.log10(high / low) * per_decade))
    return np.append(0.0, np.geomspace(low, high, steps + 1))


def _chosen(
    x: Any, y: Any, radius: Any, max_points: int | None, seed: int
) -> tuple[Labelled, np.ndarray, np.ndarray]:
    """The data, the radius of each sample, and the samples to ask."""
    data = labelled(x, y, least=2)
    radii = _radii(radius, len(data.x))
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    asked = np.flatnonzero(radii)
    if max_points is None or _checks.integer("max_points", max_points, minimum=1) >= len(asked):
        return data, radii, asked
    return data, radii, np.sort(generator.choice(asked, max_points, replace=False))


def _radii(radius: Any, count: int) -> np.ndarray:
    if np.ndim(radius) == 0:
        return np.full(count, _checks.positive("radius", radius))
    radii = np.asarray(radius)
    if radii.shape != (count,) or radii.dtype.kind not in "fiu" or not (np.isfinite(radii) & (radii >= 0)).all():
        rule = f"a number > 0, or ({count},), one for each sample: finite, and > 0, or 0 to leave a sample out"
        _checks.refuse("radius", rule, radius)
    if not radii.any():
        _checks.refuse("radius", "> 0 for one sample at least", radius)
    return radii.astype(np.float64)


def _ball(data: Labelled, index: int, radius: float) -> Ball:
    return ball_around(data.x[index], data.x, radius)


def _winner(
    ball: Ball, law: Law | None, data: Labelled, index: int, chords: Callable[[], Iterable[Chords]] | None = None
) -> tuple[int, float]:
    """The class predicted at a sample, its own where that is not clearly beaten; and by how much that leads."""
    prediction = label_means(mixture_weights(ball, law, chords)[np.newaxis], data.y)[0]
    own = data.classes[index]
    others = prediction.copy()
    others[own] = -np.inf
    lead = prediction[own] - others.max() + _LEAD
    return int(own if lead >= 0 else others.argmax()), float(lead)


def _threshold(data: Labelled, index: int, radius: float, alphas: np.ndarray) -> tuple[float, int | None]:
    """The first alpha at which a sample's label is beaten, and by which class. The chords are the same for all."""
    ball = _ball(data, index, radius)
    chords = _kept(functools.partial(chords_of, ball))

    def winner(alpha: float) -> tuple[int, float]:
        return _winner(ball, BetaLaw(alpha) if alpha else None, data, index, chords)

    agreed = None
    for alpha in alphas:
        beaten_by, lead = winner(alpha)
        if lead >= 0:
            agreed = alpha
        elif agreed is None:
            return 0.0, beaten_by
        else:
            root = brentq(lambda value: winner(value)[1], agreed, alpha, rtol=1e-10, xtol=1e-12)
            return root, beaten_by
    return np.inf, None


def _kept(chords: Callable[[], Iterable[Chords]]) -> Callable[[], Iterable[Chords]]:
    """The same chords again and again: from memory, if they are not too many."""
    blocks: list[Chords] = []
    size = 0
    for block in chords():
        blocks.append(block)
        size += len(block.first)
        if size > _KEPT:
            return chords
    return lambda: blocks
