"""What a training step counts and cannot say itself, said after each epoch."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.layers import Stage
from kmix_tf.saliency.fallback import FallbackCount
from kmix_tf.weight.vanished import VanishedCount


class Told:
    """What the steps of a model count, of samples whose saliency is NaN and of mixtures that weigh nothing.

    Args:
        mixers: what the model mixes with; where they have neither saliency nor weights, nothing is counted.
    """

    def __init__(self, mixers: Sequence[Stage]):
        self._counts: list[Any] = []
        members = [member for mixer in mixers for member in mixer.members()]
        if any(member.blend.needs_saliency for member in members):
            self._counts.append(FallbackCount())
        if not all(member.weight.counts_alike for member in members):
            self._counts.append(VanishedCount())

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Within it, a step counts."""
        with contextlib.ExitStack() as stack:
            for count in self._counts:
                stack.enter_context(count.counting())
            yield

    def warn(self) -> None:
        """Warns of what was counted since the last time."""
        for count in self._counts:
            count.warn()


class TellingModel(keras.Model):
    """A model that warns after each epoch of what its steps have counted in `self._told`."""

    _told: Told

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; warns after each epoch of samples whose saliency was NaN or infinite, and if more
        than half of the mixtures, or all of a batch, weighed nothing."""
        history = super().fit(*args, **kwargs)
        self._tell()
        return history

    def reset_metrics(self) -> None:
        """As `keras.Model.reset_metrics`, with which Keras begins every epoch and evaluation."""
        super().reset_metrics()
        self._tell()

    def _tell(self) -> None:
        if tf.executing_eagerly():
            with _checks.speaking_as(self):
                self._told.warn()
