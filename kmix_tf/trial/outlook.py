"""What a trial makes one expect of another network: probabilities, with how far networks differ in it."""

import math
from typing import NamedTuple

from scipy import stats

from kmix_tf.paired import Difference
from kmix_tf.trial.intervals import WITHIN

# Of what a trial's network finds, a larger one trained longer finds so much on average, with this standard deviation
# beside it in points of error: fitted to the sets of benchmarks/verdicts.py.
_CARRIED, _APART = 0.9, 0.8


class Outlook(NamedTuple):
    """Probabilities that mixing lowers the error, that it raises it, and that it changes it by half a point at most.

    lower + higher = 1.
    """

    lower: float
    higher: float
    within: float


def outlook(difference: Difference, confidence: float = 0.95) -> Outlook | None:
    """What to expect of a larger network's error, from a trial's difference in points of error.

    It is taken to be normal, around a share of the trial's difference, with the trial's uncertainty and that of
    networks, which differ.

    Args:
        difference: of `corrected_difference` at that confidence.

    Returns:
        None of a single split, which says nothing of chance.

    Example:
        >>> from kmix_tf.paired import Difference
        >>> from kmix_tf.trial.outlook import outlook
        >>> round(outlook(Difference(0.0, -2.0, 2.0, 1.0, 15)).lower, 2)
        0.5
    """
    if difference.seeds < 2:
        return None
    own = (difference.high - difference.low) / 2 / float(stats.t.ppf((1 + confidence) / 2, difference.seeds - 1))
    expected, spread = _CARRIED * difference.mean, math.hypot(_CARRIED * own, _APART)
    below, least, most = (float(stats.norm.cdf(at, expected, spread)) for at in (0.0, -WITHIN, WITHIN))
    return Outlook(below, 1 - below, most - least)
