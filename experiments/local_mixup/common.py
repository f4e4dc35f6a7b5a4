"""What the experiments of this paper share: pairs drawn by distance, and networks of all arms side by side."""

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import BetaRatio, MixLayer, Pairing, mix
from kmix_tf.analysis import coiling_spirals

# The spirals: noise as the text prints it, and as the authors' code and data have it.
AS_PRINTED = {"thickness": 1.5, "noise": "normal"}
AS_PUBLISHED = {"thickness": 0.5, "noise": "uniform"}


def spirals(seed, count, thickness, noise):
    """Training data, 80 % of the samples, and test data: x float32, y int32."""
    x, y = coiling_spirals(count, thickness, noise, seed)
    x, y, train = x.astype(np.float32), y.astype(np.int32), round(0.8 * count)
    return x[:train], y[:train], x[train:], y[train:]


class NearPairs:
    """All ordered pairs of samples, self pairs too, from the nearest to the farthest: the sums of eq. (3).

    Args:
        x: `(n, d)`.
    """

    def __init__(self, x):
        x = x.astype(np.float64)
        squares = np.square(x).sum(axis=1)
        distances = np.sqrt(np.maximum(squares[:, np.newaxis] + squares - 2 * x @ x.T, 0))
        np.fill_diagonal(distances, 0)
        self.size = len(x)
        self._order = np.argsort(distances, axis=None, kind="stable").astype(np.int32)
        self.distances = distances.ravel()[self._order]

    def within(self, epsilon):
        """How many there are; at 0 the self pairs, and pairs of samples at one place."""
        return int(np.searchsorted(self.distances, epsilon, side="right"))

    def rows(self, count):
        """The rows of the `count` nearest ones: two `(count,)`."""
        return np.divmod(self._order[:count], self.size)

    def batches(self, x, y, epsilons, size, seed):
        """Mixtures of `size` pairs for each epsilon, drawn from those within it: `(size, epsilons, ...)`.

        So every epsilon's steps have as many pairs that count, which the paper gets, on average, by larger batches.
        """
        counts = tf.constant([self.within(epsilon) for epsilon in epsilons], tf.float64)
        order, x, y = tf.constant(self._order), tf.constant(x), tf.one_hot(y, 2)

        def pairs(number):
            drawn = tf.random.stateless_uniform([size, 1], [tf.constant(seed, tf.int64), number], dtype=tf.float64)
            chosen = tf.reshape(tf.gather(order, tf.cast(drawn * counts, tf.int32)), [-1])
            return tuple(
                (tf.gather(x, rows), tf.gather(y, rows)) for rows in (chosen // self.size, chosen % self.size)
            )

        layer = MixLayer(face_to_face, BetaRatio(1.0, scope="sample"))
        mixed = tf.data.Dataset.counter().map(pairs).apply(mix(layer, seed=seed, between=True))
        return mixed.map(lambda x, y: (_by_arm(x, len(epsilons)), _by_arm(y, len(epsilons)))).prefetch(4)


def face_to_face(features, seed):
    """Pairs each row of one loader with the same row of the other."""
    rows = tf.range(tf.shape(features[0])[0])
    return Pairing(rows, rows)


face_to_face.between = lambda first, second: face_to_face(first, None)


def _by_arm(values, arms):
    return tf.reshape(values, [-1, arms, values.shape[-1]])


def side_by_side(units, inputs, classes, arms):
    """As many equal networks in one, `(batch, arms, inputs)` to `(batch, arms, classes)`: one step trains them all.

    Each learns as it would alone with `adam(rate, arms)`: losses are averaged, and Adam's steps do not depend on
    the scale of a loss, but for its epsilon.
    """
    sizes = [*units, classes]
    alone = keras.Sequential([keras.Input((inputs,)), *(keras.layers.Dense(size) for size in sizes)])
    layers = [
        keras.layers.EinsumDense(
            "bai,aio->bao", (arms, size), bias_axes="ao", activation="relu" if place < len(units) else None
        )
        for place, size in enumerate(sizes)
    ]
    together = keras.Sequential([keras.Input((arms, inputs)), *layers])
    together.set_weights([np.repeat(weights[np.newaxis], arms, axis=0) for weights in alone.get_weights()])
    return together


def adam(rate, arms):
    """Adam as Keras has it, for losses that are divided by the number of arms."""
    return keras.optimizers.Adam(rate, epsilon=1e-7 / arms)


def probabilities_of_arms(model, x, arms):
    """Of class 1, `(arms, n)`."""
    logits = np.asarray(model(np.repeat(x[:, np.newaxis], arms, axis=1), training=False), np.float64)
    return tf.nn.softmax(logits)[..., 1].numpy().T


def draw_spread(axes, x, values, **style):
    """Mean over seeds, and one standard deviation. values: `(seeds, points)`."""
    mean, spread = values.mean(axis=0), values.std(axis=0)
    (line,) = axes.plot(x, mean, **style)
    axes.fill_between(x, mean - spread, mean + spread, alpha=0.2, color=line.get_color(), linewidth=0)
    return line
