"""What pairs of runs say: how far apart two arms are, how surely, and what that makes of a claim."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from kmix_tf import _checks

# Fewer equal differences are no surprise where what is counted is coarse: an error of one sample more or less.
_FEWEST_ALIKE = 5
HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "does not", "undecided", "not tested"


class Difference(NamedTuple):
    """The mean of differences, one a seed; its interval; the p-value of a paired t-test that it is 0; their number.

    Of one seed, `low`, `high` and `p` are NaN: one difference says nothing of chance.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int


@_checks.speaks
def paired_difference(first: Any, second: Any = 0.0, confidence: float = 0.95) -> Difference:
    """How much more `first` has than `second`, seed by seed.

    Args:
        first, second: a number a seed, `(seeds,)`; or one number for all seeds.
        confidence: of the interval, between 0 and 1.

    Returns:
        `Difference(mean, low, high, p, seeds)`. Where all seeds differ by the same, the interval is that number.

    Raises:
        ValueError: for numbers that are not finite, none at all, unequal lengths, or a confidence out of range.

    Example:
        >>> from kmix_tf.paired import paired_difference
        >>> found = paired_difference([5.0, 6.0, 7.0], [4.0, 4.0, 4.0])
        >>> found.mean, round(found.low, 2), round(found.high, 2), round(found.p, 3)
        (2.0, -0.48, 4.48, 0.074)
    """
    values = _differences(first, second)
    confidence = _checks.number("confidence", confidence)
    if not 0 < confidence < 1:
        raise _checks.problem(f"confidence must be between 0 and 1. Received: confidence={confidence:g}.")
    mean, size = float(values.mean()), len(values)
    if abs(mean) < 1e-12 * np.abs(values).max():
        mean = 0.0  # what rounding leaves of a sum that is nothing
    if size == 1:
        return Difference(mean, math.nan, math.nan, math.nan, size)
    error = float(values.std(ddof=1)) / math.sqrt(size)
    if error <= 1e-12 * abs(mean):
        return Difference(mean, mean, mean, 0.0 if mean else 1.0, size)
    reach = float(stats.t.ppf((1 + confidence) / 2, size - 1)) * error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of differences that are nearly alike
        p = float(stats.ttest_1samp(values, 0.0).pvalue)
    return Difference(mean, mean - reach, mean + reach, p, size)


def _differences(first: Any, second: Any) -> np.ndarray:
    first, second = (np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (first, second))
    if first.ndim > 1 or second.ndim > 1 or (len(second) not in (1, len(first)) and len(first) != 1):
        raise _checks.problem(
            f"first and second must be (seeds,), equally long. Received: shapes {first.shape} and {second.shape}."
        )
    values = first - second
    if not len(values):
        raise _checks.problem("first must have at least one seed. Received: none.")
    if not np.isfinite(values).all():
        raise _checks.problem("first and second must be finite. Received: NaN or infinity.")
    return values


def verdict(difference: Difference, above: float = 0.0) -> str:
    """What an effect says of the claim that it is more than `above`.

    Returns:
        "holds" or "does not", if the interval lies on one side; "undecided" if not, and if fewer than five seeds
        differ by exactly the same; "not tested" with one seed.
    """
    if difference.seeds < 2:
        return UNTESTED
    is_alike = difference.low == difference.high
    if is_alike and difference.seeds < _FEWEST_ALIKE:
        return UNDECIDED
    if difference.low > above:
        return HOLDS
    # An effect of nothing at all, in every seed, is not more than nothing.
    is_below = difference.high < above or is_alike
    return FAILS if is_below else UNDECIDED
