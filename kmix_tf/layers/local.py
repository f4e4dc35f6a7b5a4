"""Local Mixup: far pairs count less."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs
from kmix_tf.layers.preset import PresetLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction
from kmix_tf.weight import ExponentialWeight


@register
class LocalMixupLayer(PresetLayer):
    """Local Mixup: weighs each mixture's loss by how near its two ends are.

    Mixtures of samples far apart may lie where other classes live. They count less, or not at all. Weights reach the
    loss as sample weights, `(x, y, sample_weight)`, divided by their mean, so that the stock loss is the paper's sum
    over the weights; or, with `targets="packed"`, through `LocalMixupLoss`.

    Args:
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1.
        weight: `ExponentialWeight(rate)`, `ThresholdWeight(epsilon)`, `NearestNeighborWeight(neighbors)` or a
            callable. Default `ExponentialWeight("quantile:0.5")`: a pair at the median distance counts 1/e.
        k: samples in a group matched by optimal transport, default 1: random pairs, as in the paper.
        scope, cost, solver, interpolations: as in `KMixupLayer`.
        blend, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        ValueError: for an argument out of its range; see `MixLayer` for what a call raises.

    Source: Local Mixup, eq. (3), normalised by the sum of the weights as its authors do.

    Example:
        >>> layer = LocalMixupLayer(weight=ThresholdWeight(epsilon="quantile:0.5"), num_classes=10)
        >>> x, y, weight = layer(tf.random.uniform([8, 5]), tf.range(8))
        >>> round(float(tf.reduce_mean(weight)), 6)
        1.0
    """

    @_checks.speaks
    def __init__(
        self,
        alpha: float = 1.0,
        weight: Callable | None = None,
        *,
        k: int = 1,
        scope: str = "batch",
        cost: str = "sqeuclidean",
        solver: str = "host",
        interpolations: int = 1,
        blend: Callable | None = None,
        num_classes: Any = None,
        class_weight: Any = None,
        label_shares: Any = None,
        features_only: bool = False,
        targets: str = "mixed",
        probability: float = 1.0,
        schedule: Callable | None = None,
        match_on: Any = None,
        embedding: Callable | None = None,
        match_at: str | Reduction = "full",
        passthrough: Any = None,
        masks: Any = None,
        bounding_box_format: str | None = None,
        box_visibility: float = 0.1,
        box_weights: bool = False,
        adapted: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(
            OptimalTransportPairing(k, cost, solver, mutual=is_of_pairs(scope)),
            BetaRatio(alpha, scope, interpolations),
            blend,
            ExponentialWeight("quantile:0.5") if weight is None else weight,
            num_classes=num_classes,
            class_weight=class_weight,
            label_shares=label_shares,
            features_only=features_only,
            targets=targets,
            probability=probability,
            schedule=schedule,
            match_on=match_on,
            embedding=embedding,
            match_at=match_at,
            passthrough=passthrough,
            masks=masks,
            bounding_box_format=bounding_box_format,
            box_visibility=box_visibility,
            box_weights=box_weights,
            adapted=adapted,
            seed=seed,
            **checked_keras_options(type(self), kwargs),
        )
