"""Intervals of splits that share rows, against numbers worked out by hand and against simulation."""

import numpy as np
import pytest
from scipy import stats

from kmix_tf.paired import Difference, paired_difference
from kmix_tf.trial import corrected_difference
from kmix_tf.trial.intervals import judged, resolution


def test_the_interval_is_that_of_nadeau_and_bengio_by_hand():
    # Differences 1, 2, 3: mean 2, variance 1. (1/3 + 0.2/0.8) * 1 = 7/12; t with 2 degrees at 97.5 % is 4.302653.
    found = corrected_difference([3.0, 5.0, 7.0], [2.0, 3.0, 4.0], test_share=0.2)
    reach = 4.302653 * np.sqrt(7 / 12)
    assert (found.mean, found.seeds) == (2.0, 3)
    assert found.low == pytest.approx(2 - reach, abs=1e-5) and found.high == pytest.approx(2 + reach, abs=1e-5)
    assert found.p == pytest.approx(2 * stats.t.sf(2 / np.sqrt(7 / 12), 2))


def test_ninety_percent_intervals_are_narrower_and_equal_differences_have_none():
    wide, narrow = (corrected_difference([1.0, 2.0, 3.0], confidence=share) for share in (0.95, 0.9))
    assert narrow.high - narrow.low == pytest.approx(2 * 2.919986 * np.sqrt(1 / 3 + 1 / 3))
    assert narrow.high < wide.high
    assert corrected_difference([2.0, 2.0, 2.0]) == paired_difference([2.0, 2.0, 2.0])
    with pytest.raises(ValueError, match=r"corrected_difference: test_share must be between 0 and 1. Received: .*=1"):
        corrected_difference([1.0, 2.0], test_share=1.0)


def test_false_alarms_are_as_many_as_is_said_where_splits_share_rows():
    """Differences of correlation n_test/n, as Nadeau and Bengio take them to have, around no difference at all."""
    generator, share, splits, trials = np.random.default_rng(0), 0.25, 6, 1500
    common = generator.normal(size=(trials, 1)) * np.sqrt(share)
    drawn = common + generator.normal(size=(trials, splits)) * np.sqrt(1 - share)
    alarms = {
        name: np.mean([found.low > 0 or found.high < 0 for found in map(function, drawn)])
        for name, function in {"corrected": corrected_difference, "plain": paired_difference}.items()
    }
    assert 0.033 < alarms["corrected"] < 0.067 and alarms["plain"] > 0.12


@pytest.mark.parametrize(
    ("low", "high", "splits", "hidden", "expected"),
    [
        (-2.0, -0.1, 3, 0.0, "better"),
        (0.1, 2.0, 3, 0.0, "worse"),
        (-0.4, 0.5, 3, 0.0, "no difference"),
        (-0.4, 0.51, 3, 0.0, "undecided"),
        (-0.4, 0.4, 3, 0.6, "undecided"),
        (0.0, 0.0, 3, 0.1, "no difference"),
        (0.0, 0.0, 3, 0.6, "undecided"),
        (-1.0, -1.0, 4, 0.0, "undecided"),
        (-1.0, -1.0, 5, 0.0, "better"),
        (np.nan, np.nan, 1, 0.0, "undecided"),
    ],
)
def test_verdicts(low, high, splits, hidden, expected):
    assert judged(Difference((low + high) / 2, low, high, 0.5, splits), hidden) == expected


def test_what_hides_in_few_rows_is_the_rule_of_three():
    # If 1 % of rows differ, 300 rows without any are seen once in twenty times.
    unseen = 0.99**300
    assert unseen == pytest.approx(0.05, abs=0.002) and resolution(300) == 1.0
