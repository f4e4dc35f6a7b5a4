"""How far labels of mixtures are from those of the samples nearest to them: conflicts, where labels are numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.conflicts import nearest_to_ends, nearest_to_mixtures
from kmix_tf.analysis.mixtures import pairs_of
from kmix_tf.maths.samples import as_numbers


class LabelDistance(NamedTuple):
    """distance: mean over mixtures; baseline: the same of their ends, unmixed; both in spreads of the targets.

    excess: distance - baseline, what mixing adds, with its 95 % interval [low, high] over the pairs drawn.
    """

    distance: float
    baseline: float
    excess: float
    low: float
    high: float


@_checks.speaks
def label_distance(
    x: Any, y: Any, alphas: Sequence[float] = (1.0,), mixtures: int = 4000, seed: int = 0
) -> list[LabelDistance]:
    """How much farther labels of mixtures are from those of the nearest samples than samples' own labels are.

    Mixtures are of two different random samples; of each, and of both its ends, the nearest sample but these two is
    sought, and the distance between its label and theirs. An end counts by its share of the mixture. Mixing leaves a
    target that is linear in x as it is; where it bends, mixtures have labels that no sample near them has.

    Args:
        x: `(n, ...)`, finite, n >= 3. y: numbers `(n,)` or `(n, targets)`, finite, not all equal; distances are
            Euclidean, in units of each target's standard deviation.
        alphas: numbers >= 0; at 0 nothing is mixed, and the excess is 0.
        mixtures: how many pairs, an integer >= 2; the same for all alphas.
        seed: of the pairs, an integer >= 0.

    Returns:
        a `LabelDistance` for each alpha.

    Raises:
        ValueError: for other arguments.

    Source: after Yao et al. 2022, C-Mixup, which mixes near labels for this reason, and the conflicts of
    `label_conflicts`.

    Example:
        >>> from kmix_tf.analysis import label_distance
        >>> x = np.linspace(-1, 1, 101)[:, np.newaxis]
        >>> line, bend = (label_distance(x, y, mixtures=500)[0].excess for y in (x, x**2))
        >>> round(abs(line), 1), round(bend, 1)
        (0.0, 0.3)
    """
    x, y = _checked(x, y)
    alphas = [_checks.number("alpha", alpha, minimum=0) for alpha in alphas]
    mixtures, seed = _checks.integer("mixtures", mixtures, minimum=2), _checks.integer("seed", seed, minimum=0)
    drawn = [pairs_of(len(x), mixtures, alpha, np.random.default_rng(seed)) for alpha in alphas]
    if not drawn:
        raise _checks.problem("alphas must hold at least one number. Received: none.")
    ends, beside = y[np.stack(drawn[0][:2])], y[nearest_to_ends(x, drawn[0])]
    own = np.linalg.norm(ends - beside, axis=2)
    found = []
    for made in drawn:
        ratio = made.ratio[:, np.newaxis]
        label = ratio * ends[0] + (1 - ratio) * ends[1]
        apart = np.linalg.norm(label - y[nearest_to_mixtures(x, made)], axis=1)
        found.append(_compared(apart, made.ratio * own[0] + (1 - made.ratio) * own[1]))
    return found


def _compared(apart: np.ndarray, unmixed: np.ndarray) -> LabelDistance:
    added = apart - unmixed
    reach = 1.96 * float(added.std(ddof=1)) / np.sqrt(len(added))
    mean = float(added.mean())
    return LabelDistance(float(apart.mean()), float(unmixed.mean()), mean, mean - reach, mean + reach)


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = as_numbers("x", x), as_numbers("y", y)
    if x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y) or len(x) < 3:
        raise _checks.problem(
            f"x must be (n, ...) and y (n,) or (n, targets), n >= 3. Received: shapes {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise _checks.problem("x and y must be finite. Received: NaN or infinity.")
    y = y.reshape(len(y), -1)
    spread = y.std(axis=0)
    if not (spread > 0).all():
        raise _checks.problem("y must differ between samples. Received: a target that is the same in all of them.")
    return x.reshape(len(x), -1), (y - y.mean(axis=0)) / spread
