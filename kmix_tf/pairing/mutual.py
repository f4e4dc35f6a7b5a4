"""Disjoint pairs, which swap: the partner of each sample's partner is the sample itself."""

from collections.abc import Callable

import tensorflow as tf

from kmix_tf._graph import require
from kmix_tf.pairing.base import Pairing


def mutual_pairs(order: tf.Tensor, match: Callable[[tf.Tensor, tf.Tensor], Pairing]) -> Pairing:
    """Pairs the first half of the rows with the second, both ways. Of an odd number, the last one is its own partner.

    Args:
        order: a random order of the rows, int32 `(size,)`.
        match: given the rows of both halves, says for each of the first which of the second it meets, each one once,
            and the group it is in: positions in the halves.
    """
    size = tf.size(order)
    half = size // 2
    faced, group = match(order[:half], order[half : 2 * half])
    facing = tf.math.invert_permutation(faced)
    left_over = tf.range(2 * half, size)
    partners = tf.concat([half + faced, facing, left_over], 0)
    groups = tf.concat([group, tf.gather(group, facing), left_over // 2], 0)
    position_of_row = tf.math.invert_permutation(order)
    return Pairing(tf.gather(tf.gather(order, partners), position_of_row), tf.gather(groups, position_of_row))


def numbers_of_pairs(partner: tf.Tensor) -> tf.Tensor:
    """A number that both samples of a pair have, and no other: int32 of the partners' shape, below the batch size.

    Args:
        partner: int32 `(batch,)`, or `(times, batch)` of several pairings.
    """
    return tf.minimum(tf.range(tf.shape(partner)[-1]), partner)


def require_mutual(partner: tf.Tensor) -> list[tf.Operation]:
    """What is to run before pairs are taken for such.

    Raises:
        InvalidArgumentError: on the batch, if a partner has another partner.
    """
    back = tf.gather(partner, partner, axis=-1, batch_dims=partner.shape.rank - 1)
    message = "scope='pair' needs pairs: the partner of a partner must be the sample. Received: a pairing of others."
    return require(tf.reduce_all(back == tf.range(tf.shape(partner)[-1])), message)
