"""Which samples share a ratio, and the distribution it comes from."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._fusion import compiled
from kmix_tf.ratio.beta import sample_beta
from kmix_tf.seeding import as_seed

SCOPES = ("batch", "group", "sample")


@register
class BetaRatio:
    """Ratios from Beta(alpha, alpha), one for the batch, for each k-group or for each sample.

    Args:
        alpha: a finite number >= 0, default 1 (uniform). 0 means no mixing, large values mean halves.
        scope: "batch" (default, as in the k-mixup paper), "group" or "sample".

    Raises:
        ValueError: for another alpha or scope.

    Source: k-mixup, Section 2.

    Example:
        >>> ratio = BetaRatio(alpha=0.5, scope="group")
        >>> ratio(tf.constant([0, 0, 1, 1]), seed=3).shape
        TensorShape([4])
    """

    def __init__(self, alpha: float = 1.0, scope: str = "batch"):
        self.alpha = _checks.number("BetaRatio", "alpha", alpha)
        self.scope = _checks.choice("BetaRatio", "scope", scope, SCOPES)

    def __call__(self, group: tf.Tensor, seed: Any) -> tf.Tensor:
        """Draws a ratio for each sample: `group` is int32 `(batch,)`, the k-group of each; float32 `(batch,)`."""
        return _ratios(group, as_seed(seed), alpha=self.alpha, scope=self.scope)

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "scope": self.scope}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BetaRatio":
        return cls(**config)


@compiled
def _ratios(group: tf.Tensor, seed: tf.Tensor, *, alpha: float, scope: str) -> tf.Tensor:
    size = tf.shape(group)
    if scope == "batch":
        return tf.fill(size, sample_beta([], alpha, seed))
    ratios = sample_beta(size, alpha, seed)
    return tf.gather(ratios, group) if scope == "group" else ratios
