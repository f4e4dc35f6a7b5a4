"""Splits of rows that depend on one another: what is tested on must not be known from what was trained on."""

import itertools

import numpy as np

from kmix_tf.trial.parting import TEST, VALIDATION, Split
from kmix_tf.trial.problem import CannotSay

# Windows of time, each of a half of the rows, so that what they test on, an eighth each, is not shared.
WINDOWS, WINDOW = 5, 0.5
# Fewer groups are no sample of groups.
LEAST_GROUPS = 8


def split_times(time: np.ndarray, number: int) -> Split:
    """A window of half of the rows: of its time the first 60 % to train on, then 15 % to stop by, 25 % to test on.

    Window 0 is the earliest and `WINDOWS` - 1 ends with the last row. Rows of one time are of one part.

    Args:
        time: `(n,)`.
    """
    rows = np.argsort(time, kind="stable")
    start = round(number * (1 - WINDOW) * len(rows) / (WINDOWS - 1))
    ends = [start + round(share * WINDOW * len(rows)) for share in (0, 1 - TEST - VALIDATION, 1 - TEST, 1)]
    # A cut goes to where its time begins.
    cuts = [*(int(np.searchsorted(time[rows], time[rows[end]])) for end in ends[:-1]), ends[-1]]
    train, validation, test = (rows[first:last] for first, last in itertools.pairwise(cuts))
    if not (len(train) and len(validation) and len(test)):
        raise CannotSay("rows do not differ enough in time: later ones must be left to stop by and to test on")
    return Split(*map(np.sort, (train, validation, test)))


def split_groups(groups: np.ndarray, seed: int, number: int) -> Split:
    """Whole groups, drawn at random: about a quarter of the rows to test on, 15 % to stop by, the rest to train on.

    A group of more rows than a part should have is only trained on.

    Args:
        groups: int `(n,)`, from 0.
    """
    sizes = np.bincount(groups)
    if len(sizes) < LEAST_GROUPS:
        raise CannotSay(f"there are {len(sizes)} groups, and a trial that splits by them needs {LEAST_GROUPS}")
    order = np.random.default_rng([seed, number, 31]).permutation(len(sizes))
    test = _filled(order, sizes, TEST * len(groups))
    left = order[~np.isin(order, test)]
    validation = _filled(left, sizes, VALIDATION * len(groups))
    if not (len(test) and len(validation)):
        raise CannotSay("nearly all rows are of a few groups, so that none are left to test on")
    is_test, is_validation = np.isin(groups, test), np.isin(groups, validation)
    return Split(*map(np.flatnonzero, (~(is_test | is_validation), is_validation, is_test)))


def _filled(order: np.ndarray, sizes: np.ndarray, rows: float) -> np.ndarray:
    """Groups in order until there are as many rows, or the next would be too many by more than are missing."""
    taken, count = [], 0
    for group in order:
        if abs(count + sizes[group] - rows) < abs(count - rows):
            taken.append(int(group))
            count += sizes[group]
    return np.array(taken, np.int64)
