"""What a trial makes one expect of another network."""

import math
from typing import NamedTuple

from scipy import stats

from kmix_tf.paired import Difference
from kmix_tf.trial.intervals import WITHIN


class Outlook(NamedTuple):
    """Probabilities that mixing lowers the error, that it raises it, and that it changes it by half a point at most.

    lower + higher = 1.
    """

    lower: float
    higher: float
    within: float


def outlook(difference: Difference, unseen: float = 0.0, confidence: float = 0.95) -> Outlook | None:
    """What to expect of another network's error, from a trial's difference in points of error.

    That is taken to be as the trial's interval has it: Student's t around the trial's difference. Nothing is fitted;
    on the sets of benchmarks/verdicts.py, where a network four times as wide was trained longer on other splits,
    these probabilities came true, and a normal distribution with a factor and a spread of its own fitted to other
    sets did not do better.

    Args:
        difference: of `corrected_difference` at that confidence.
        unseen: points of error that may hide in the rows tested, as a `Trial` has it; half of it counts as a standard
            error more.

    Returns:
        None of a single split, which says nothing of chance.

    Example:
        >>> from kmix_tf.paired import Difference
        >>> from kmix_tf.trial.outlook import outlook
        >>> found = outlook(Difference(1.0, -1.0, 3.0, 0.3, 15))
        >>> round(found.higher, 2), round(found.within, 2)
        (0.85, 0.24)
    """
    if difference.seeds < 2:
        return None
    freedom = difference.seeds - 1
    own = (difference.high - difference.low) / 2 / float(stats.t.ppf((1 + confidence) / 2, freedom))
    spread = max(math.hypot(own, unseen / 2), 1e-9)
    below, least, most = (
        float(stats.t.cdf((at - difference.mean) / spread, freedom)) for at in (0.0, -WITHIN, WITHIN)
    )
    return Outlook(below, 1 - below, most - least)
