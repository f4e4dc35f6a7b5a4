"""What is to be learnt: arrays that a network takes, or a reason why nothing can be said."""

import dataclasses
from typing import Any

import numpy as np

from kmix_tf import _checks

CLASSES, MULTILABEL, REGRESSION = "classes", "multilabel", "regression"
TASKS = ("auto", CLASSES, MULTILABEL, REGRESSION)
# Rows of a class: with fewer, a part of the data has none of them.
LEAST_OF_A_CLASS = 5
LEAST_ROWS = 20
# Where the largest class has so many rows for one of the smallest, errors are averages over classes.
UNBALANCED = 5.0
# Below so many different values, each may be a class, however few rows there are.
_FEW = 20


class CannotSay(Exception):
    """Why a trial on these data says nothing: a sentence."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """x: float32 `(n, ...)`, finite. y: float32 `(n, units)`: one-hot classes, labels 0 and 1, or numbers.

    strata: int64 `(n,)`, of which all parts of the data have alike. weight: float32 `(n,)` or None. names: of
    classes. is_balanced: whether errors count every row alike, and not every class. notes: what was done to the data.
    groups: int64 `(n,)`, rows that belong together. time: float64 `(n,)`, when rows were. Both None where rows do not
    depend on one another.
    """

    x: np.ndarray
    y: np.ndarray
    strata: np.ndarray
    weight: np.ndarray | None
    task: str
    names: tuple[str, ...] = ()
    is_balanced: bool = True
    notes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    time: np.ndarray | None = None

    def taken(self, rows: np.ndarray) -> "Problem":
        """Some of the rows."""
        columns = {name: getattr(self, name) for name in ("x", "y", "strata", "weight", "groups", "time")}
        taken: dict[str, Any] = {name: None if each is None else each[rows] for name, each in columns.items()}
        return dataclasses.replace(self, **taken)

    def noted(self, *notes: str) -> "Problem":
        """With more notes."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))

    def thinned(self, size: int, seed: int) -> "Problem":
        """So many of the rows at most, drawn at random, and a note if they are fewer than there were."""
        if size >= len(self.x):
            return self
        rows = np.sort(np.random.default_rng([seed, 17]).permutation(len(self.x))[:size])
        note = f"{size:,} of {len(self.x):,} rows were taken, drawn at random: the time does not do for more."
        return _without_rare(self.taken(rows).noted(note))


def make_problem(
    x: Any,
    y: Any,
    task: str = "auto",
    sample_weight: Any = None,
    standardize: bool = True,
    groups: Any = None,
    time: Any = None,
) -> Problem:
    """Arrays as a network takes them; with `standardize`, tables in units in which float32 loses nothing.

    Raises:
        ValueError: for arrays that do not fit together, or values that are not finite.
        CannotSay: for data from which nothing can be learnt, or of which parts would lack a class.
    """
    x, y = _features(x, standardize), _targets(y)
    if len(x) != len(y):
        raise _checks.problem(f"x and y must be equally long. Received: {len(x)} and {len(y)} rows.")
    beside: dict[str, Any] = {
        "weight": _weights(sample_weight, len(x)),
        "groups": _groups(groups, len(x)),
        "time": _times(time, len(x)),
    }
    if groups is not None and time is not None:
        raise _checks.problem("groups and time must not both be given. Received: both. Split by one of them.")
    if len(x) < LEAST_ROWS:
        raise CannotSay(f"there are {len(x)} rows, and a trial needs at least {LEAST_ROWS}")
    if (x == x[:1]).all():
        raise CannotSay("all features are constant, so that there is nothing to tell rows apart by")
    task, notes = task_of(y, task)
    make = {CLASSES: _of_classes, MULTILABEL: _of_labels, REGRESSION: _of_numbers}[task]
    return make(x, y, beside).noted(*notes, *_of_splits(beside))


def _features(x: Any, standardize: bool) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.size == 0:
        raise _checks.problem(f"x must be numbers (n, ...). Received: shape {x.shape}, dtype {x.dtype}.")
    if not np.isfinite(x).all():
        row, *place = np.argwhere(~np.isfinite(x))[0].tolist()
        raise _checks.problem(
            f"x must be finite. Received: {x[(row, *place)]} in row {row}, feature {', '.join(map(str, place))}. "
            "Fill it in or remove such rows."
        )
    if standardize and x.ndim == 2:
        # Float32 holds no dates in seconds, for one.
        x = _centred(x.astype(np.float64))
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if not np.isfinite(single).all():
        raise _checks.problem(f"x must be at most 3.4e38. Received: {np.abs(x).max():.3g}. Scale it first.")
    return single[..., np.newaxis] if single.ndim == 3 and min(single.shape[1:]) >= 4 else single


def _centred(values: np.ndarray) -> np.ndarray:
    """In units of each column's spread, from its mean; 0 where it is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(axis=0)
        values = values - mean
        spread = values.std(axis=0)
    if not np.isfinite(spread).all():
        return values
    is_constant = spread <= 1e-12 * np.abs(mean)
    return np.where(is_constant, 0.0, values / np.where(is_constant, 1.0, spread))


def _targets(y: Any) -> np.ndarray:
    y = np.asarray(y)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind == "O":
        y = y.astype(str)
    if y.dtype.kind not in "fiubUS" or y.ndim not in (1, 2) or (y.ndim == 2 and y.dtype.kind in "US"):
        raise _checks.problem(
            f"y must be classes or numbers (n,), or rows (n, units). Received: shape {y.shape}, dtype {y.dtype}."
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise _checks.problem("y must be finite. Received: NaN or infinity. Remove such rows.")
    return y


def _weights(given: Any, rows: int) -> np.ndarray | None:
    if given is None:
        return None
    weight = np.asarray(given)
    if weight.shape != (rows,) or weight.dtype.kind not in "fiub":
        raise _checks.problem(f"sample_weight must be numbers ({rows},). Received: shape {weight.shape}.")
    weight = weight.astype(np.float64)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise _checks.problem("sample_weight must be finite, >= 0 and not all 0. Received: other numbers.")
    return (weight / weight.mean()).astype(np.float32)


def _of_splits(beside: dict[str, Any]) -> list[str]:
    told = {
        "groups": "Splits keep groups whole: none of a group's rows is tested on where others are trained on.",
        "time": "Splits are by time: what is tested on comes after what is trained on.",
    }
    return [words for name, words in told.items() if beside[name] is not None]


def _groups(given: Any, rows: int) -> np.ndarray | None:
    if given is None:
        return None
    groups = np.asarray(given)
    if groups.shape != (rows,) or groups.dtype.kind not in "fiubUSO":
        raise _checks.problem(
            f"groups must be names or numbers ({rows},). Received: shape {groups.shape}, dtype {groups.dtype}."
        )
    groups = groups.astype(str) if groups.dtype.kind == "O" else groups
    return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _times(given: Any, rows: int) -> np.ndarray | None:
    if given is None:
        return None
    time = np.asarray(given)
    time = time.astype("datetime64[ns]").astype(np.int64) if time.dtype.kind == "M" else time
    if time.shape != (rows,) or time.dtype.kind not in "fiu" or not np.isfinite(time.astype(np.float64)).all():
        raise _checks.problem(
            f"time must be finite numbers or dates ({rows},). Received: shape {time.shape}, dtype {time.dtype}."
        )
    return time.astype(np.float64)


def task_of(y: np.ndarray, task: str) -> tuple[str, tuple[str, ...]]:
    """The task that targets are of, and what must be said of that; a task that was asked for must fit them."""
    if task != "auto":
        _require_fit(y, task)
        return task, ()
    if y.ndim == 2:
        if not np.isin(y, (0, 1)).all():
            return REGRESSION, ()
        return (CLASSES if (y.sum(axis=1) == 1).all() else MULTILABEL), ()
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        return REGRESSION, ()
    found = len(np.unique(y))
    if y.dtype.kind in "fiu" and _FEW < found < len(y) and len(y) < LEAST_OF_A_CLASS * found:
        note = f"y has {found} different whole numbers, few rows each, and was taken for a measurement (regression)."
        return REGRESSION, (note,)
    if y.dtype.kind in "fiu" and _FEW < found < len(y):
        note = f"y has {found} different whole numbers, each of which was taken for a class; or ask for regression."
        return CLASSES, (note,)
    return CLASSES, ()


def _require_fit(y: np.ndarray, task: str) -> None:
    is_binary = y.dtype.kind not in "US" and bool(np.isin(y, (0, 1)).all())
    if task == MULTILABEL and not (y.ndim == 2 and is_binary):
        raise _checks.problem(f"y must be 0 or 1, (n, labels), for task='multilabel'. Received: shape {y.shape}.")
    if task == REGRESSION and y.dtype.kind not in "fiub":
        raise _checks.problem(f"y must be numbers for task='regression'. Received: dtype {y.dtype}.")
    if task == CLASSES and y.ndim == 2 and not (is_binary and (y.sum(axis=1) == 1).all()):
        raise _checks.problem(f"y must be (n,), or one-hot, for task='classes'. Received: shape {y.shape}.")


def _of_classes(x: np.ndarray, y: np.ndarray, beside: dict[str, Any]) -> Problem:
    y = y.argmax(axis=1) if y.ndim == 2 else y
    names, places = np.unique(y, return_inverse=True)
    places = places.reshape(-1).astype(np.int64)
    if len(names) == 1:
        raise CannotSay(
            f"all {len(y):,} rows are of class {_shown(names[0])}, so that there is nothing to tell apart"
        )
    if len(names) == len(y):
        raise CannotSay(
            f"all {len(y):,} labels are distinct (for example {_shown(names[0])}), which looks like an identifier; "
            "if it is a measurement, ask for the task regression"
        )
    made = Problem(x, _one_hot(places, len(names)), places, task=CLASSES, names=tuple(map(_shown, names)), **beside)
    return _without_rare(made)


def _shown(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _one_hot(places: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[places]


def _without_rare(problem: Problem) -> Problem:
    """Without the rows of classes that are too few for every part of the data to have some."""
    if problem.task != CLASSES:
        return problem
    counts = np.bincount(problem.strata, minlength=len(problem.names))
    kept = np.flatnonzero(counts >= LEAST_OF_A_CLASS)
    if len(kept) < 2:
        raise CannotSay(
            f"fewer than two classes have at least {LEAST_OF_A_CLASS} rows, which every part of the data must have "
            f"some of (the smallest of {len(counts)} has {counts.min()}, the largest {counts.max()})"
        )
    is_balanced = bool(counts[kept].max() < UNBALANCED * counts[kept].min())
    if len(kept) == len(counts):
        return dataclasses.replace(problem, is_balanced=is_balanced)
    lost, rows = len(counts) - len(kept), np.flatnonzero(np.isin(problem.strata, kept))
    places = np.searchsorted(kept, problem.strata[rows])
    made = dataclasses.replace(
        problem.taken(rows),
        y=_one_hot(places, len(kept)),
        strata=places,
        names=tuple(problem.names[place] for place in kept),
        is_balanced=is_balanced,
    )
    return made.noted(
        f"{lost} class{'es' * (lost > 1)} of fewer than {LEAST_OF_A_CLASS} rows {'were' if lost > 1 else 'was'} left "
        f"out, {len(problem.x) - len(rows):,} rows in all."
    )


def _of_labels(x: np.ndarray, y: np.ndarray, beside: dict[str, Any]) -> Problem:
    counts = y.sum(axis=0)
    rare = np.minimum(counts, len(y) - counts)
    told = rare >= LEAST_OF_A_CLASS
    if not told.any():
        raise CannotSay(f"no label is given to, and withheld from, at least {LEAST_OF_A_CLASS} rows")
    left_out = () if told.all() else (f"{(~told).sum()} labels that (nearly) all rows or none have were left out.",)
    y, rare, counts = y[:, told], rare[told], counts[told]
    # Of a row, the rarest label that it has.
    order = np.argsort(counts, kind="stable")
    has = y[:, order].astype(bool)
    strata = np.where(has.any(axis=1), has.argmax(axis=1), len(order))
    is_balanced = bool((len(y) < (1 + UNBALANCED) * rare).all())
    return Problem(
        x, y.astype(np.float32), strata, task=MULTILABEL, is_balanced=is_balanced, notes=left_out, **beside
    )


def _of_numbers(x: np.ndarray, y: np.ndarray, beside: dict[str, Any]) -> Problem:
    y = _centred(y.astype(np.float64).reshape(len(y), -1))
    if not y.any(axis=0).all():
        raise CannotSay("the target is the same in all rows, so that there is nothing to learn")
    strata = np.searchsorted(np.quantile(y[:, 0], [0.2, 0.4, 0.6, 0.8]), y[:, 0])
    return Problem(x, y.astype(np.float32), strata, task=REGRESSION, **beside)
