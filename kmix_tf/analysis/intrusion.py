"""How near mixtures come to samples of classes that have no part in them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaincinv

from kmix_tf import _checks
from kmix_tf.analysis.nearest import nearest_rows
from kmix_tf.maths.samples import labelled, numbered

Progress = Callable[[int, int], None]


class Mixtures(NamedTuple):
    """ratio x[first] + (1 - ratio) x[second]: indices and ratios `(m,)`."""

    first: np.ndarray
    second: np.ndarray
    ratio: np.ndarray


class Intrusion(NamedTuple):
    """A mixture near a sample of a third class: index of the sample, of the samples mixed, the ratio of the first,
    and the distance."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    first: int
    second: int
    ratio: float
    distance: float


class IntrusionDistances(NamedTuple):
    """Distances of samples from the nearest mixture of other classes than theirs.

    minimum, mean: floats, over all samples. class_minimum, class_mean: `(classes,)` float64, over the samples of each
    class, NaN for a class of none. distances: `(n,)` float64. nearest: `Intrusion`s of the nearest, nearest first.
    """

    minimum: float
    mean: float
    class_minimum: np.ndarray
    class_mean: np.ndarray
    distances: np.ndarray
    nearest: tuple[Intrusion, ...]


class Conflict(NamedTuple):
    """Mixtures of two classes, first_class <= second_class, that fall nearest to a sample of a third.

    conflicts: how many, of `mixtures` of these two classes. share: their ratio, in the confidence interval [low,
    high].
    """

    first_class: int
    second_class: int
    nearest_class: int
    conflicts: int
    mixtures: int
    share: float
    low: float
    high: float


class LabelConflicts(NamedTuple):
    """Mixtures whose nearest sample is of a class without part in the label.

    conflicts: how many, of `mixtures`. share: their ratio, in the confidence interval [low, high]. triples: the same
    by classes mixed and met, `Conflict`s, the most frequent first.
    """

    share: float
    low: float
    high: float
    conflicts: int
    mixtures: int
    triples: tuple[Conflict, ...]


@_checks.speaks
def intrusion_distances(
    x: Any,
    y: Any,
    alpha: float,
    epochs: int = 1,
    same_class: bool = False,
    offenders: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> IntrusionDistances:
    """How far each sample is from the nearest mixture of two classes other than its own.

    Were that distance 0, no continuous classifier could fit both. The paper compares it with the inverse of the
    model's Lipschitz constant.

    Args:
        x: numeric `(n, ...)`, finite.
        y: integer classes `(n,)` below 16,384, or one-hot or soft labels `(n, classes)`, whose largest counts.
        alpha: of Beta(alpha, alpha), finite and >= 0.
        epochs: an integer >= 1. In each, every sample is mixed with one drawn from all.
        same_class: counts also mixtures of two samples of one other class, as the paper's Table 2 does.
        offenders: how many of the nearest are listed, an integer >= 0.
        seed: an integer >= 0.
        progress: called with the number of epochs done, and of all.

    Returns:
        `IntrusionDistances(minimum, mean, class_minimum, class_mean, distances, nearest)`, Euclidean. Mixtures are
        made in blocks, and compared in float32; what is reported is computed in float64.

    Raises:
        ValueError: for other arguments; for fewer than three classes, or two with `same_class`; or if a sample met
            no mixture.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Table 2: the minimum.

    Example:
        >>> from kmix_tf.analysis.intrusion import intrusion_distances
        >>> x, y = np.arange(60.0)[:, np.newaxis] // 20, np.arange(60) // 20  # classes at 0, 1 and 2
        >>> found = intrusion_distances(x, y, alpha=1.0, epochs=10)
        >>> found.class_minimum.round(1).tolist()  # mixtures of 0 and 2 pass by 1
        [1.0, 0.0, 1.0]
    """
    alpha, epochs = _checks.number("alpha", alpha), _checks.integer("epochs", epochs, minimum=1)
    offenders = _checks.integer("offenders", offenders, minimum=0)
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    same_class = _checks.flag("same_class", same_class)
    progress = _checks.function("progress", progress, lambda done, total: None)
    x, y, classes = labelled(x, y)
    _require_third_class(classes, same_class)
    columns = ("distance", "first", "second", "ratio")
    best = dict(zip(columns, np.full((4, len(x)), np.inf), strict=True))
    for epoch in range(epochs):
        made = _epoch(len(x), alpha, generator)
        if not same_class:
            made = Mixtures(*(values[classes[made.first] != classes[made.second]] for values in made))
        if len(made.first):
            _improve(best, made, x, classes)
        progress(epoch + 1, epochs)
    return _summary(best, classes, y.shape[1], offenders)


@_checks.speaks
def label_conflicts(
    x: Any,
    y: Any,
    alpha: float,
    mixtures: int = 20000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> LabelConflicts:
    """How often a mixture falls nearer to a sample of a class it has no part of than to any other of its classes.

    Mixtures are of two different random samples, of one class or of two; those two do not count as near.

    Args:
        x, y, alpha: as in `intrusion_distances`; two classes or more, n >= 3.
        mixtures: how many, an integer >= 1. They are independent draws, so the counts are binomial.
        confidence: of the intervals, in (0, 1), each for itself.
        seed: an integer >= 0.
        progress: called with the number of mixtures done, and of all.

    Returns:
        `LabelConflicts(share, low, high, conflicts, mixtures, triples)`. Intervals are those of Clopper and Pearson,
        for the share among all mixtures of these data. Mixtures are made and compared in blocks.

    Raises:
        ValueError: for other arguments.

    Source: after Towards Understanding the Data Dependency of Mixup-style Training, Section 2.4, and the manifold
    intrusion of Guo, Mao and Zhang 2019.

    Example:
        >>> from kmix_tf.analysis.intrusion import label_conflicts
        >>> x, y = np.arange(60.0)[:, np.newaxis] // 20, np.arange(60) // 20  # classes at 0, 1 and 2
        >>> found = label_conflicts(x, y, alpha=1.0, mixtures=1000)
        >>> [(kind.first_class, kind.second_class, kind.nearest_class) for kind in found.triples]
        [(0, 2, 1)]
        >>> found.triples[0].low < 0.5 < found.triples[0].high
        True
    """
    alpha, mixtures = _checks.number("alpha", alpha), _checks.integer("mixtures", mixtures, minimum=1)
    if not 0 < _checks.probability("confidence", confidence) < 1:
        _checks.refuse("confidence", "in (0, 1)", confidence)
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    progress = _checks.function("progress", progress, lambda done, total: None)
    x, classes, kinds = numbered(x, y, least=2)
    if len(x) < 3:
        raise _checks.problem(f"x must hold at least 3 samples: two to mix, and another. Received: {len(x)}.")
    made = _pairs(len(x), mixtures, alpha, generator)

    def points(these: slice) -> np.ndarray:
        return _mix(x, Mixtures(*(values[these] for values in made)))

    def forbid(scores: np.ndarray, these: slice) -> None:
        for ends in (made.first, made.second):
            scores[np.arange(len(scores)), ends[these]] = np.inf

    nearest, _ = nearest_rows(points, mixtures, x, forbid, progress)
    first, second = np.sort(np.stack([classes[made.first], classes[made.second]]), axis=0)
    return _counted(first, second, classes[nearest], kinds, confidence)


def _require_third_class(classes: np.ndarray, same_class: bool) -> None:
    present, needed = len(np.unique(classes)), 2 if same_class else 3
    if present < needed:
        hint = "" if same_class or present < 2 else "; same_class=True compares two"
        raise _checks.problem(
            f"y must have samples of at least {needed} classes, as samples are compared with mixtures of "
            f"other classes{hint}. Received: {present}."
        )


def _ratios(size: int, alpha: float, generator: np.random.Generator) -> np.ndarray:
    return generator.beta(alpha, alpha, size) if alpha else np.ones(size)


def _epoch(size: int, alpha: float, generator: np.random.Generator) -> Mixtures:
    """Each sample mixed with one drawn from all, itself included."""
    return Mixtures(np.arange(size), generator.integers(size, size=size), _ratios(size, alpha, generator))


def _pairs(size: int, count: int, alpha: float, generator: np.random.Generator) -> Mixtures:
    """Mixtures of two different samples."""
    first = generator.integers(size, size=count)
    second = (first + 1 + generator.integers(size - 1, size=count)) % size
    return Mixtures(first, second, _ratios(count, alpha, generator))


def _mix(x: np.ndarray, made: Mixtures) -> np.ndarray:
    ratio = made.ratio[:, np.newaxis]
    return ratio * x[made.first] + (1 - ratio) * x[made.second]


def _improve(best: dict[str, np.ndarray], made: Mixtures, x: np.ndarray, classes: np.ndarray) -> None:
    """Takes over those mixtures that are the nearest so far to a sample of a third class."""
    ends = classes[made.first], classes[made.second]

    def forbid(scores: np.ndarray, these: slice) -> None:
        own = classes[these, np.newaxis]
        scores[(own == ends[0]) | (own == ends[1])] = np.inf

    nearest, distance = nearest_rows(lambda these: x[these], len(x), _mix(x, made), forbid)
    nearer = np.flatnonzero(distance < best["distance"])
    best["distance"][nearer] = distance[nearer]
    for name in ("first", "second", "ratio"):
        best[name][nearer] = getattr(made, name)[nearest[nearer]]


def _summary(best: dict[str, np.ndarray], classes: np.ndarray, count: int, offenders: int) -> IntrusionDistances:
    distances = best["distance"]
    if not np.isfinite(distances).all():
        raise _checks.problem(
            f"epochs must be enough for mixtures of other classes for each sample. Received: none for "
            f"{np.isinf(distances).sum()} of {len(distances)} samples. Take more epochs or more samples."
        )
    of_class = [distances[classes == label] for label in range(count)]
    nearest = tuple(
        Intrusion(i, int(best["first"][i]), int(best["second"][i]), float(best["ratio"][i]), float(distances[i]))
        for i in np.argsort(distances, kind="stable")[:offenders].tolist()
    )
    return IntrusionDistances(
        float(distances.min()),
        float(distances.mean()),
        np.array([values.min() if len(values) else np.nan for values in of_class]),
        np.array([values.mean() if len(values) else np.nan for values in of_class]),
        distances,
        nearest,
    )


def _counted(
    first: np.ndarray, second: np.ndarray, nearest: np.ndarray, names: np.ndarray, confidence: float
) -> LabelConflicts:
    classes, wrong = len(names), (nearest != first) & (nearest != second)
    pairs = dict(zip(*np.unique(first * classes + second, return_counts=True), strict=True))
    keys = np.ravel_multi_index((first[wrong], second[wrong], nearest[wrong]), (classes,) * 3)
    kinds, counts = np.unique(keys, return_counts=True)
    triples = []
    for i in np.argsort(-counts, kind="stable"):
        a, b, c = (int(part) for part in np.unravel_index(kinds[i], (classes,) * 3))
        conflicts, of = int(counts[i]), int(pairs[a * classes + b])
        one, other, met = names[[a, b, c]].tolist()
        triples.append(Conflict(one, other, met, conflicts, of, *_share(conflicts, of, confidence)))
    conflicts = int(wrong.sum())
    return LabelConflicts(*_share(conflicts, len(wrong), confidence), conflicts, len(wrong), tuple(triples))


def _share(hits: int, of: int, confidence: float) -> tuple[float, float, float]:
    """A share and its Clopper-Pearson interval."""
    tail = (1 - confidence) / 2
    low = betaincinv(hits, of - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, of - hits, 1 - tail) if hits < of else 1.0
    return hits / of, float(low), float(high)
