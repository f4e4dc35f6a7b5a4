"""Targets, weights and masks of a mixture, of the shares that the blend realised."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import joined, those
from kmix_tf.batch.leaf import TARGETS, WEIGHTS, Leaf
from kmix_tf.batch.mixture import Mixture, begins_with, is_of_places, pairs_of, places_of_mask
from kmix_tf.batch.packing import pack_targets
from kmix_tf.batch.weights import counted, counts_of, like, weight_of
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import interpolate_leaf, interpolate_leaves, interpolate_places, with_axes
from kmix_tf.blend.sources import mean_of_sources


def mixed_targets(ours: Sequence[Leaf], theirs: Sequence[Leaf], mixture: Mixture, packed: bool) -> list[tf.Tensor]:
    """The targets and weights of all mixtures, in the order of `ours`.

    Targets whose samples all count alike are mixed together, the others one by one, with their weights.
    """
    our_weights, their_weights = ([leaf for leaf in side if leaf.part == WEIGHTS] for side in (ours, theirs))
    made: dict[int, tf.Tensor] = {}
    alike = []
    for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one.part != TARGETS:
            continue
        our_counts, mine = counts_of(one, our_weights, mixture.masks[0]), mixture.of(one.path)
        if not our_counts and mine is mixture:
            alike.append(at)
            continue
        if not our_counts:
            (made[at],) = _alike([one.tensor], [other.tensor], mine, packed)
            continue
        counts = our_counts, counts_of(other, their_weights, mixture.masks[1])
        made[at], total = _weighed(one.tensor, other.tensor, counts, mine, packed)
        for place in _places_of(weight_of(one, our_weights), ours):
            made.setdefault(place, like(total, ours[place].tensor))
    first, second = ([side[at].tensor for at in alike] for side in (ours, theirs))
    made.update(zip(alike, _alike(first, second, mixture, packed), strict=True))
    rest = [at for at in range(len(ours)) if at not in made]
    made.update({at: _counted_alone(ours[at], theirs[at], mixture) for at in rest})
    return [made[at] for at in range(len(ours))]


def _places_of(wanted: Leaf | None, leaves: Sequence[Leaf]) -> list[int]:
    return [at for at, leaf in enumerate(leaves) if leaf is wanted]


def _counted_alone(one: Leaf, other: Leaf, mixture: Mixture) -> tf.Tensor:
    """What mixtures count whose targets are boxes."""
    if mixture.blended.shares is not None:
        return _summed(one.tensor, mixture.blended, packed=False)
    pairs = pairs_of(mixture, mixture.label_ratio, by_place=False)
    return like(counted(pairs, [one.tensor], [other.tensor])[1], one.tensor)


def _alike(first: list[tf.Tensor], second: list[tf.Tensor], mixture: Mixture, packed: bool) -> list[tf.Tensor]:
    """Targets whose samples count alike."""
    if mixture.blended.shares is not None:
        return [_summed(leaf, mixture.blended, packed) for leaf in first]
    if packed:
        return [_packed(*sides, mixture) for sides in zip(first, second, strict=True)]
    return _interpolated(first, second, mixture)


def _interpolated(first: list[tf.Tensor], second: list[tf.Tensor], mixture: Mixture) -> list[tf.Tensor]:
    """Targets mixed with the ratio realised; maps of them, place by place."""
    partner, blended = mixture.partner, mixture.blended
    are_maps = [is_of_places(leaf, places_of_mask(blended)) for leaf in first]
    if blended.mask is None or not any(are_maps):
        return interpolate_leaves(first, second, partner, mixture.label_ratio)
    ours, theirs = those(are_maps, first, second)
    if blended.places:
        maps = interpolate_places(ours, theirs, partner, blended.mask, blended.places)
    else:
        spatial = blended.mask.shape.rank - blended.ratio.shape.rank
        maps = interpolate_leaves(ours, theirs, partner, blended.mask, spatial)
    ours, theirs = those([not use for use in are_maps], first, second)
    return joined(are_maps, maps, interpolate_leaves(ours, theirs, partner, mixture.label_ratio))


def _packed(ours: tf.Tensor, theirs: tf.Tensor, mixture: Mixture) -> tf.Tensor:
    pairs = pairs_of(mixture, mixture.label_ratio, is_of_places(ours, places_of_mask(mixture.blended)))
    return _pack(pairs.own(ours), pairs.other(theirs), pairs.share, mixture)


def _pack(own: tf.Tensor, other: tf.Tensor, share: tf.Tensor, mixture: Mixture) -> tf.Tensor:
    return pack_targets(own, other, share, 1.0 if mixture.weight is None else mixture.weight)


def _weighed(
    ours: tf.Tensor,
    theirs: tf.Tensor,
    counts: tuple[list[tf.Tensor], list[tf.Tensor]],
    mixture: Mixture,
    packed: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One target whose samples count differently, and what its mixtures count."""
    if mixture.blended.shares is not None:
        return _summed_by_weight(ours, counts[0], mixture.blended, packed)
    is_map = is_of_places(ours, places_of_mask(mixture.blended))
    pairs = pairs_of(mixture, mixture.label_ratio, is_map)
    share, total = counted(pairs, *counts)
    if share.shape.rank > max(leaf.shape.rank for leaf in counts[0]):
        _require_axis_for(ours, share, packed)
    own, other = pairs.own(ours), pairs.other(theirs)
    if packed:
        return _pack(own, other, share, mixture), total
    everyone = tf.range(tf.shape(pairs.second)[0])
    return interpolate_leaf(own, other, everyone, share, spatial=share.shape.rank - 1, several=False), total


def _require_axis_for(target: tf.Tensor, share: tf.Tensor, packed: bool) -> None:
    """Refuses weights that come to differ along the last axis of a target, which losses take the mean of."""
    is_sparse = packed and target.dtype.is_integer
    if share.shape.rank == target.shape.rank and not is_sparse:
        raise _checks.problem(
            "maps that are pasted with weights need an axis after their places, (batch, height, width, 1): each "
            f"place then has a weight of its own. Received: targets of shape {target.shape}. Add it by "
            "tf.expand_dims(y, -1), and to the model's outputs, too."
        )


def _summed(leaf: tf.Tensor, blended: Blended, packed: bool) -> tf.Tensor:
    """A target of mixtures of more than two samples: the same sums as the inputs, of maps place by place."""
    if packed:
        raise _checks.problem("mixtures of more than two samples have no two targets to pack. Set targets='mixed'.")
    return _sum(leaf, blended, is_of_places(leaf, places_of_mask(blended)))


def _sum(leaf: tf.Tensor, blended: Blended, by_place: bool) -> tf.Tensor:
    if by_place:
        return mean_of_sources(leaf, blended.sources)
    mixed = tf.tensordot(tf.cast(blended.shares, leaf.dtype), leaf, axes=1)
    return tf.ensure_shape(mixed, [None, *leaf.shape[1:]])


def _summed_by_weight(
    leaf: tf.Tensor, counts: list[tf.Tensor], blended: Blended, packed: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """`_summed` where samples count differently: share x weight of each, divided by their sum."""
    plain = tf.cast(_summed(leaf, blended, packed), tf.float64)
    places = places_of_mask(blended)
    is_map = places is not None and is_of_places(leaf, places)
    rank = max([*(count.shape.rank for count in counts), 1 + places.rank if places is not None and is_map else 1])
    weight = tf.ones([], tf.float64)
    for count in counts:
        weight *= with_axes(tf.cast(count, tf.float64), rank - count.shape.rank)
    if is_map:
        weight = tf.ensure_shape(tf.broadcast_to(weight, tf.shape(leaf)[:rank]), leaf.shape[:rank])
        _require_axis_for(leaf, weight, packed)
    total = _sum(weight, blended, is_map)
    full = with_axes(weight, leaf.shape.rank - rank) * tf.cast(leaf, tf.float64)
    sums = with_axes(total, leaf.shape.rank - rank)
    mixed = tf.where(sums > 0, tf.math.divide_no_nan(_sum(full, blended, is_map), sums), plain)
    return tf.cast(mixed, leaf.dtype), total


def joined_mask(ours: tf.Tensor, theirs: tf.Tensor, mixture: Mixture) -> tf.Tensor:
    """Which elements of a mixture are there: those of either sample, where there is anything of that sample in it."""
    blended = mixture.blended
    if blended.shares is not None:
        places = places_of_mask(blended)
        if places is not None and begins_with(ours.shape, places):
            return mean_of_sources(tf.cast(ours, tf.float32), blended.sources) > 0
        there = tf.cast(blended.shares > 0, tf.float32)
        return tf.tensordot(there, tf.cast(ours, tf.float32), axes=1) > 0
    places = places_of_mask(blended)
    pairs = pairs_of(mixture, blended.ratio, places is not None and begins_with(ours.shape, places))
    own, other = pairs.own(ours), pairs.other(theirs)
    axes = tf.rank(own) - tf.rank(pairs.share) if own.shape.rank is None else own.shape.rank - pairs.share.shape.rank
    return (with_axes(pairs.share > 0, axes) & own) | (with_axes(pairs.share < 1, axes) & other)
