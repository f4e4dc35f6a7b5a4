"""How long a training step takes, and a mix."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_RUNS = 5


class StepClock:
    """The mean time of an epoch's steps, without the first call, which compiles.

    Told when a call of the training function begins and ends, and the number of its last step.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """An epoch begins."""
        self._began = self._first = self._last = None

    def begin(self) -> None:
        """A call begins."""
        if self._began is None:
            self._began = time.perf_counter()

    def end(self, step: int) -> None:
        """A call ends, with this step of the epoch, counted from 0."""
        self._last = (time.perf_counter(), step)
        if self._first is None:
            self._first = self._last

    def mean(self) -> float:
        """Seconds; NaN if there was no step. Of an epoch of one call, that call, though it may have compiled."""
        if self._began is None or self._first is None or self._last is None:
            return float("nan")
        (start, before), (end, step) = self._first, self._last
        if step > before:
            return (end - start) / (step - before)
        return (end - self._began) / (step + 1)

    _began: float | None
    _first: tuple[float, int] | None
    _last: tuple[float, int] | None


def seconds_of(function: Callable[[], Any]) -> float:
    """The median time of a few runs, until their results are there, after one that is not counted."""
    times = []
    for _ in range(1 + _RUNS):
        start = time.perf_counter()
        for leaf in tf.nest.flatten(function()):
            if isinstance(leaf, tf.Tensor):
                tf.reshape(leaf, [-1])[:1].numpy()  # What is there in order on the device is not copied from it.
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
