"""How weights reach the loss: as sample weights, for each target."""

import tensorflow as tf

from kmix_tf.batch import Batch


def weighted(owner: str, batch: Batch, weight: tf.Tensor) -> Batch:
    """Makes a weight, float32 `(mixtures,)`, each target's sample weight, or a factor of those it has.

    A target with more axes, such as a map `(mixtures, height, width, classes)`, gets weights `(mixtures, 1, 1)`.

    Raises:
        ValueError: for features alone.
    """
    x, _, sample_weight = batch.structure
    y = batch.unflatten()[1]
    if y is None:
        raise ValueError(
            f"{owner}: weights go with targets, and there are none to return them with. Received: features alone."
        )
    if sample_weight is None:
        # One for each target: Keras wants sample weights of the targets' structure, and of the losses' rank.
        weights = tf.nest.map_structure(lambda target: _of_rank(weight, max((target.shape.rank or 0) - 1, 1)), y)
        return batch._replace(sample_weight=tf.nest.flatten(weights), structure=(x, batch.structure[1], weights))
    weights = [leaf * _of_rank(tf.cast(weight, leaf.dtype), leaf.shape.rank) for leaf in batch.sample_weight]
    return batch._replace(sample_weight=weights)


def _of_rank(weight: tf.Tensor, rank: int) -> tf.Tensor:
    return tf.reshape(weight, [-1] + [1] * (rank - 1))
