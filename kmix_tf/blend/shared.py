"""What blends draw once for both samples of a pair."""

import tensorflow as tf

from kmix_tf.pairing.mutual import numbers_of_pairs

SCOPES = ("sample", "pair")


def shared_by_pairs(drawn: tf.Tensor, partner: tf.Tensor) -> tf.Tensor:
    """What was drawn for one sample of each pair, for both: `(batch, ...)`, or `(times, batch, ...)` of several
    pairings.

    Args:
        drawn: for each sample, `(batch, ...)`. partner: of mutual pairs, int32 `(batch,)` or `(times, batch)`.
    """
    return tf.gather(drawn, numbers_of_pairs(partner))
