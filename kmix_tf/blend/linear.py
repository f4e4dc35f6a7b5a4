"""The linear blend: what mixup does to inputs, and every mix to targets."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf.blend.base import Blended, BlendStrategy


def interpolate(first: tf.Tensor, second: tf.Tensor, partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """Mixes each row of one batch with a row of another: `ratio * first + (1 - ratio) * second[partner]`.

    Args:
        first: numeric `(batch, ...)`.
        second: the same dtype and shape.
        partner: int32 `(batch,)`, rows of `second`; or `(interpolations, batch)`.
        ratio: float32 `(batch,)` in [0, 1]; or `(interpolations, batch)`. A ratio of 1 gives `first` exactly.

    Returns:
        A tensor of `first`'s shape; with several interpolations, of the whole batch one after another, interpolations
        x batch long. In `first`'s own dtype if that is a float, in float32 for integers and booleans. Computed in
        float32, or in float64 for float64.

    Source: k-mixup, Section 2 (displacement interpolation); multi-mix, eq. (6).

    Example:
        >>> interpolate([[0.0], [10.0]], [[0.0], [10.0]], [1, 0], [0.75, 0.75]).numpy()
        array([[2.5],
               [7.5]], dtype=float32)
    """
    first, second, partner, ratio = (tf.convert_to_tensor(value) for value in (first, second, partner, ratio))
    return interpolate_leaves([first], [second], partner, ratio)[0]


def interpolate_leaves(
    first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, share: tf.Tensor, spatial: int = 0
) -> list[tf.Tensor]:
    """`interpolate` for each of several leaves; `share` may have `spatial` more axes, along those of the leaves."""
    if not first:
        return []
    several = has_interpolations(partner, share, spatial)
    return _interpolate_leaves(first, second, partner, share, spatial=spatial, several=several)


# Rows of fewer numbers are mixed as fast by plain ops, without a compiled function.
@fused(features=2, least=64)
def _interpolate_leaves(
    first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, share: tf.Tensor, **static: Any
) -> list[tf.Tensor]:
    return [interpolate_leaf(*sides, partner, share, **static) for sides in zip(first, second, strict=True)]


def interpolate_leaf(
    first: tf.Tensor, second: tf.Tensor, partner: tf.Tensor, share: tf.Tensor, spatial: int, several: bool
) -> tf.Tensor:
    """One leaf of `interpolate_leaves`. `several`: whether there are interpolations, which a compiled function cannot
    ask the shapes: those that have varied once are unknown there."""
    wide = tf.float64 if first.dtype == tf.float64 else tf.float32
    rank = first.shape.rank
    share = with_axes(tf.cast(share, wide), (tf.rank(first) if rank is None else rank) - 1 - spatial)
    mixed = share * tf.cast(first, wide) + (1 - share) * tf.cast(tf.gather(second, partner), wide)
    mixed = join_interpolations(mixed) if several else mixed
    return tf.cast(mixed, first.dtype) if first.dtype.is_floating else mixed


def with_axes(values: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """So many axes of length 1 more, at the end."""
    if isinstance(count, int) and values.shape.rank is not None and list(values.shape).count(None) < 2:
        return tf.reshape(values, [-1 if size is None else size for size in values.shape] + [1] * count)
    return tf.reshape(values, tf.concat([tf.shape(values), tf.ones([count], tf.int32)], 0))


def has_interpolations(partner: tf.Tensor, share: tf.Tensor, spatial: int = 0) -> bool:
    """Whether partners or shares come with a leading axis, one entry for each of several mixtures of a sample."""
    return partner.shape.rank == 2 or share.shape.rank - spatial == 2


def join_interpolations(values: tf.Tensor) -> tf.Tensor:
    """Makes `(interpolations, batch, ...)` one batch, an interpolation of the whole batch after another."""
    if values.shape.rank is not None and None not in values.shape[2:]:
        lead = -1 if None in values.shape[:2] else values.shape[0] * values.shape[1]
        # Of no numbers at all, the batch size cannot be told from them.
        if lead != -1 or values.shape[2:].num_elements():
            return tf.reshape(values, [lead, *values.shape[2:]])
    shape = tf.shape(values)
    joined = tf.reshape(values, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    if values.shape.rank is not None:
        lead = None if None in values.shape[:2] else values.shape[0] * values.shape[1]
        joined.set_shape([lead, *values.shape[2:]])
    return joined


@register
class LinearBlend(BlendStrategy):
    """Weighted means of whole inputs.

    Source: k-mixup, Section 2; multi-mix, eq. (6).

    Example:
        >>> x = tf.constant([[0.0], [10.0]])
        >>> blended = LinearBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.5, 0.5]), seed=0)
        >>> blended.x[0].numpy().ravel().tolist()
        [5.0, 5.0]
    """

    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: Any = None,
    ) -> Blended:
        """Mixes feature tensors `(batch, ...)`; see `interpolate` for partners and ratios. Draws nothing."""
        return Blended(interpolate_leaves(first, second, partner, ratio), ratio)


def interpolate_places(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    mask: tf.Tensor,
    places: tuple[tf.Tensor, ...],
) -> list[tf.Tensor]:
    """`interpolate_leaves` place by place, with what `places` say stands there.

    Args:
        first, second: leaves `(batch, *sizes, ...)`.
        partner: int32 `(batch,)` or `(interpolations, batch)`.
        mask: the sample's share at each place, float32 `(batch, *sizes)` or `(interpolations, batch, *sizes)`.
        places: for the sample and its partner, int32 `(mixtures, *sizes)`: where what is seen comes from, counted row
            by row.
    """
    axes = places[0].shape.rank - 1
    mixtures = tf.range(tf.shape(places[0])[0])
    partners = tf.reshape(partner, [tf.size(partner)])
    partners = tf.gather(partners, mixtures % tf.maximum(tf.size(partners), 1))
    ours = [take_places(leaf, mixtures % tf.shape(leaf)[0], places[0]) for leaf in first]
    theirs = [take_places(leaf, partners, places[1]) for leaf in second]
    share = join_interpolations(mask) if mask.shape.rank > 1 + axes else mask
    return interpolate_leaves(ours, theirs, mixtures, share, axes)


def take_places(leaf: tf.Tensor, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Rows of a leaf with what stands at other places: `(batch, *sizes, ...)` -> `(mixtures, *sizes, ...)`.

    Args:
        leaf: of any dtype.
        rows: int32 `(mixtures,)`.
        places: int32 `(mixtures, *sizes)`, as `places_of` gives them.
    """
    axes = places.shape.rank - 1
    shape = tf.shape(leaf)
    number = tf.reduce_prod(shape[1 : 1 + axes])
    flat = tf.reshape(leaf, tf.concat([[shape[0] * number], shape[1 + axes :]], 0))
    taken = tf.gather(flat, tf.reshape(rows, tf.concat([tf.shape(rows), [1] * axes], 0)) * number + places)
    return tf.ensure_shape(taken, [*places.shape, *leaf.shape[1 + axes :]])
