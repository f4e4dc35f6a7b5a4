"""Mixtures that weigh nothing: nothing is learnt from them, and someone is told."""

import warnings

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._counting import DeviceCount
from kmix_tf._graph import KNOWS_OF_XLA, is_for_xla

# Of its batch's mean weight, so little is nothing: an exponential seldom is 0 itself.
_NOTHING = 1e-3

_REMEDY = (
    "Nothing is learnt from these. Count more pairs (a larger epsilon, more neighbors, a smaller rate); or give a "
    "weight that drops far pairs far='keep', which leaves their samples unmixed instead."
)


class VanishedCount(DeviceCount):
    """Counts, on the device: mixtures of no weight, mixtures, batches of which no mixture has weight, batches."""

    shape = (4,)

    def warn(self) -> None:
        """Warns if, since this was last asked, most mixtures weighed nothing, or all those of a batch."""
        vanished, mixtures, empty, batches = map(int, self.since_last()[0])
        if 2 * vanished <= mixtures and not empty:
            return
        some = f", and in {empty} of {batches} batches all of them" if empty else ""
        warnings.warn(
            f"{_checks.speaker()}: since training began, or since the last epoch, {vanished} of {mixtures} mixtures "
            f"({vanished / mixtures:.0%}) weighed nothing, less than {_NOTHING:g} of the mean{some}. {_REMEDY}",
            stacklevel=3,
        )


def tell_of_vanished(weights: tf.Tensor, mixed: tf.Tensor | None, name: str) -> None:
    """Counts mixtures that weigh nothing; where nobody counts, warns or prints if these are all of the batch.

    In a pipeline it prints once for each iterator, which is to say once an epoch: what counts there is an attribute
    of the op, no state that could not be saved with the iterator. Where XLA compiles, nothing can be said.

    Args:
        weights: float32 `(mixtures,)` with mean 1, or all 0. mixed: a bool scalar, whether the batch is mixed at all;
        None: it is. name: of the weight.
    """
    size = tf.size(weights)
    vanished = tf.math.count_nonzero(weights < _NOTHING, dtype=tf.int32)
    is_empty = (vanished == size) & (size > 0)
    counted_by = VanishedCount.counter()
    message = f"{_checks.speaker()}: {name} gives weight 0 to all mixtures of a batch. {_REMEDY} So many mixtures: "
    if counted_by is not None:
        of_batch = tf.stack([vanished, size, tf.cast(is_empty, tf.int32), tf.sign(size)])
        counted_by.assign_add(tf.cast(of_batch if mixed is None else tf.where(mixed, of_batch, 0), tf.int64))
    elif tf.executing_eagerly():
        if is_empty:
            warnings.warn(f"{message}{int(size)}", stacklevel=2)
    elif KNOWS_OF_XLA and not is_for_xla():
        tf.cond(
            is_empty,
            lambda: tf.raw_ops.Print(input=size, data=[size], message=message, first_n=1),
            lambda: size,
        )
