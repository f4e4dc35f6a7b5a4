"""Ratios from any symmetric distribution."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, require
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.ratio.beta import SCOPES, spread
from kmix_tf.seeding import as_seed


@register
class DistributionRatio(RatioStrategy):
    """Ratios from any symmetric distribution on [0, 1].

    Args:
        sample: a callable `(shape, seed) -> float tensor` of that shape, with values in [0, 1], such that l and 1 - l
            are equally likely (which is not checked). `shape` is an int32 tensor, `seed` int32 `(2,)`; the same seed
            must give the same draws, so use TensorFlow's stateless ops. Of those, XLA draws other numbers than plain
            ops do, whatever `alg` they are told: compiled, one seed then gives another mixture. To be saved with a
            layer it must be registered with `keras.saving.register_keras_serializable`.
        scope, interpolations: as in `BetaRatio`.

    Raises:
        TypeError, ValueError: for other arguments.
        InvalidArgumentError: on the batch, for ratios outside [0, 1].

    Source: On Mixup Regularization, Section 2, whose theory holds for any symmetric distribution.

    Example:
        >>> def arcsine(shape, seed):
        ...     return tf.sin(tf.random.stateless_uniform(shape, seed) * np.pi / 2) ** 2
        >>> DistributionRatio(arcsine, scope="sample")(tf.range(4), seed=3).shape
        TensorShape([4])
    """

    in_range = True  # It checks itself.

    @_checks.speaks
    def __init__(self, sample: Callable, scope: str = "batch", interpolations: int = 1):
        if not callable(sample):
            _checks.refuse("sample", "callable", sample, TypeError)
        self.sample = sample
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.interpolations = _checks.integer("interpolations", interpolations, minimum=1)
        self.mixtures = self.interpolations if self.interpolations > 1 else None

    @_checks.speaks_anew
    def __call__(self, group: tf.Tensor, seed: Any, distances: Any = None) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, as `BetaRatio` does."""
        ratios = spread(self._drawn, group, as_seed(seed), self.scope, self.interpolations)
        in_range = tf.reduce_all((ratios >= 0) & (ratios <= 1))
        message = "sample must give ratios in [0, 1]. Received: ratios outside, or NaN."
        return after(require(in_range, message), [ratios])[0]

    def _drawn(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        ratios = tf.cast(self.sample(shape, seed), tf.float32)
        message = f"sample must give a tensor of the shape asked for. Received: {ratios.shape}."
        # TensorFlow knows from the shape tensor what is known before the graph runs.
        if not ratios.shape.is_compatible_with(tf.zeros(shape, tf.bool).shape):
            raise _checks.problem(message)
        return after(require(tf.reduce_all(tf.shape(ratios) == shape), message), [ratios])[0]
