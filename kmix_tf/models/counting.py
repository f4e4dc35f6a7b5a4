"""A model's own count of training steps, and the seeds that follow from it."""

import random

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3

# Odd, and far from any seed a person chooses: replicas of one model do not draw what another model draws.
_REPLICA = 0x5851F42D


class StepCounter:
    """Counts a model's training steps in a weight of the model, and gives a seed for each.

    The weight is saved with the model, so training that is resumed goes on with the draws that would have come.
    Replicas count alike and draw differently.

    Args:
        model: the model whose weight it is.
        seed: an integer >= 0, or None for a random one, drawn from Python's generator, which
            `keras.utils.set_random_seed` governs.
    """

    def __init__(self, model: keras.Model, seed: int | None):
        self.seed = random.getrandbits(31) if seed is None else _checks.integer("seed", seed, 0)
        once = "only_first_replica" if IS_KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA
        # Like Keras' own count of iterations int64, which devices can hold and no training run exceeds.
        self.steps = model.add_weight(
            name="mix_steps", shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation=once
        )

    def next(self, alike: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """The number of this step, from 0, int64, and its seed, int32 `(2,)`. The next call is the next step.

        alike: whether all replicas get the seed of the first.
        """
        step = tf.identity(tf.convert_to_tensor(self.steps))
        self.steps.assign(step + 1)
        number = 0 if alike else tf.distribute.get_replica_context().replica_id_in_sync_group
        replica = tf.cast(number, tf.int32)
        # Seeds need only differ, TensorFlow's generators scramble them.
        return step, tf.stack([self.seed % 2**31 + replica * _REPLICA, tf.cast(step, tf.int32)])
