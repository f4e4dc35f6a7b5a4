"""Whether a batch is mixed at all, and what becomes of samples that are not."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf.batch.leaves import after, require
from kmix_tf.seeding import random_uniform


def is_mixed(
    owner: str, probability: float, schedule: Callable | None, step: Any, seed: tf.Tensor
) -> tf.Tensor | None:
    """Draws whether a batch is mixed, with the probability given, times the schedule's at this step.

    Returns:
        A bool scalar; None if it always is.

    Raises:
        ValueError: for a schedule without a step.
        InvalidArgumentError: on the batch, if the schedule gives no probability.
    """
    if schedule is None:
        return None if probability == 1 else random_uniform([], seed) < probability
    if step is None:
        raise ValueError(
            f"{owner}: a schedule needs the step. Received: step=None. Use dataset.apply(kmix_tf.mix(layer)) instead "
            "of dataset.map(layer), on a dataset that repeats; or call layer(x, y, step=...)."
        )
    chance = tf.cast(schedule(tf.convert_to_tensor(step)), tf.float32)
    message = f"{owner}: schedule must give probabilities in [0, 1]. Received: another number, or NaN."
    (chance,) = after(require((chance >= 0) & (chance <= 1), message), [chance])
    return random_uniform([], seed) < probability * chance


def mixtures_of_each(pairing: Callable, ratio: Callable) -> int | None:
    """How many mixtures are made of each sample, as the strategies say; None for one, without an axis of its own."""
    interpolations, times = getattr(ratio, "interpolations", 1), getattr(pairing, "times", None)
    return interpolations if interpolations > 1 else times


def draw_or_keep(
    mixed: tf.Tensor | None, draw: Callable, size: tf.Tensor, pairing: Callable, ratio: Callable
) -> tuple[tf.Tensor, tf.Tensor]:
    """Partners and ratios: those that `draw()` gives, or where the batch is not mixed, itself and ones.

    What is not needed is not computed. The two are of the same shape: with several interpolations, a batch that is
    not mixed is repeated as often.
    """
    if mixed is None:
        return draw()
    times, count = getattr(pairing, "times", None), mixtures_of_each(pairing, ratio)

    def keep() -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.range(size)
        partner = rows if times is None else tf.tile(rows[tf.newaxis], [times, 1])
        return partner, tf.ones([size] if count is None else tf.stack([count, size]))

    return tf.cond(mixed, draw, keep)


def keep_alone(partner: tf.Tensor, ratio: tf.Tensor, within: bool) -> tf.Tensor:
    """The ratios, for each partner; within one batch, 1 for samples that are their own, which come back exactly."""
    itself = tf.equal(partner, tf.range(tf.shape(partner)[-1])) if within else tf.zeros_like(partner, tf.bool)
    return tf.where(itself, tf.ones([], ratio.dtype), ratio)
