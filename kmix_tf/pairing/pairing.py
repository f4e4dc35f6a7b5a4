"""What every choice of partners gives."""

from typing import NamedTuple

import tensorflow as tf


class Pairing(NamedTuple):
    """Partners of a batch.

    partner: int32 `(batch,)`, the row each sample is mixed with; or `(interpolations, batch)`, a partner for each of
    several mixtures of a sample. group: int32, of partner's shape, the group each sample is in, from 0.

    Example:
        >>> def neighbours(features, seed):  # a pairing of your own
        ...     rows = tf.range(tf.shape(features[0])[0])
        ...     return Pairing(partner=tf.roll(rows, 1, axis=0), group=rows)
        >>> x, y = MixLayer(pairing=neighbours)(tf.eye(4), tf.eye(4))
    """

    partner: tf.Tensor
    group: tf.Tensor
