"""CutMix: boxes of the partner are pasted in."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import CutMixBlend
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs, scope_of_what_is_drawn
from kmix_tf.layers.preset import CuttingLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction


@register
class CutMixLayer(CuttingLayer):
    """CutMix: pastes a box of the partner into each sample, and mixes targets by the area pasted.

    The label's weight is the area in whole pixels after clipping at the edge, not the ratio drawn. Targets of the
    image's height and width, such as segmentation masks made one-hot, are pasted likewise.

    Args:
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1.
        k: samples in a group matched by optimal transport, default 1: random pairs.
        interpolations: mixtures of each pair, default 1; their boxes share a centre, so they are nested.
        axes: how many axes a box spans: 2 (default) for images and spectrograms, 1 for signals, 3 for volumes.
        scope, cost, solver: as in `KMixupLayer`. With scope "pair", both samples of a pair have one box: they swap.
        weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        ValueError: for an argument out of its range; on a call, for features without axes to cut from.

    Source: multi-mix, Section III-A2, after Yun et al. 2019.

    Example:
        >>> layer = CutMixLayer(num_classes=10)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 3]), tf.constant([3, 1, 4, 1]))
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 3]), TensorShape([4, 10]))
    """

    @_checks.speaks
    def __init__(
        self,
        alpha: float = 1.0,
        *,
        k: int = 1,
        interpolations: int = 1,
        axes: int = 2,
        scope: str = "batch",
        cost: str = "sqeuclidean",
        solver: str = "host",
        weight: Callable | None = None,
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
            CutMixBlend(axes, scope_of_what_is_drawn(scope)),
            weight,
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
