"""Trains every arm in split after split, until time is up."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from kmix_tf.paired import Trainer, batches
from kmix_tf.trial import scoring
from kmix_tf.trial.arms import Arm
from kmix_tf.trial.dependent import WINDOWS
from kmix_tf.trial.networks import RATE, small_network
from kmix_tf.trial.problem import CLASSES, MULTILABEL, REGRESSION, CannotSay, Problem
from kmix_tf.trial.splits import TRAIN, Part, Parts, parts, split_of

BATCH = 64
# Looks at the validation part, in as many steps as training may take; and those without gain after which it stops.
CHECKS, PATIENCE = 15, 5
# Of the validation part, rows that are looked at each time; of the training part, rows whose error is counted.
_LOOKED_AT, _ASKED = 1000, 2000
LEAST_SPLITS, MOST_SPLITS, _HOPED_FOR = 3, 15, 5
LEAST_STEPS, _GOOD, MOST_STEPS, _EPOCHS, _LEAST_EPOCHS = 150, 450, 2100, 40, 3
# Steps of one call of TensorFlow's. What is compiled for the first arm's steps then serves for all.
_BLOCK = 10
# Of the time, what steps are planned for: the rest is for what cannot be known before.
_PLANNED = 0.75
_LOSSES = {
    CLASSES: lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
    MULTILABEL: lambda: keras.losses.BinaryCrossentropy(from_logits=True),
    REGRESSION: keras.losses.MeanSquaredError,
}


class Outcome(NamedTuple):
    """One arm in one split: scores of the test part, error on what was trained on, and steps to the weights kept."""

    scores: scoring.Scores
    train_error: float
    steps: int


class Course:
    """One network, compiled once, that every arm trains in every split from equal weights on equal batches.

    Args:
        model_fn: returns a new network that ends linearly; None for a small one. optimizer: returns a new one.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        standardize: bool,
        model_fn: Callable[[], keras.Model] | None,
        optimizer: Callable[[], Any] | None,
    ):
        self.problem, self._seed, self._standardize = problem, seed, standardize
        shape, units = problem.x.shape[1:], problem.y.shape[1]
        self._trainer = Trainer(
            model_fn or (lambda: small_network(shape, units)),
            optimizer or (lambda: keras.optimizers.Adam(RATE)),
            _LOSSES[problem.task](),
            steps_per_call=_BLOCK,
        )

    @property
    def most_splits(self) -> int:
        """How many splits there may be: of time as many as there are windows."""
        return MOST_SPLITS if self.problem.time is None else WINDOWS

    @property
    def batch(self) -> int:
        """Rows of a batch: as many as there are for two, at most 64."""
        return max(2, min(BATCH, int(TRAIN * len(self.problem.x)) // 2))

    def parts(self, number: int) -> Parts:
        """The parts of a split."""
        return parts(self.problem, split_of(self.problem, self._seed, number), self._standardize)

    def train(self, arm: Arm, data: Parts, number: int, steps: int) -> Outcome:
        """Trains by an arm, stops where the validation loss has not fallen for long, and scores the best weights.

        Raises:
            CannotSay: if what it predicts is not finite.
        """
        every, problem = _every(steps), self.problem
        keeper = _Keeper(self._trainer, data.validation, problem.task)
        self._run(arm, data.train, number, max(1, steps // every) * every, every, keeper)
        network = keeper.kept()
        values = scoring.predicted(network, data.test.x)
        trained = data.train.first(_ASKED)
        seen = scoring.predicted(network, trained.x)
        if not (np.isfinite(values).all() and np.isfinite(seen).all()):
            raise CannotSay(f"training by {arm.name} did not converge: it predicts numbers that are not finite")
        wrong = scoring.error(trained, seen, problem.task, problem.is_balanced)
        return Outcome(scoring.score(data.test, values, problem.task, problem.is_balanced), wrong, keeper.steps)

    def seconds_of(self, arm: Arm, data: Parts) -> tuple[float, float]:
        """What a run of an arm costs beside its steps, and what a step does; the first run compiles besides."""
        times = [time.monotonic()]
        self._run(arm, data.train, 0, 8 * _BLOCK, 4 * _BLOCK, lambda done: times.append(time.monotonic()))
        begun, first, last = times
        each = (last - first) / (4 * _BLOCK)
        return max(0.0, 2 * first - begun - last), each

    def seconds_of_looks(self, data: Parts) -> float:
        """What it costs a run to look at the validation part, and to be scored."""
        looked_at, network = data.validation.first(_LOOKED_AT).x, self._trainer.network
        scoring.predicted(network, looked_at)
        began = time.monotonic()
        scoring.predicted(network, looked_at)
        each = time.monotonic() - began
        return each * (CHECKS + (min(_ASKED, len(data.train.x)) + len(data.test.x)) / len(looked_at))

    def _run(self, arm: Arm, data: Part, number: int, steps: int, every: int, watch: Callable[[int], None]) -> None:
        # The same for all arms; of 31 bits, as every generator takes them.
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0] >> 1)
        mixed = batches(data.x, data.y, self.batch, seed, arm.layer, data.weight)
        self._trainer.run(mixed, steps, seed, every, watch)


def _every(steps: int) -> int:
    """Steps from one look to the next: whole blocks, if there are that many."""
    every = max(1, steps // CHECKS)
    return every // _BLOCK * _BLOCK or every


class _Keeper:
    """Keeps the weights of the least validation loss, and stops training when it has not fallen for long."""

    def __init__(self, trainer: Trainer, validation: Part, task: str):
        self._trainer, self._task = trainer, task
        self._part = validation.first(_LOOKED_AT)
        self._least, self._stale, self.steps = np.inf, 0, 0
        self._weights: list[np.ndarray] | None = None

    def __call__(self, steps: int) -> None:
        network = self._trainer.network
        found = scoring.loss(self._part, scoring.predicted(network, self._part.x), self._task)
        self._stale += 1
        if found < self._least:
            self._least, self._stale, self.steps = found, 0, steps
            self._weights = [np.array(each) for each in network.get_weights()]
        if self._stale >= PATIENCE:
            self._trainer.model.stop_training = True

    def kept(self) -> keras.Model:
        """The network with those weights; as training left it, if no loss was a number."""
        if self._weights is not None:
            self._trainer.network.set_weights(self._weights)
        return self._trainer.network


def planned(course: Course, arms: Sequence[Arm], seconds: float) -> tuple[int, int]:
    """Steps for a run, and rows, that let a few splits be done in the time.

    Returns:
        Steps, and how many rows at most those steps go through often enough.
    """
    began, data = time.monotonic(), course.parts(0)
    costs = [course.seconds_of(arm, data) for arm in arms]
    # All is compiled now; a mix takes about as long again to begin as no mixing.
    once = (2 * len(arms) - 1) * course.seconds_of(arms[0], data)[0] + len(arms) * course.seconds_of_looks(data)
    left = _PLANNED * (seconds - (time.monotonic() - began))
    rows = len(data.train.x)
    wanted = min(max(_EPOCHS * rows // course.batch, _GOOD), MOST_STEPS)
    each = max(1e-9, sum(each for _, each in costs))
    few, many = (int((left / splits - once) / each) for splits in (LEAST_SPLITS, _HOPED_FOR))
    # More splits are worth more than more steps, but not than the first few hundred.
    affordable = max(many, min(few, _GOOD))
    steps = max(LEAST_STEPS, min(wanted, affordable))
    return steps, int(steps * course.batch / _LEAST_EPOCHS / TRAIN)


def run_splits(
    course: Course,
    arms: Sequence[Arm],
    steps: int,
    splits: int | None,
    ends_at: float,
    tell: Callable[[float, str], None],
) -> dict[str, list[Outcome]]:
    """Outcomes by arm, one a split: `splits` of them, or at least three and as many as end in time.

    Args:
        ends_at: by `time.monotonic`. tell: is called with the share that is done, and what is done next.
    """
    outcomes: dict[str, list[Outcome]] = {arm.name: [] for arm in arms}
    begun = time.monotonic()
    most = splits or course.most_splits
    for number in range(most):
        data = course.parts(number)
        for place, arm in enumerate(arms):
            tell(_done(number + place / len(arms), begun, splits, most, ends_at), f"split {number + 1}, {arm.name}")
            outcomes[arm.name].append(course.train(arm, data, number, steps))
        now = time.monotonic()
        if splits is None and number + 1 >= LEAST_SPLITS and now + (now - begun) / (number + 1) > ends_at:
            break
    tell(1.0, "done")
    return outcomes


def _done(count: float, begun: float, splits: int | None, most: int, ends_at: float) -> float:
    """By splits if their number is known; else by the time, or by splits where there are as many as there may be."""
    if splits is not None:
        return count / splits
    spent = (time.monotonic() - begun) / max(1e-9, ends_at - begun)
    return min(1.0, max(min(spent, count / LEAST_SPLITS), count / most))
