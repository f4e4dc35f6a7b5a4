"""Attentive CutMix: the partner's most attentive cells are pasted in."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import AttentiveMixBlend
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs, option_of
from kmix_tf.layers.preset import CuttingLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction


@register
class AttentiveMixLayer(CuttingLayer):
    """Attentive CutMix: pastes the partner's most attentive cells of a grid, and mixes targets by the area pasted.

    What is pasted follows the object, as one box cannot. Without a model, attention is the spectral residual of the
    image; with `saliency=FeatureSaliency(model)`, where a model's feature map answers most, as the authors have it;
    with `GradientSaliency(model, loss)`, what moves a model's loss.

    Args:
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1. See `AttentiveMixBlend` for the
            authors' fixed number of cells.
        k: samples in a group matched by optimal transport, default 1: random pairs.
        interpolations: mixtures of each pair, default 1; their cells are taken in one order, so the sets are nested.
        grid: how many cells there are along each axis, an integer >= 2, default 7.
        axes: how many axes the grid spans: 2 (default) for images and spectrograms, 1 for signals, 3 for volumes.
        saliency: a callable `(features, targets) -> float (batch, *axes)`, >= 0; see `AttentiveMixBlend`. Weights of
            its model, if it has an attribute `model`, are saved with the layer in `.keras` files, but not in
            `get_config`.
        scope, cost, solver: as in `KMixupLayer`.
        weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        TypeError, ValueError: for an argument out of its range; on a call, for features without axes to lay a grid
            on, or images smaller than the grid.

    Source: Walawalkar et al. 2020, *Attentive CutMix*.

    Example:
        >>> layer = AttentiveMixLayer(num_classes=10)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 3]), tf.constant([3, 1, 4, 1]))
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 3]), TensorShape([4, 10]))
    """

    grid = option_of("blend", "grid")
    saliency = option_of("blend", "saliency")

    @_checks.speaks
    def __init__(
        self,
        alpha: float = 1.0,
        *,
        k: int = 1,
        interpolations: int = 1,
        grid: int = 7,
        axes: int = 2,
        saliency: Callable | None = None,
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
            AttentiveMixBlend(grid, axes, saliency),
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
