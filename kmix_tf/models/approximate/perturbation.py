"""Perturbations with the covariances of mixup's own, drawn from a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.maths.theta import ThetaMoments
from kmix_tf.seeding import random_bits, random_uniform, split


class Draws(NamedTuple):
    """What is random, each `(batch, samples)`: signs of +-1 in float32, and the rows of partners, int32."""

    sign: tf.Tensor
    partner: tf.Tensor


def draw(seed: tf.Tensor, batch: tf.Tensor, samples: int, count: tf.Tensor) -> Draws:
    """Signs, and partners: the row itself with probability 1 / count, otherwise any other row of the batch.

    In a batch that is a random part of `count` samples, that makes each of them equally likely to be the partner,
    whatever the batch's size; but for a batch of one, whose only partner is itself.

    Args:
        seed: integers `(2,)`.
        batch, count: integer scalars: the number of rows, and of all samples.
    """
    sign_seed, own_seed, other_seed = split(seed, 3)
    shape = tf.stack([batch, samples])
    sign = 1 - 2 * tf.cast(random_bits(shape, sign_seed) & 1, tf.float32)
    is_own = random_uniform(shape, own_seed) * tf.cast(count, tf.float32) < 1
    others = tf.cast(random_uniform(shape, other_seed) * tf.cast(batch - 1, tf.float32), tf.int32)
    rows = tf.range(batch)[:, tf.newaxis]
    partner = (rows + 1 + tf.minimum(others, tf.maximum(batch - 2, 0))) % batch
    return Draws(sign, tf.where(is_own, rows, partner))


def perturbation(centred: tf.Tensor, draws: Draws, moments: ThetaMoments) -> tf.Tensor:
    """sigma s (v_i - v_bar) + gamma (v_j - v_bar), `(batch, samples, ...)`, of centred values `(batch, ...)`.

    With independent s of mean 0 and variance 1, and j uniform, it has the covariances of Lemma 1 within and between
    everything that shares the draws. The paper's own perturbation (6) has them too, with a random theta in place of
    its moments; Theorem 2 holds for any with these covariances, and this one is the less noisy.
    """
    shape = tf.concat([tf.shape(draws.sign), tf.ones([tf.rank(centred) - 1], tf.int32)], 0)
    sign = tf.reshape(tf.cast(draws.sign, centred.dtype), shape)
    own = moments.variance**0.5 * sign * centred[:, tf.newaxis]
    return own + moments.gamma_squared**0.5 * tf.gather(centred, draws.partner)


class Shrunk(NamedTuple):
    """Values drawn towards their means, and for each a perturbation `(batch, samples, ...)`."""

    values: list[tf.Tensor]
    perturbations: list[tf.Tensor]


def shrunk(values: Sequence[tf.Tensor], means: Sequence[Any], moments: ThetaMoments, draws: Draws | None) -> Shrunk:
    """x_bar + theta_bar (x_i - x_bar) of each value `(batch, ...)`, and its perturbation where there are draws.

    Source: On Mixup Regularization, eq. (5).
    """
    means = [tf.cast(mean, value.dtype) for mean, value in zip(means, values, strict=True)]
    centred = [value - mean for mean, value in zip(means, values, strict=True)]
    drawn = [mean + moments.mean * value for mean, value in zip(means, centred, strict=True)]
    return Shrunk(drawn, [] if draws is None else [perturbation(value, draws, moments) for value in centred])


def step_seed(seed: int, step: Any) -> tf.Tensor:
    """A seed `(2,)`, int64, of the model's seed, the step and the replica."""
    context = tf.distribute.get_replica_context()
    replica = 0 if context is None else context.replica_id_in_sync_group
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64) * 2**20 + tf.cast(replica, tf.int64)])
