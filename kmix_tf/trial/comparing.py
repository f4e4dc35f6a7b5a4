"""`compare_mixes`: does mixing help on these data? A small network tries it."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.trial import findings, intervals, scoring
from kmix_tf.trial.arms import PLAIN, Arm, arms_of, default_arms
from kmix_tf.trial.dependent import WINDOW, WINDOWS
from kmix_tf.trial.findings import Finding, Trial
from kmix_tf.trial.networks import require_linear_ending
from kmix_tf.trial.problem import CLASSES, MULTILABEL, TASKS, CannotSay, Problem, make_problem
from kmix_tf.trial.running import LEAST_STEPS, MOST_SPLITS, Course, Outcome, planned, run_splits
from kmix_tf.trial.splits import TEST, Part

# Rows in two minutes; for more time more, in proportion.
ROWS, _MINUTES = 10_000, 2.0


@_checks.speaks
def compare_mixes(
    x: Any,
    y: Any,
    mixes: Mapping[str, Any] | None = None,
    *,
    minutes: float = 2.0,
    splits: int | None = None,
    steps: int | None = None,
    model_fn: Callable[[], Any] | None = None,
    optimizer: Callable[[], Any] | None = None,
    task: str = "auto",
    sample_weight: Any = None,
    groups: Any = None,
    time: Any = None,
    standardize: bool = True,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Trial:
    """Trains a small network with and without mixing, split after split, and says whether a mix is better.

    In each split a quarter of the rows is tested on, 15 % decide when to stop, and 60 % are trained on. All ways of
    training begin from equal weights and see equal batches before they are mixed. Each keeps the weights of its
    least loss on the 15 %, unmixed, and stops where that has not fallen for a third of the steps: mixing needs more
    steps than no mixing, so that with fixed steps the number of them would decide. Sets the global seeds of Python,
    NumPy and TensorFlow.

    Example:
        >>> from kmix_tf.analysis import four_bars
        >>> from kmix_tf.trial import compare_mixes
        >>> found = compare_mixes(*four_bars(80), {"mixup": KMixupLayer(1)}, splits=2, steps=30)
        >>> [each.name for each in found.findings], found.splits
        (['no mixing', 'mixup'], 2)

    Args:
        x: numbers `(n, ...)`, finite; images are `(n, height, width)` or `(n, height, width, channels)`.
        y: classes `(n,)` (numbers or strings) or one-hot; labels 0 and 1 `(n, labels)`; or numbers to predict, `(n,)`
            or `(n, targets)`.
        mixes: layers by name, such as `{"mixup": KMixupLayer(1)}`; their targets are one-hot rows or numbers. None:
            mixup at alpha 0.2 and 1, 16-mixup that perturbs as much as the latter, Local Mixup with the rate of
            `distance_profile`, and for images CutMix.
        minutes: that it may take, more than 0. It takes what fits: fewer steps, fewer rows, at least three splits
            and at most fifteen. What was done is in the result.
        splits, steps: exactly so many splits, at least two, and steps at most of each run; None: by the time. With
            both, the same seed gives the same numbers, however fast the machine is.
        model_fn: returns a new Keras model that ends linearly, with a unit for each class, label or target. None: two
            dense layers of 64, for images after strided convolutions.
        optimizer: returns a new Keras optimizer; None: Adam with a rate of 0.002.
        task: "auto", "classes", "multilabel" or "regression". "auto" takes whole numbers for classes, unless they are
            more than twenty with fewer than five rows each, and fractions for regression.
        sample_weight: `(n,)`, >= 0; counts in training, in when to stop, in error and in loss.
        groups: `(n,)`, names or numbers: rows of one group, such as a patient or a photograph, are never in two
            parts; at least 8 groups.
        time: `(n,)`, numbers or dates: what is trained on is earlier than what is tested on, in five windows of half
            of the rows each, whose test parts have no row in common. Not together with groups.
        standardize: whether features (of images, channels) are brought to mean 0 and spread 1 by the training part.
        seed: of splits, weights, batches and mixes, an integer >= 0.
        progress: is called with the share that is done, from 0 to 1, and what is done next.

    Returns:
        A `Trial`: `findings`, `best`, `code`, `to_json()`; prints as a table. The error is balanced, a mean over
        classes, where the largest has five times as many rows as the smallest. Where the data cannot be learnt from
        (one class, constant features, no network better than chance) its verdict is "cannot say", with a reason.

    Raises:
        ValueError, TypeError: for arguments that cannot be meant, such as NaN in x.

    Source: intervals by Nadeau and Bengio 2003, see `corrected_difference`.
    """
    began = monotonic()
    minutes, seed = _checks.positive("minutes", minutes), _checks.integer("seed", seed, minimum=0)
    splits = None if splits is None else _checks.integer("splits", splits, minimum=2)
    steps = None if steps is None else _checks.integer("steps", steps, minimum=1)
    task = _checks.choice("task", task, TASKS)
    asked = None if mixes is None else arms_of(mixes)
    try:
        problem = make_problem(x, y, task, sample_weight, standardize, groups, time)
        if problem.time is not None and splits is not None and splits > WINDOWS:
            raise _checks.problem(f"splits must be at most {WINDOWS} with time. Received: splits={splits}.")
        # Without a limit in time there is none in rows.
        most = len(problem.x) if splits and steps else rows_in(minutes)
        course = Course(problem.thinned(most, seed), seed, standardize, _checked(model_fn, problem), optimizer)
        return _tried(course, asked, minutes, splits, steps, seed, began, progress or (lambda share, what: None))
    except CannotSay as error:
        return Trial(findings.CANNOT_SAY, f"{error}.", seconds=monotonic() - began)


def rows_in(minutes: float) -> int:
    """How many rows are taken in so many minutes."""
    return max(1000, int(ROWS * minutes / _MINUTES))


def _checked(model_fn: Any, problem: Problem) -> Any:
    if model_fn is not None:
        _checks.function("model_fn", model_fn)
        require_linear_ending(model_fn(), problem.x.shape[1:], problem.y.shape[1])
    return model_fn


def _tried(
    course: Course,
    asked: list[Arm] | None,
    minutes: float,
    splits: int | None,
    steps: int | None,
    seed: int,
    began: float,
    tell: Callable[[float, str], None],
) -> Trial:
    tell(0.0, "what the time allows")
    train = course.parts(0).train
    arms = asked or default_arms(train, course.problem.task, course.batch, seed)
    ends_at = began + 60 * minutes
    if steps is None:
        steps, rows = planned(course, arms, ends_at - monotonic())
        course.problem = _fewer(course.problem, rows, seed)
    outcomes = run_splits(course, arms, steps, splits, ends_at, tell)
    trial = _judged(course.problem, arms, outcomes, steps, monotonic() - began)
    if splits is None and trial.seconds > 1.2 * 60 * minutes:
        late = f"It took {trial.seconds:.0f} seconds, more than asked for: three splits at least are done."
        return dataclasses.replace(trial, notes=(*trial.notes, late))
    return trial


def _fewer(problem: Problem, rows: int, seed: int) -> Problem:
    """So many rows, unless that are nearly all or hardly any."""
    is_worth_it = rows < 0.8 * len(problem.x)
    return problem.thinned(max(500, rows), seed) if is_worth_it else problem


def _judged(
    problem: Problem, arms: list[Arm], outcomes: dict[str, list[Outcome]], steps: int, seconds: float
) -> Trial:
    _require_learnt(problem, outcomes)
    unseen = _unseen(problem, len(outcomes[PLAIN]))
    made = tuple(_finding(arm, outcomes, unseen) for arm in arms)
    better = [each for each in made if each.verdict == intervals.BETTER]
    best = min(better, key=lambda each: each.differences["error"].mean, default=None)
    splits = len(outcomes[PLAIN])
    verdict = _verdict(made)
    return Trial(
        verdict=verdict,
        reason=_reason(best, made),
        findings=made,
        best=best.name if best else None,
        code=best.code if best else f"# {verdict}",
        task=problem.task,
        is_balanced=problem.is_balanced,
        splits=splits,
        steps=steps,
        rows=len(problem.x),
        seconds=seconds,
        unseen=unseen,
        notes=(
            *problem.notes,
            *_notes(arms, splits, steps, len(problem.x)),
            *_doubts(made, splits, steps, problem.time is not None),
        ),
    )


def _verdict(made: tuple[Finding, ...]) -> str:
    """Of all mixes together."""
    verdicts = {each.verdict for each in made[1:]}
    if intervals.BETTER in verdicts:
        return findings.HELPS
    return findings.UNDECIDED if intervals.UNDECIDED in verdicts else findings.NONE_BETTER


def _unseen(problem: Problem, splits: int) -> float:
    """Points of error that may hide in the rows tested; of balanced errors, in those of the smallest class."""
    if problem.task not in (CLASSES, MULTILABEL):
        return 0.0
    rows = float(len(problem.x))
    if not problem.is_balanced:
        counts = problem.y.sum(axis=0)
        rows = len(counts) * counts.min() if problem.task == CLASSES else np.minimum(counts, rows - counts).min()
    # Windows of time test on parts of their own, of the rows that they hold.
    each = TEST if problem.time is None else TEST * WINDOW
    return intervals.resolution(min(1.0, each * splits) * rows)


def _require_learnt(problem: Problem, outcomes: dict[str, list[Outcome]]) -> None:
    """Refuses to judge networks of which none is better on its own training rows than one answer for all."""
    whole = Part(problem.x, problem.y, problem.weight)
    least = scoring.chance(whole, problem.task, problem.is_balanced)
    found = min(np.mean([each.train_error for each in made]) for made in outcomes.values())
    if found >= least:
        raise CannotSay(
            f"no network learnt anything: on the rows it was trained on, the best has an error of {found:.1f} %, "
            "no better than one answer for all. There may be nothing to learn, or more steps (minutes) are needed"
        )


def _finding(arm: Arm, outcomes: dict[str, list[Outcome]], unseen: float) -> Finding:
    own, plain = outcomes[arm.name], outcomes[PLAIN]
    means = {name: float(_each(own, name).mean()) for name in scoring.Scores._fields}
    differences = {
        name: intervals.corrected_difference(_each(own, name), _each(plain, name), TEST)
        for name, mean in means.items()
        if arm.name != PLAIN and np.isfinite(mean)
    }
    return Finding(
        name=arm.name,
        **means,
        train_error=float(np.mean([each.train_error for each in own])),
        steps=float(np.mean([each.steps for each in own])),
        differences=differences,
        verdict=intervals.judged(differences["error"], unseen) if differences else "",
        code=arm.code,
    )


def _each(outcomes: list[Outcome], measure: str) -> np.ndarray:
    return np.array([getattr(each.scores, measure) for each in outcomes])


def _reason(best: Finding | None, made: tuple[Finding, ...]) -> str:
    if best is not None:
        return f"{best.name} is better than no mixing: error {findings.interval(best.differences['error'])} points."
    counts = collections.Counter(each.verdict for each in made[1:])
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"Of {len(made) - 1} mixes compared with no mixing, none has a lower error for sure: {told}."


def _notes(arms: list[Arm], splits: int, steps: int, rows: int) -> list[str]:
    mixes = len(arms) - 1
    return [
        *(arm.note for arm in arms if arm.note),
        f"{splits} splits of {rows:,} rows, at most {steps:,} steps each. Intervals are of 95 %, corrected for "
        "splits that share rows (Nadeau and Bengio 2003): of mixes that change nothing, at most one in twenty is "
        f"called better or worse, so of {mixes} compared at least one in at most {min(100, 5 * mixes)} % of trials.",
    ]


def _doubts(made: tuple[Finding, ...], splits: int, steps: int, is_timed: bool) -> list[str]:
    """What may be otherwise with more time, or elsewhere."""
    verdicts = {each.verdict for each in made}
    told = {
        "Few steps fitted into the time: mixes that need long training may do better with more minutes.": (
            steps < 2 * LEAST_STEPS
        ),
        "More minutes make more splits, and narrower intervals, which may decide what is undecided.": (
            intervals.UNDECIDED in verdicts and splits < MOST_SPLITS and not is_timed
        ),
        "The best of several looks better here than it will elsewhere. Try it on your own network.": (
            intervals.BETTER in verdicts
        ),
    }
    return [note for note, is_so in told.items() if is_so]
