"""Mixing what stands at other places than it did."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf.blend.linear import interpolate_leaves, join_interpolations


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
