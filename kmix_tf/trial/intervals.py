"""What differences between arms say, where the training sets of splits overlap."""

import math
from typing import Any

import numpy as np
from scipy import stats

from kmix_tf import _checks
from kmix_tf.paired import Difference, paired_difference

BETTER, WORSE, SAME, UNDECIDED = "better", "worse", "no difference", "undecided"
# Points of error within which two arms are as good as equal.
WITHIN = 0.5
# Fewer equal differences are no surprise where what is counted is coarse.
_FEWEST_ALIKE = 5


@_checks.speaks
def corrected_difference(
    first: Any, second: Any = 0.0, test_share: float = 0.25, confidence: float = 0.95
) -> Difference:
    """How much more `first` has than `second`, split by split, with an interval that knows that splits overlap.

    Splits of one data set train on much the same rows, so their differences are alike, and a t-interval of them is
    too narrow. The variance of their mean is taken to be (1/J + n_test/n_rest) s^2, for J splits; s^2 / J would be
    that of independent ones.

    Args:
        first, second: a number a split, `(splits,)`; or one number for all.
        test_share: of the rows that are tested on, between 0 and 1; the rest is learnt from.
        confidence: of the interval, between 0 and 1.

    Returns:
        `Difference(mean, low, high, p, seeds)`, as `kmix_tf.paired.paired_difference`; seeds is the number of splits.

    Raises:
        ValueError: as `paired_difference`, or for a share out of range.

    Source: Nadeau and Bengio 2003, Inference for the generalization error, Section 3 (corrected resampled t-test).

    Example:
        >>> from kmix_tf.trial import corrected_difference
        >>> found = corrected_difference([5.0, 6.0, 7.0], [4.0, 4.0, 4.0], test_share=0.25)
        >>> found.mean, round(found.low, 2), round(found.high, 2)
        (2.0, -1.51, 5.51)
    """
    share = _checks.number("test_share", test_share)
    if not 0 < share < 1:
        raise _checks.problem(f"test_share must be between 0 and 1. Received: test_share={share:g}.")
    plain = paired_difference(first, second, confidence)
    if plain.seeds < 2 or plain.low == plain.high:
        return plain
    stretch = math.sqrt(1 + plain.seeds * share / (1 - share))
    reach = stretch * (plain.high - plain.mean)
    error = reach / float(stats.t.ppf((1 + confidence) / 2, plain.seeds - 1))
    p = 2 * float(stats.t.sf(abs(plain.mean) / error, plain.seeds - 1))
    return Difference(plain.mean, plain.mean - reach, plain.mean + reach, p, plain.seeds)


def judged(difference: Difference, resolution: float = 0.0) -> str:
    """What a difference in error, in points, says: better, worse, no difference (within half a point), undecided.

    Args:
        resolution: how far 0 differences may be from none, in points, for as few rows as were tested.
    """
    is_alike = difference.low == difference.high
    if np.isfinite(difference.low) and not (is_alike and difference.seeds < _FEWEST_ALIKE):
        if difference.high < 0:
            return BETTER
        if difference.low > 0:
            return WORSE
    farthest = max(abs(difference.low), abs(difference.high), resolution)
    return SAME if farthest <= WITHIN else UNDECIDED


def resolution(rows: float) -> float:
    """Points of error that may hide in so many rows of which none tells two arms apart, by the rule of three."""
    return 300.0 / rows
