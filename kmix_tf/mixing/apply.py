"""Applying what was drawn: a deterministic function of one batch, or two, and a plan."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import image_of, warn_of_channels_first
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import BOXES, FEATURES, MASK, MIXED, TARGETS, WEIGHTS, Leaf
from kmix_tf.batch.mixture import Mixture, has_places
from kmix_tf.batch.roles import ROLES
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.label_shares.rules import LabelRules, label_ratios
from kmix_tf.mixing.draw import Drawn
from kmix_tf.mixing.watch import WATCHED
from kmix_tf.mixing.weighting import one_weight_each, weighted
from kmix_tf.saliency.inputs import NamedFeatures


def apply(
    first: Batch,
    second: Batch,
    drawn: Drawn,
    blend: BlendStrategy,
    packed: bool = False,
    saliency: Any = None,
    rules: LabelRules | None = None,
) -> Batch:
    """Mixes each sample of one batch with its partner in another, or in the same.

    Args:
        first, second: batches that were read, the same object for one batch.
        packed: whether both targets of a mixture are kept, packed with ratio and weight, instead of being mixed.
        saliency: of the first batch, `(batch, *axes)`, or None: as the blend's own source sees it.
        rules: for shares in labels; None: they follow the shares that the blend realised.

    Raises:
        ValueError: for saliency that the blend does not ask for; for weights without targets to return them with.
    """
    blended = _blended(first, second, drawn, blend, saliency)
    if first.structure[2] is not None:
        is_one = second is first
        first = one_weight_each(first, blended, rules is not None)
        second = first if is_one else one_weight_each(second, blended, rules is not None)
    ours, theirs = ([leaf.tensor for leaf in batch.leaves if leaf.role == MASK] for batch in (first, second))
    label_ratio = blended.ratio if blended.label_ratio is None else blended.label_ratio
    counts = [[leaf for leaf in batch.leaves if leaf.part == WEIGHTS] for batch in (first, second)]
    masks, weights = (ours, theirs), (counts[0], counts[1])
    mixture = Mixture(drawn.plan.partner, drawn.plan.ratio, blended, label_ratio, drawn.weight, masks, weights)
    if rules is not None:
        mixture = mixture._replace(label_ratios=label_ratios(first, second, mixture, rules))
    tensors: list[Any] = [None] * len(first.leaves)
    for name in dict.fromkeys(leaf.role for leaf in first.leaves):
        at = [index for index, leaf in enumerate(first.leaves) if leaf.role == name]
        ours, theirs = ([batch.leaves[index] for index in at] for batch in (first, second))
        for index, tensor in zip(at, ROLES[name].mix(ours, theirs, mixture, packed), strict=True):
            tensors[index] = tensor
    mixed = first.replace(tensors)
    if watched := WATCHED.get():
        watched[-1].update(batch=first, blended=blended, mixed=mixed)
    return mixed if packed or drawn.weight is None else weighted(mixed, drawn.weight)


def unmixed(batch: Batch, packed: bool = False) -> Batch:
    """A batch converted as mixing does, but not mixed."""
    return batch.replace([ROLES[leaf.role].unmixed(leaf, packed) for leaf in batch.leaves])


def _blended(first: Batch, second: Batch, drawn: Drawn, blend: BlendStrategy, saliency: Any) -> Blended:
    """What the blend makes of the features, told what it asks for."""
    if blend.axes == 2:
        warn_of_channels_first(first.tensors(FEATURES))
    told: dict[str, Any] = {}
    if blend.needs_saliency:
        told["saliency"] = _saliency(first, second, blend, saliency)
    elif saliency is not None:
        _checks.refuse("saliency", f"None for {blend.shown}, which asks for none", saliency)
    if blend.needs_targets:
        told["targets"] = (first.tensors(TARGETS), second.tensors(TARGETS))
    ours = first.tensors(FEATURES)
    theirs = ours if second is first else second.tensors(FEATURES)
    given = blend(ours, theirs, *drawn.plan, **told)
    if blend.moves:
        _require_nothing_of_places(first, blend)
    if not isinstance(given, tuple) or len(given) < 2 or not isinstance(given[0], (list, tuple)):
        raise _checks.problem(f"{blend.shown} must return Blended(x, ratio). Received: {given!r}.", TypeError)
    if len(given[0]) != len(ours):
        raise _checks.problem(
            f"{blend.shown} must give as many features as it is given. Received: {len(given[0])} of {len(ours)}."
        )
    return Blended(*given)


def _require_nothing_of_places(batch: Batch, blend: BlendStrategy) -> None:
    """Refuses what says where something is, for a blend that moves features and leaves that."""
    axes = blend.axes or 1
    places = image_of(batch.tensors(FEATURES), axes).shape[1 : 1 + axes]
    for leaf in batch.leaves:
        is_map = leaf.part == TARGETS and leaf.role == MIXED and has_places(leaf.tensor.shape, places)
        if is_map or leaf.role in (BOXES, MASK):
            what = {BOXES: "boxes", MASK: "a mask of padding"}.get(leaf.role, "a map of the features' places")
            raise _checks.problem(
                f"{blend.shown} moves parts of the features, but nothing else that says where something is. "
                f"Received: {leaf.name}, {what}. Use another blend."
            )


def _saliency(first: Batch, second: Batch, blend: Any, given: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """What matters where in both batches."""
    ours = _asked(first, blend) if given is None else tf.convert_to_tensor(given)
    return ours, ours if second is first else _asked(second, blend)


def _asked(batch: Batch, blend: Any) -> tf.Tensor:
    """What the blend's source says of a batch; sources with a model find its inputs by name."""
    leaves: Sequence[Leaf] = [leaf for leaf in batch.leaves if leaf.part == FEATURES and leaf.role == MIXED]
    named = NamedFeatures([leaf.tensor for leaf in leaves], [leaf.path for leaf in leaves])
    return blend.saliency_of(named, batch.tensors(TARGETS) or None)
