"""Samples whose saliency is NaN or infinite: they count as uniformly salient, and someone is told."""

import contextlib
import sys
import threading
import warnings
from collections.abc import Iterator

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import KNOWS_OF_XLA, is_for_xla

_counting = threading.local()  # Each replica is traced in a thread of its own.


class FallbackCount:
    """Counts, on the device, samples that fell back, where nothing else could say so: XLA compiles no printing.

    Made where a model's weights are made, under its strategy. The variable is no weight: it is neither tracked nor
    saved, and in no log.
    """

    def __init__(self) -> None:
        # Each replica counts its own; reading sums them up.
        self._count = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
        self._told = 0

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Within it, what falls back is counted here, and not told one by one."""
        before, _counting.by = getattr(_counting, "by", None), self._count
        try:
            yield
        finally:
            _counting.by = before

    def warn(self) -> None:
        """Warns of samples that fell back since the last warning, if any did."""
        total = int(self._count.numpy())
        new, self._told = total - self._told, total
        if new:
            warnings.warn(
                f"{_checks.speaker()}: since training began, or since the last such warning, the saliency of {new} "
                f"samples was NaN or infinite, of {total} in all. {_REMEDY}",
                stacklevel=3,
            )


_REMEDY = (
    "They are mixed as if each place mattered alike. Gradients overflow in float16, and are infinite where a model "
    "takes roots or logarithms of zero."
)


def tell_of_fallback(is_broken: tf.Tensor) -> None:
    """Counts, warns or prints, as the place allows, if any of these samples fell back.

    Args:
        is_broken: bool `(batch,)`.
    """
    count = tf.math.count_nonzero(is_broken)
    counted_by = getattr(_counting, "by", None)
    message = f"{_checks.speaker()}: saliency is NaN or infinite in so many samples of a batch:"
    if counted_by is not None:
        counted_by.assign_add(count)
    elif tf.executing_eagerly():
        if count > 0:
            warnings.warn(f"{message} {int(count)} of {len(is_broken)}. {_REMEDY}", stacklevel=2)
    elif KNOWS_OF_XLA and not is_for_xla():
        size = tf.size(is_broken)
        tf.cond(
            count > 0,
            lambda: tf.print(message, count, "of", size, _REMEDY, output_stream=sys.stderr),
            lambda: tf.no_op(),
        )
