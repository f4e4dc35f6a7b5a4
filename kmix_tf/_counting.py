"""Numbers that a training step counts on the device, where nothing else could say them: XLA compiles no printing."""

import contextlib
import threading
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow as tf


class DeviceCount:
    """Counts on the device, and says how much since it was last asked. A subclass says what, and warns.

    Made where a model's weights are made, under its strategy. The variable is no weight: it is neither tracked nor
    saved, and in no log.
    """

    shape: ClassVar[tuple[int, ...]] = ()
    _now: ClassVar[threading.local]  # Each replica is traced in a thread of its own.

    def __init_subclass__(cls) -> None:
        cls._now = threading.local()

    def __init__(self) -> None:
        # Each replica counts its own; reading sums them up.
        self._count = tf.Variable(
            tf.zeros(self.shape, tf.int64),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
        self._told = np.zeros(self.shape, np.int64)

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Within it, what `counter` gives is this one: what is to be told is counted here, and not one by one."""
        before, self._now.by = self.counter(), self._count
        try:
            yield
        finally:
            self._now.by = before

    @classmethod
    def counter(cls) -> tf.Variable | None:
        """What counts here and now, if anything does."""
        return getattr(cls._now, "by", None)

    def since_last(self) -> tuple[np.ndarray, np.ndarray]:
        """What was counted since this was last asked, and in all."""
        total = np.asarray(self._count.numpy())
        new, self._told = total - self._told, total
        return new, total
