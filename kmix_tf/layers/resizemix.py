"""ResizeMix: the whole partner, made smaller, is pasted in."""

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import ResizeMixBlend
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs, option_of, scope_of_what_is_drawn
from kmix_tf.layers.preset import CuttingLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import ScaleRatio
from kmix_tf.reduction import Reduction


@register
class ResizeMixLayer(CuttingLayer):
    """ResizeMix: pastes the whole partner, made smaller, into each sample, and mixes targets by the area pasted.

    All of the partner is seen in every mixture, so its label never speaks of an object that was cut away. Targets of
    the image's height and width, such as segmentation masks made one-hot, and bounding boxes shrink with it.

    Args:
        scale: (low, high), between which the share of each side that the box takes is uniform, 0 <= low <= high <= 1,
            default (0.1, 0.8). (0, 0) means no mixing.
        k: samples in a group matched by optimal transport, default 1: random pairs.
        interpolations: mixtures of each pair, default 1; their boxes are nested.
        axes: how many axes a box spans: 2 (default) for images and spectrograms, 1 for signals, 3 for volumes.
        resize: "nearest" (default) or "area", as in `ResizeMixBlend`.
        scope, cost, solver: as in `KMixupLayer`. With scope "pair", both samples of a pair have one box.
        weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        TypeError, ValueError: for an argument out of its range; on a call, for features without axes to paste into.

    Source: Qin et al. 2020, *ResizeMix: Mixing Data with Preserved Object Information and True Labels*, whose scale
    is uniform in (0.1, 0.8); see `ResizeMixBlend` for what differs from published code. For other ratios,
    `MixLayer(ratio=..., blend=ResizeMixBlend())`.

    Example:
        >>> layer = ResizeMixLayer(num_classes=10)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 3]), tf.constant([3, 1, 4, 1]))
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 3]), TensorShape([4, 10]))
    """

    made_of: ClassVar[dict[str, str]] = {**CuttingLayer.made_of, "ratio": "scale, scope and interpolations"}

    resize = option_of("blend", "resize")

    @property
    def scale(self) -> tuple[float, float]:
        """The bounds of the share of each side that a box takes."""
        ratio: Any = self.ratio
        return (ratio.low, ratio.high)

    @_checks.speaks
    def __init__(
        self,
        scale: tuple[float, float] = (0.1, 0.8),
        *,
        k: int = 1,
        interpolations: int = 1,
        axes: int = 2,
        resize: str = "nearest",
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
            ScaleRatio(*checked_scale(scale), _checks.axes(axes), scope, interpolations),
            ResizeMixBlend(axes, resize, scope_of_what_is_drawn(scope)),
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


def checked_scale(scale: Any) -> tuple[float, float]:
    """Two bounds in order."""
    rule = "two numbers, 0 <= low <= high <= 1"
    if not isinstance(scale, (tuple, list)) or len(scale) != 2:
        _checks.refuse("scale", rule, scale)
    low, high = (_checks.probability("scale", bound) for bound in scale)
    if low > high:
        _checks.refuse("scale", rule, scale)
    return low, high
