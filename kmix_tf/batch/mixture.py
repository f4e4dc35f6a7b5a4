"""What a batch's mixtures are made of: how much of which two samples, place by place where the blend says so."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.batch.leaf import Leaf
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import has_interpolations, join_interpolations, take_places


class Mixture(NamedTuple):
    """What was drawn for a batch, and what the blend made of its features.

    partner: int32 `(batch,)` or `(mixtures, batch)`. ratio: of the same shape or of several mixtures, as drawn.
    blended: what the blend gave. label_ratio: the share of the sample itself in the label, of the ratio's shape.
    weight: what each mixture counts, for packed targets, float32 `(mixtures,)` or None.
    masks: for samples and partners, boolean features `(batch, *places)`: which elements are there. weights: their
    sample weights, as leaves.
    label_ratios: for the paths of targets whose labels have shares of their own, the label_ratio of each.
    """

    partner: tf.Tensor
    ratio: tf.Tensor
    blended: Blended
    label_ratio: tf.Tensor
    weight: tf.Tensor | None
    masks: tuple[list[tf.Tensor], list[tf.Tensor]] = ([], [])
    weights: tuple[list[Leaf], list[Leaf]] = ([], [])
    label_ratios: Mapping[tuple, tf.Tensor] = MappingProxyType({})

    def of(self, path: tuple) -> "Mixture":
        """The same mixture as the target at a path sees it; this one, if it has no shares of its own."""
        ratio = self.label_ratios.get(path)
        return self if ratio is None else self._replace(label_ratio=ratio)

    def repeated(self, leaf: Any) -> Any:
        """A leaf of the batch once for each of several mixtures; it may be ragged or of strings."""
        if not has_interpolations(self.partner, self.ratio):
            return leaf
        join = tf.sparse.concat if isinstance(leaf, tf.SparseTensor) else lambda axis, leaves: tf.concat(leaves, axis)
        return join(0, [leaf] * self.ratio.shape[0])


class Pairs(NamedTuple):
    """The two samples of each mixture, one interpolation of the whole batch after another, and how much of the first.

    first: int32 `(mixtures,)`, rows of the batch, or None where they are all of it. second: rows of the partners.
    share: float32 `(mixtures,)`, or `(mixtures, *places)` where it differs from place to place. places: none, or
    where what stands at each place comes from, as in `Blended`.
    """

    first: tf.Tensor | None
    second: tf.Tensor
    share: tf.Tensor
    places: tuple[tf.Tensor, ...] = ()

    def own(self, leaf: tf.Tensor) -> tf.Tensor:
        """What a leaf holds of the sample itself, in each mixture."""
        return self._taken(leaf, self.first, 0)

    def other(self, leaf: tf.Tensor) -> tf.Tensor:
        """What a leaf holds of the partner."""
        return self._taken(leaf, self.second, 1)

    def _taken(self, leaf: tf.Tensor, rows: tf.Tensor | None, side: int) -> tf.Tensor:
        if self.places and leaf.shape.rank > 1:
            rows = tf.range(tf.shape(self.places[side])[0]) if rows is None else rows
            return take_places(_at_all_places(leaf, self.places[side]), rows, self.places[side])
        return leaf if rows is None else tf.gather(leaf, rows)


def _at_all_places(leaf: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """What is of the rows of an image alone, such as a mask of padded rows, at each place: it moves with them."""
    missing = places.shape.rank - leaf.shape.rank
    if missing <= 0:
        return leaf
    sizes = tf.concat([tf.shape(leaf), tf.shape(places)[leaf.shape.rank :]], 0)
    whole = tf.broadcast_to(tf.reshape(leaf, [*tf.unstack(tf.shape(leaf)), *[1] * missing]), sizes)
    return tf.ensure_shape(whole, [*leaf.shape, *places.shape[leaf.shape.rank :]])


def pairs_of(mixture: Mixture, share: tf.Tensor, by_place: bool) -> Pairs:
    """The pairs of all mixtures, with this share of the sample itself; or, place by place, with the blend's mask."""
    partner, blended = mixture.partner, mixture.blended
    if by_place and blended.mask is not None:
        share = blended.mask
    places = blended.places if by_place else ()
    if not has_interpolations(partner, mixture.ratio):
        return Pairs(None, partner, share, places)
    rows = mixture.repeated(tf.range(tf.shape(partner)[-1]))
    partners = join_interpolations(partner) if partner.shape.rank == 2 else mixture.repeated(partner)
    return Pairs(rows, partners, join_interpolations(share), places)


def places_of_mask(blended: Blended) -> tf.TensorShape | None:
    """The sizes of the places at which a blend says how much is whose; None if it does not."""
    if blended.sources:
        return blended.sources[0].shape[1:]
    return None if blended.mask is None else blended.mask.shape[blended.ratio.shape.rank :]


def is_of_places(target: tf.Tensor, places: tf.TensorShape | None) -> bool:
    """Whether a target has a value at each of these places: of integers, which are to be packed, a class."""
    if places is None or not target.dtype.is_integer:
        return has_places(target.shape, places)
    # Labels `(batch, 1)` are of samples.
    is_column = any(size == 1 and place is None for size, place in zip(target.shape[1:], places, strict=False))
    return begins_with(target.shape, places) and not is_column


def has_places(shape: tf.TensorShape, places: tf.TensorShape | None) -> bool:
    """Whether a target has a value at each of these places: `(batch, *places, ...)`.

    Without a last axis of its own it must be seen to have them, and more than one: soft labels `(batch, classes)` may
    well have as many classes as a signal has steps.
    """
    if places is None or not begins_with(shape, places):
        return False
    is_seen = shape[1 : 1 + places.rank].is_fully_defined() and places.is_fully_defined()
    return shape.rank > places.rank + 1 or (is_seen and places.rank > 1)


def begins_with(shape: tf.TensorShape, places: tf.TensorShape) -> bool:
    """Whether the axes after the batch's may be these places."""
    return (
        shape.rank is not None
        and places.rank is not None
        and shape.rank > places.rank
        and shape[1 : 1 + places.rank].is_compatible_with(places)
    )
