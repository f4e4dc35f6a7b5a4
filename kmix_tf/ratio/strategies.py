"""Which samples share a ratio, how many each gets, and the distribution they come from."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._fusion import compiled
from kmix_tf.batch.leaves import after, require
from kmix_tf.ratio.beta import sample_beta
from kmix_tf.seeding import as_seed

SCOPES = ("batch", "group", "sample")


@register
class BetaRatio:
    """Ratios from Beta(alpha, alpha): one for the batch, for each k-group or for each sample; or several, ordered.

    Args:
        alpha: a finite number >= 0, default 1 (uniform). 0 means no mixing, large values mean halves.
        scope: "batch" (default, as in the papers), "group" or "sample": which samples share a ratio.
        interpolations: how many ratios each sample gets, an integer >= 1. They descend: the first mixture is the
            nearest to the sample itself, as in the multi-mix paper, whose lambda is 1 - ratio and ascends.

    Raises:
        ValueError: for another alpha, scope or number.

    Source: k-mixup, Section 2; multi-mix, Section III-A (the whole batch shares the ratios: scope "batch").

    Example:
        >>> ratio = BetaRatio(alpha=0.5, scope="group")
        >>> ratio(tf.constant([0, 0, 1, 1]), seed=3).shape
        TensorShape([4])
        >>> BetaRatio(interpolations=5)(tf.constant([0, 0, 1, 1]), seed=3).shape
        TensorShape([5, 4])
    """

    def __init__(self, alpha: float = 1.0, scope: str = "batch", interpolations: int = 1):
        self.alpha = _checks.number("BetaRatio", "alpha", alpha)
        self.scope = _checks.choice("BetaRatio", "scope", scope, SCOPES)
        self.interpolations = _checks.integer("BetaRatio", "interpolations", interpolations, minimum=1)

    def __call__(self, group: tf.Tensor, seed: Any) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, int32 `(batch,)`, or `(times, batch)` if repeated.

        Returns float32 `(batch,)`, or `(interpolations, batch)` if there are several.
        """
        options = {"alpha": self.alpha, "scope": self.scope, "interpolations": self.interpolations}
        return _beta_ratios(group, as_seed(seed), **options, repeated=group.shape.rank == 2)

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "scope": self.scope, "interpolations": self.interpolations}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BetaRatio":
        return cls(**config)


@register
class DistributionRatio:
    """Ratios from any symmetric distribution on [0, 1].

    Args:
        sample: a callable `(shape, seed) -> float tensor` of that shape, with values in [0, 1], such that l and 1 - l
            are equally likely (which is not checked). `shape` is an int32 tensor, `seed` int32 `(2,)`; the same seed
            must give the same draws, so use TensorFlow's stateless ops. To be saved with a layer it must be
            registered with `keras.saving.register_keras_serializable`.
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

    def __init__(self, sample: Callable, scope: str = "batch", interpolations: int = 1):
        if not callable(sample):
            _checks.refuse("DistributionRatio", "sample", "callable", sample, TypeError)
        self.sample = sample
        self.scope = _checks.choice("DistributionRatio", "scope", scope, SCOPES)
        self.interpolations = _checks.integer("DistributionRatio", "interpolations", interpolations, minimum=1)

    def __call__(self, group: tf.Tensor, seed: Any) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, as `BetaRatio` does."""
        ratios = _spread(self._drawn, group, as_seed(seed), self.scope, self.interpolations)
        in_range = tf.reduce_all((ratios >= 0) & (ratios <= 1))
        message = "DistributionRatio: sample must give ratios in [0, 1]. Received: ratios outside, or NaN."
        return after(require(in_range, message), [ratios])[0]

    def _drawn(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        ratios = tf.cast(self.sample(shape, seed), tf.float32)
        message = f"DistributionRatio: sample must give a tensor of the shape asked for. Received: {ratios.shape}."
        # TensorFlow knows from the shape tensor what is known before the graph runs.
        if not ratios.shape.is_compatible_with(tf.zeros(shape, tf.bool).shape):
            raise ValueError(message)
        return after(require(tf.reduce_all(tf.shape(ratios) == shape), message), [ratios])[0]

    def get_config(self) -> dict[str, Any]:
        sample = keras.saving.serialize_keras_object(self.sample)
        return {"sample": sample, "scope": self.scope, "interpolations": self.interpolations}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistributionRatio":
        return cls(**{**config, "sample": keras.saving.deserialize_keras_object(config["sample"])})


@compiled
def _beta_ratios(
    group: tf.Tensor, seed: tf.Tensor, *, alpha: float, scope: str, interpolations: int, repeated: bool
) -> tf.Tensor:
    # A shape that has varied once is unknown in a compiled function; the rank must not be.
    group = tf.ensure_shape(group, [None, None] if repeated else [None])
    return _spread(lambda shape, seed: sample_beta(shape, alpha, seed), group, seed, scope, interpolations)


def _spread(draw: Callable, group: tf.Tensor, seed: tf.Tensor, scope: str, interpolations: int) -> tf.Tensor:
    """Ratios that `draw(shape, seed)` gives to all samples, groups or the batch, for each of the interpolations.

    Groups `(times, batch)`, of several pairings, each have ratios of their own where groups do, and otherwise share
    those of the samples or the batch; or, if there are as many interpolations, have one of these each.
    """
    size = tf.shape(group)[-1]
    by_pairing = scope == "group" and group.shape.rank == 2
    lead = [] if interpolations == 1 else [interpolations]
    outer = [tf.shape(group)[0]] if by_pairing and not lead else lead
    ratios = draw(tf.stack([*outer, tf.constant(1) if scope == "batch" else size]), seed)
    if lead:
        ratios = tf.sort(ratios, axis=0, direction="DESCENDING")
    if by_pairing:
        return tf.gather(ratios, group, axis=1, batch_dims=1)
    if scope == "group":
        return tf.gather(ratios, group, axis=-1)
    return tf.broadcast_to(ratios, tf.stack([*lead, size]))
