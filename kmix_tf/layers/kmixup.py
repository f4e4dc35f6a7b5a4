"""k-mixup: groups of k, matched by optimal transport."""

from typing import Any

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers.mix import MixLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio


@register
class KMixupLayer(MixLayer):
    """k-mixup: mixes each group of k samples with another group, matched by optimal transport.

    Matching lets a sample meet a near one of the other group rather than any: mixtures stay close to the data,
    and where clusters meet, neighbours across the gap are mixed. k = 1 is plain mixup; the paper recommends 16.

    Args:
        k: samples in a group, an integer >= 1, default 16. Batches of at least 2k make full groups; smaller ones
            and remainders work too (`OptimalTransportPairing` says how).
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1. 0 means no mixing.
        scope: "batch" (default, as in the paper), "group" or "sample": which samples share a ratio.
        cost: "sqeuclidean" (default, the paper's formula) or "euclidean" (the paper's published code).
        solver: "host" (default), SciPy's exact solver in a host callback.
        num_classes, features_only, seed: as in `MixLayer`, which also says what a call takes and gives.

    Raises:
        ValueError: for an argument out of its range; see `MixLayer` for what a call raises.

    Source: k-mixup, Section 2. Its formula squares the distance and its Figure 5 does not.

    Example:
        >>> images, labels = tf.random.uniform([64, 8, 8, 1]), tf.random.uniform([64], maxval=10, dtype=tf.int32)
        >>> dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)
        >>> mixed = dataset.map(KMixupLayer(k=16, num_classes=10))
        >>> [x.shape for x in next(iter(mixed))]
        [TensorShape([32, 8, 8, 1]), TensorShape([32, 10])]
    """

    def __init__(
        self,
        k: int = 16,
        alpha: float = 1.0,
        *,
        scope: str = "batch",
        cost: str = "sqeuclidean",
        solver: str = "host",
        num_classes: Any = None,
        features_only: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        with _checks.speaking_as(type(self).__name__):
            pairing = OptimalTransportPairing(k, cost=cost, solver=solver)
            ratio = BetaRatio(alpha, scope=scope)
        super().__init__(pairing, ratio, num_classes=num_classes, features_only=features_only, seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**self._shared_config(), **self.pairing.get_config(), **self.ratio.get_config()}
