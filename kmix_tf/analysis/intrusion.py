"""How near mixtures come to samples of classes that have no part in them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.mixtures import Mixtures, epoch_of, mixed
from kmix_tf.analysis.nearest import nearest_rows
from kmix_tf.maths.samples import labelled

Progress = Callable[[int, int], None]


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
    class, NaN for a class of none. distances: `(n,)` float64. nearest: an `Intrusion` each, nearest first.
    """

    minimum: float
    mean: float
    class_minimum: np.ndarray
    class_mean: np.ndarray
    distances: np.ndarray
    nearest: tuple[Intrusion, ...]


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
        made = epoch_of(len(x), alpha, generator)
        if not same_class:
            made = Mixtures(*(values[classes[made.first] != classes[made.second]] for values in made))
        if len(made.first):
            _improve(best, made, x, classes)
        progress(epoch + 1, epochs)
    return _summary(best, classes, y.shape[1], offenders)


def _require_third_class(classes: np.ndarray, same_class: bool) -> None:
    present, needed = len(np.unique(classes)), 2 if same_class else 3
    if present < needed:
        hint = "" if same_class or present < 2 else "; same_class=True compares two"
        raise _checks.problem(
            f"y must have samples of at least {needed} classes, as samples are compared with mixtures of "
            f"other classes{hint}. Received: {present}."
        )


def _improve(best: dict[str, np.ndarray], made: Mixtures, x: np.ndarray, classes: np.ndarray) -> None:
    """Takes over those mixtures that are the nearest so far to a sample of a third class."""
    ends = classes[made.first], classes[made.second]

    def forbid(scores: np.ndarray, these: slice) -> None:
        own = classes[these, np.newaxis]
        scores[(own == ends[0]) | (own == ends[1])] = np.inf

    nearest, distance = nearest_rows(lambda these: x[these], len(x), mixed(x, made), forbid)
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
