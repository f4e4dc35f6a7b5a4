"""k-mixup: groups of k, matched by optimal transport."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs
from kmix_tf.layers.preset import PresetLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction


@register
class KMixupLayer(PresetLayer):
    """k-mixup: mixes each group of k samples with another group, matched by optimal transport.

    Matching lets a sample meet a near one of the other group rather than any: mixtures stay close to the data,
    and where clusters meet, neighbours across the gap are mixed. k = 1 is plain mixup; the paper recommends 16.

    Args:
        k: samples in a group, an integer >= 1, default 16. Batches of at least 2k make full groups; smaller ones
            and remainders work too (`OptimalTransportPairing` says how).
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1. 0 means no mixing.
        scope: "batch" (default, as in the paper), "group", "sample" or "pair": which samples share a ratio. With
            "pair" two samples swap: A becomes r A + (1 - r) B, and B becomes r B + (1 - r) A. Pairs are drawn by
            chance (timm's mode "pair" takes them from both ends of the batch); of an odd batch one sample stays.
        cost: "sqeuclidean" (default, the paper's formula) or "euclidean" (the paper's published code).
        solver: "host" (default), SciPy's exact solver in a host callback; or "graph", an exact solver that XLA
            compiles: for accelerators, `jit_compile=True`, and tf.data service workers of other processes.
        interpolations: mixtures of each pair, an integer >= 1; see `MultiMixLayer`.
        blend, weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

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

    @_checks.speaks
    def __init__(
        self,
        k: int = 16,
        alpha: float = 1.0,
        *,
        scope: str = "batch",
        cost: str = "sqeuclidean",
        solver: str = "host",
        interpolations: int = 1,
        blend: Callable | None = None,
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
            blend,
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
