"""Puzzle Mix: salient blocks of both images, put together like a puzzle."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import PuzzleMixBlend
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs, option_of
from kmix_tf.layers.preset import CuttingLayer
from kmix_tf.pairing import OptimalTransportPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction


@register
class PuzzleMixLayer(CuttingLayer):
    """Puzzle Mix: shows of each image the blocks that are salient in it, and mixes targets by the area shown.

    Where CutMix may cover the object that the label speaks of, the mask here goes round it: a minimum cut between
    saliency kept, smooth borders and the ratio drawn; and what is covered all the same is moved, if it is worth its
    way. Without a model, saliency is the spectral residual of the image; with `saliency=GradientSaliency(model,
    loss)`, or in `MixModel`, what moves the model's loss, as in the paper.

    Args:
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1, the authors' for CIFAR-100.
        k: samples in a group matched by optimal transport, default 1: random pairs.
        interpolations: mixtures of each pair, default 1; their masks are nested before blocks are moved.
        axes, blocks, n_labels, beta, gamma, eta, neigh_size, transport, t_eps, transport_blocks, value_range,
            saliency: as in `PuzzleMixBlend`. Targets that are maps of the image's size are puzzled with it.
        solver: "host" (default) or "graph", of the pairing, the masks and the transport.
        scope, cost: as in `KMixupLayer`.
        weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        TypeError, ValueError: for an argument out of its range; on a call, for features without axes to cut, or
            images smaller than the blocks are many.

    Source: Kim, Choo and Song 2020, *Puzzle Mix*; multi-mix, eq. (5), for several interpolations.

    Example:
        >>> layer = PuzzleMixLayer(num_classes=10, blocks=4)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 3]), tf.constant([3, 1, 4, 1]))
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 3]), TensorShape([4, 10]))
    """

    blocks = option_of("blend", "blocks")
    n_labels = option_of("blend", "n_labels")
    beta = option_of("blend", "beta")
    gamma = option_of("blend", "gamma")
    eta = option_of("blend", "eta")
    neigh_size = option_of("blend", "neigh_size")
    transport = option_of("blend", "transport")
    t_eps = option_of("blend", "t_eps")
    transport_blocks = option_of("blend", "transport_blocks")
    value_range = option_of("blend", "value_range")
    saliency = option_of("blend", "saliency")

    @_checks.speaks
    def __init__(
        self,
        alpha: float = 1.0,
        *,
        k: int = 1,
        interpolations: int = 1,
        axes: int = 2,
        blocks: int | None = None,
        n_labels: int = 3,
        beta: float = 1.2,
        gamma: float = 0.5,
        eta: float = 0.2,
        neigh_size: int = 4,
        transport: bool = True,
        t_eps: float = 0.8,
        transport_blocks: int = 8,
        value_range: Any = None,
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
            PuzzleMixBlend(
                axes,
                blocks=blocks,
                n_labels=n_labels,
                beta=beta,
                gamma=gamma,
                eta=eta,
                neigh_size=neigh_size,
                transport=transport,
                t_eps=t_eps,
                transport_blocks=transport_blocks,
                value_range=value_range,
                saliency=saliency,
                solver=solver,
            ),
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
