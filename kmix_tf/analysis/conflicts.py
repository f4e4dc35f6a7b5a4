"""How often mixtures fall to a class that has no part in them, and how often their own samples do so unmixed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaincinv

from kmix_tf import _checks
from kmix_tf.analysis.mixtures import Mixtures, mixed, pairs_of
from kmix_tf.analysis.nearest import nearest_rows
from kmix_tf.maths.samples import numbered

Progress = Callable[[int, int], None]


class Conflict(NamedTuple):
    """Mixtures of two classes, first_class <= second_class, that fall nearest to a sample of a third.

    conflicts: how many, of `mixtures` of these two classes. share: their ratio, in the confidence interval [low,
    high]. baseline: the share of the same pairs that do so unmixed.
    """

    first_class: int
    second_class: int
    nearest_class: int
    conflicts: int
    mixtures: int
    share: float
    low: float
    high: float
    baseline: float


class LabelConflicts(NamedTuple):
    """Mixtures whose nearest sample is of a class without part in the label.

    conflicts: how many, of `mixtures`. share: their ratio, in the confidence interval [low, high]. triples: the same
    by classes mixed and met, a `Conflict` each, the most frequent first. baseline: what the same pairs have unmixed.
    excess: share - baseline, what mixing adds, in the confidence interval [excess_low, excess_high].
    """

    share: float
    low: float
    high: float
    conflicts: int
    mixtures: int
    triples: tuple[Conflict, ...]
    baseline: float
    excess: float
    excess_low: float
    excess_high: float


class _Met(NamedTuple):
    """Classes of mixtures' ends `(2, m)`; ratio `(m,)`; the class nearest to each mixture `(m,)` and end `(2, m)`."""

    ends: np.ndarray
    ratio: np.ndarray
    by_mixture: np.ndarray
    by_end: np.ndarray

    def is_foreign(self, met: np.ndarray) -> np.ndarray:
        """Where a class met is of neither end."""
        return (met != self.ends[0]) & (met != self.ends[1])

    def unmixed(self, is_so: np.ndarray) -> np.ndarray:
        """What is so of the ends, `(2, m)`, each counted by its share of the mixture: `(m,)`."""
        return self.ratio * is_so[0] + (1 - self.ratio) * is_so[1]


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

    Mixtures are of two different random samples, of one class or of two; those two do not count as near. Classes
    that overlap meet foreign ones unmixed, too. So the same is asked of both ends of each pair as they are, again
    without the two; each end counts by its share of the mixture: `baseline`. At alpha = 0 the excess is 0 exactly.

    Args:
        x, y, alpha: as in `intrusion_distances`; two classes or more, n >= 3.
        mixtures: how many, an integer >= 1. They are independent draws, so the counts are binomial.
        confidence: of the intervals, in (0, 1), each for itself.
        seed: an integer >= 0. Whatever alpha, it draws the same pairs.
        progress: called with the number of mixtures done, and of all.

    Returns:
        `LabelConflicts(share, low, high, conflicts, mixtures, triples, baseline, excess, excess_low, excess_high)`.
        Intervals of shares are those of Clopper and Pearson, that of the excess is of paired differences (Maurer and
        Pontil 2009, Theorem 4, on both sides; it holds for any number of mixtures); all are for the mixtures of
        these data.

    Raises:
        ValueError: for other arguments.

    Source: after Towards Understanding the Data Dependency of Mixup-style Training, Section 2.4, and the manifold
    intrusion of Guo, Mao and Zhang 2019.

    Example:
        >>> from kmix_tf.analysis.conflicts import label_conflicts
        >>> x, y = np.arange(60.0)[:, np.newaxis] // 20, np.arange(60) // 20  # classes at 0, 1 and 2
        >>> found = label_conflicts(x, y, alpha=1.0, mixtures=1000)
        >>> [(kind.first_class, kind.second_class, kind.nearest_class) for kind in found.triples]
        [(0, 2, 1)]
        >>> found.triples[0].low < 0.5 < found.triples[0].high
        True
        >>> found.baseline, found.excess == found.share
        (0.0, True)
    """
    (found,) = conflicts_by_alpha(x, y, (alpha,), mixtures, confidence, seed, progress)
    return found


@_checks.speaks
def conflicts_by_alpha(
    x: Any,
    y: Any,
    alphas: Sequence[float],
    mixtures: int = 20000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[LabelConflicts]:
    """`label_conflicts` at several alphas, for which the ends of the pairs are asked but once."""
    alphas, mixtures = [_checks.number("alpha", alpha) for alpha in alphas], _checks.integer("mixtures", mixtures, 1)
    if not 0 < _checks.probability("confidence", confidence) < 1:
        _checks.refuse("confidence", "in (0, 1)", confidence)
    seed = _checks.integer("seed", seed, minimum=0)
    progress = _checks.function("progress", progress, lambda done, total: None)
    x, classes, kinds = numbered(x, y, least=2)
    if len(x) < 3:
        raise _checks.problem(f"x must hold at least 3 samples: two to mix, and another. Received: {len(x)}.")
    drawn = [pairs_of(len(x), mixtures, alpha, np.random.default_rng(seed)) for alpha in alphas]
    beside, ends = classes[nearest_to_ends(x, drawn[0])], classes[np.stack(drawn[0][:2])]
    found = []
    for made in drawn:
        nearest = classes[nearest_to_mixtures(x, made, progress)]
        found.append(_counted(_Met(ends, made.ratio, nearest, beside), kinds, confidence))
    return found


def nearest_to_mixtures(x: np.ndarray, made: Mixtures, progress: Progress = lambda done, total: None) -> np.ndarray:
    """Of each mixture the nearest row of x but its two ends, `(m,)`."""

    def points(these: slice) -> np.ndarray:
        return mixed(x, Mixtures(*(values[these] for values in made)))

    def forbid(scores: np.ndarray, these: slice) -> None:
        for ends in (made.first, made.second):
            scores[np.arange(len(scores)), ends[these]] = np.inf

    return nearest_rows(points, len(made.first), x, forbid, progress)[0]


def nearest_to_ends(x: np.ndarray, made: Mixtures) -> np.ndarray:
    """Of both ends of each mixture the nearest row of x but the two, `(2, m)`."""
    ends, partners = np.concatenate(made[:2]), np.concatenate(made[1::-1])
    own, places = np.unique(ends, return_inverse=True)
    # A sample is in many pairs: it is asked once, and again only where it found its partner.
    nearest = _nearest_but(x, own, own[:, np.newaxis])[places]
    again = np.flatnonzero(nearest == partners)
    if len(again):
        nearest[again] = _nearest_but(x, ends[again], np.stack([ends[again], partners[again]], axis=1))
    return nearest.reshape(2, -1)


def _nearest_but(x: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of some rows of x the nearest one that is not among `others` `(rows, ...)`."""

    def forbid(scores: np.ndarray, these: slice) -> None:
        scores[np.arange(len(scores))[:, np.newaxis], others[these]] = np.inf

    return nearest_rows(lambda these: x[rows[these]], len(rows), x, forbid)[0]


def _counted(met: _Met, names: np.ndarray, confidence: float) -> LabelConflicts:
    wrong, beside = met.is_foreign(met.by_mixture), met.unmixed(met.is_foreign(met.by_end))
    conflicts, size, triples = int(wrong.sum()), len(wrong), tuple(_triples(met, wrong, names, confidence))
    share, low, high = _share(conflicts, size, confidence)
    added = _mean(wrong - beside, confidence)
    return LabelConflicts(share, low, high, conflicts, size, triples, float(beside.mean()), *added)


def _triples(met: _Met, wrong: np.ndarray, names: np.ndarray, confidence: float) -> Iterator[Conflict]:
    """The most frequent first."""
    classes, (first, second) = len(names), np.sort(met.ends, axis=0)
    pairs = dict(zip(*np.unique(first * classes + second, return_counts=True), strict=True))
    by_mixture, by_one, by_other = (
        np.ravel_multi_index((first, second, third), (classes,) * 3) for third in (met.by_mixture, *met.by_end)
    )
    unmixed = _sums(np.concatenate([by_one, by_other]), np.concatenate([met.ratio, 1 - met.ratio]))
    kinds, counts = np.unique(by_mixture[wrong], return_counts=True)
    for i in np.argsort(-counts, kind="stable"):
        a, b, c = (int(part) for part in np.unravel_index(kinds[i], (classes,) * 3))
        conflicts, of = int(counts[i]), int(pairs[a * classes + b])
        baseline = unmixed.get(int(kinds[i]), 0.0) / of
        one, other, third = names[[a, b, c]].tolist()
        yield Conflict(one, other, third, conflicts, of, *_share(conflicts, of, confidence), baseline)


def _sums(keys: np.ndarray, values: np.ndarray) -> dict[int, float]:
    """Of the values of each key."""
    kinds, places = np.unique(keys, return_inverse=True)
    return dict(zip(kinds.tolist(), np.bincount(places.reshape(-1), values).tolist(), strict=True))


def _share(hits: int, of: int, confidence: float) -> tuple[float, float, float]:
    """A share and its Clopper-Pearson interval."""
    tail = (1 - confidence) / 2
    low = betaincinv(hits, of - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, of - hits, 1 - tail) if hits < of else 1.0
    return hits / of, float(low), float(high)


def _mean(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The mean of independent values in [-1, 1] and its interval.

    By Maurer and Pontil's bound, as Student's interval is a point where a sample has missed what is rare.
    """
    mean, size = float(values.mean()), len(values)
    if size == 1:
        return mean, -1.0, 1.0
    tail = np.log(4 / (1 - confidence))
    reach = float(np.sqrt(2 * values.var(ddof=1) * tail / size) + 14 * tail / (3 * (size - 1)))
    return mean, max(mean - reach, -1.0), min(mean + reach, 1.0)
