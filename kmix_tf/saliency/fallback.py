"""Samples whose saliency is NaN or infinite: they count as uniformly salient, and someone is told."""

import sys
import warnings

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._counting import DeviceCount
from kmix_tf._graph import KNOWS_OF_XLA, is_for_xla


class FallbackCount(DeviceCount):
    """Counts, on the device, samples that fell back."""

    def warn(self) -> None:
        """Warns of samples that fell back since the last warning, if any did."""
        new, total = map(int, self.since_last())
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
    counted_by = FallbackCount.counter()
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
