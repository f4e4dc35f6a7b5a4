"""multi-mix: several ordered interpolations of each pair."""

from collections.abc import Callable
from typing import Any, Unpack

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers.options import KerasOptions, checked_keras_options, is_of_pairs
from kmix_tf.layers.preset import PresetLayer
from kmix_tf.pairing import OptimalTransportPairing, PairingStrategy, RepeatedPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.reduction import Reduction

BASELINES = ("batch_augmentation",)


@register
class MultiMixLayer(PresetLayer):
    """multi-mix: mixes each pair several times, with ordered ratios that the whole batch shares.

    More mixtures of one pair show the way from one sample to the other, and lower the variance of the gradient. A
    batch comes back `interpolations` times as long, an interpolation of all pairs after another: result
    `m * batch + i` is mixture m of pair i, and mixture 0 is the nearest to the sample itself. The paper writes
    mix(z, z'; l) = (1 - l) z + l z' with ascending l; the ratio here is 1 - l and descends.

    Args:
        interpolations: mixtures of each pair, an integer >= 1, default 5, the paper's advice.
        alpha: ratios are drawn from Beta(alpha, alpha); finite and >= 0, default 1.
        k: samples in a group matched by optimal transport, default 1: random pairs, as in the paper.
        scope: "batch" (default, as in the paper: ratios of each pair would reverse its Proposition III.2), "group",
            "sample" or "pair"; see `KMixupLayer`.
        baseline: default None, multi-mix itself. "batch_augmentation": something to compare with, of the same length:
            as many pairings of the batch, each with a ratio of its own. It mixes the samples of the batch as they
            are; for the paper's batch augmentation with mixup, repeat and augment them before.
            The paper's large-batch mixup needs other samples, `interpolations` times as many, which a layer cannot
            make of a batch: `dataset.batch(interpolations * batch).map(KMixupLayer(1, alpha))`.
        cost, solver: as in `KMixupLayer`.
        blend, weight, num_classes, class_weight, features_only, targets, probability, schedule, match_on, embedding,
            match_at, passthrough, masks, label_shares, bounding_box_format, box_visibility, box_weights, seed: as in
            `MixLayer`, which also says what a call takes and gives.

    Raises:
        ValueError: for an argument out of its range, or more interpolations than memory holds.

    Source: multi-mix, Section III-A and eq. (6); Section III-C for the baselines.

    Example:
        >>> layer = MultiMixLayer(interpolations=3, num_classes=10)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 1]), tf.constant([3, 1, 4, 1]))
        >>> x.shape, y.shape
        (TensorShape([12, 8, 8, 1]), TensorShape([12, 10]))
    """

    @_checks.speaks
    def __init__(
        self,
        interpolations: int = 5,
        alpha: float = 1.0,
        *,
        k: int = 1,
        scope: str = "batch",
        baseline: str | None = None,
        cost: str = "sqeuclidean",
        solver: str = "host",
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
        pairing: PairingStrategy = OptimalTransportPairing(k, cost, solver, mutual=is_of_pairs(scope))
        ratio = BetaRatio(alpha, scope, interpolations)
        if baseline is not None:
            pairing = RepeatedPairing(pairing, interpolations)
            _require_baseline(baseline)
        super().__init__(
            pairing,
            ratio,
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
        self.baseline = baseline

    @property
    def interpolations(self) -> int:
        """How many mixtures of each pair there are; with a baseline, how many pairings."""
        return self.decisions.mixtures or 1


def _require_baseline(baseline: Any) -> None:
    if isinstance(baseline, str) and baseline == "large_batch":
        raise _checks.problem(
            "baseline must be one of 'batch_augmentation'. Received: baseline='large_batch', which was removed: it "
            "repeated the batch's samples, and the paper's large-batch mixup has K times as many different ones. "
            "Take dataset.batch(K * batch_size).map(KMixupLayer(k, alpha)) for it, k = 1 as in the paper."
        )
    _checks.choice("baseline", baseline, BASELINES)
