"""What samples count: which weight goes with which target, and what becomes of both in a mixture.

A mixture's loss is the sum over its samples of share x weight x loss. So a mixture weighs w = r w_a + (1 - r) w_b,
and the share of the sample itself in its target is r w_a / w instead of r.
"""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf.batch.leaf import BOXES, KEPT, TARGETS, WEIGHTS, Leaf
from kmix_tf.batch.mixture import Pairs, is_of_places
from kmix_tf.blend.linear import with_axes

# A mask `(batch, 1)` is of sequences of one element, and not of samples.
_OF_ELEMENTS = 2


def weight_of(target: Leaf, weights: Sequence[Leaf]) -> Leaf | None:
    """The weight that goes with a target: the only one, or that of its path; None if there is none."""
    only = [weight for weight in weights if len(weights) == 1 and weight.path == ()]
    return next(iter([*only, *(weight for weight in weights if weight.path == target.path)]), None)


def require_targets_of_weights(leaves: Sequence[Leaf]) -> None:
    """Refuses weights of which nobody can say whose they are, or of which a target has no room for.

    Raises:
        ValueError: for a structure that is neither one tensor nor the targets'; for more axes than the target's.
    """
    targets, weights = ([leaf for leaf in leaves if leaf.part == part] for part in (TARGETS, WEIGHTS))
    found = [(target, weight_of(target, weights)) for target in targets]
    for weight in weights:
        if not any(mine is weight for _, mine in found):
            raise _checks.problem(
                "sample_weight must be one tensor, or have the structure of the targets. Received: "
                f"{[each.name for each in weights]} for {[each.name for each in targets]}."
            )
    for target, mine in found:
        if mine is not None and target.role == BOXES:
            _require_of_samples(target, mine)
        elif mine is not None and target.role != KEPT:
            _require_room(target, mine)


def _require_of_samples(target: Leaf, weight: Leaf) -> None:
    if trimmed_shape(weight.tensor.shape).rank != 1:
        raise _checks.problem(
            f"sample_weight of boxes must be (batch,). Received: {weight.name} of shape {weight.tensor.shape} for "
            f"{target.name}. Give each box a weight beside it: 'box_weights' (batch, n)."
        )


def _require_room(target: Leaf, weight: Leaf) -> None:
    shapes = trimmed_shape(weight.tensor.shape), target.tensor.shape
    if None in (shapes[0].rank, shapes[1].rank):
        return
    if shapes[0].rank > shapes[1].rank or not shapes[0].is_compatible_with(shapes[1][: shapes[0].rank]):
        raise _checks.problem(
            "sample_weight must be (batch,), or have the target's first axes, such as (batch, steps) for targets "
            f"(batch, steps, classes). Received: {weight.name} of shape {weight.tensor.shape} for {target.name} of "
            f"shape {target.tensor.shape}."
        )
    if shapes[0].rank == shapes[1].rank == 2 and not target.tensor.dtype.is_integer:
        raise _checks.problem(
            "sample_weight cannot say what each number of a target counts: losses average over these numbers, and "
            f"Keras would lay the weights along other axes. Received: {weight.name} of shape {weight.tensor.shape} "
            f"for {target.name} of shape {target.tensor.shape}. Give targets and the model's output one more axis, "
            "targets[..., tf.newaxis], and keep these weights."
        )


def trimmed_shape(shape: tf.TensorShape, least: int = 1) -> tf.TensorShape:
    """A shape without axes of length 1 at its end, except the batch's, or the first of at least so many."""
    if shape.rank is None:
        return shape
    sizes = list(shape)
    while len(sizes) > least and sizes[-1] == 1:
        sizes.pop()
    return tf.TensorShape(sizes)


def counts_of(target: Leaf, weights: Sequence[Leaf], masks: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """What multiplies a target's share, each `(batch, *places)`: its weight, and which elements are there at all."""
    weight = weight_of(target, weights)
    given = [] if weight is None else [_trimmed(weight.tensor)]
    fitting = [_trimmed(mask, _OF_ELEMENTS) for mask in masks if is_mask_of(target.tensor, mask)]
    if len(fitting) > 1:
        raise _checks.problem(
            "only one mask may have the length of a target, of which it says which elements are there. Received: "
            f"{len(fitting)} masks of the length of {target.name}, of shape {target.tensor.shape}. Name in masks= "
            "the one that belongs to it, and join the others by hand; or pad to different lengths."
        )
    return given + [_presence(target, mask) for mask in fitting]


def _presence(target: Leaf, mask: tf.Tensor) -> tf.Tensor:
    """A mask as numbers, once it is seen to be as long as the target."""
    presence, sizes = tf.cast(mask, tf.float32), target.tensor.shape[1 : mask.shape.rank]
    if sizes.is_fully_defined() and mask.shape[1:].is_fully_defined():
        return presence
    is_alike = tf.reduce_all(tf.shape(mask)[1:] == tf.shape(target.tensor)[1 : mask.shape.rank])
    message = (
        f"masks must be as long as the targets that may be theirs. Received: {target.name} of shape "
        f"{target.tensor.shape} and a mask of shape {mask.shape} that differ in a batch. Pad both alike; or say by "
        "tf.ensure_shape that they differ."
    )
    return after(require(is_alike, message), [presence])[0]


def is_mask_of(target: tf.Tensor, mask: tf.Tensor) -> bool:
    """Whether a mask says which elements of a target are there."""
    return is_of_places(target, trimmed_shape(mask.shape, _OF_ELEMENTS)[1:])


def _trimmed(leaf: tf.Tensor, least: int = 1) -> tf.Tensor:
    rank = trimmed_shape(leaf.shape, least).rank
    return tf.reshape(leaf, tf.shape(leaf)[:rank]) if rank != leaf.shape.rank else leaf


def counted(pairs: Pairs, ours: Sequence[tf.Tensor], theirs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The share of the sample itself in a target, and what its mixtures count: `(mixtures, *places)` both.

    Where neither sample counts, the share is the plain one and the mixture counts 0.

    Args:
        pairs: of the mixtures. ours, theirs: factors `(batch, *places)`, of the samples and of the partners.
    """
    own, other = [pairs.own(leaf) for leaf in ours], [pairs.other(leaf) for leaf in theirs]
    rank = max(leaf.shape.rank for leaf in [*own, *other, pairs.share])
    wide = tf.float64 if any(leaf.dtype == tf.float64 for leaf in own) else tf.float32
    share = _aligned(pairs.share, rank, wide)
    of_ours, of_theirs = share, 1 - share
    for ours_leaf, theirs_leaf in zip(own, other, strict=True):
        of_ours *= _aligned(ours_leaf, rank, wide)
        of_theirs *= _aligned(theirs_leaf, rank, wide)
    total = of_ours + of_theirs
    return tf.where(total > 0, tf.math.divide_no_nan(of_ours, total), share), total


def _aligned(leaf: tf.Tensor, rank: int, dtype: tf.DType) -> tf.Tensor:
    return with_axes(tf.cast(leaf, dtype), rank - leaf.shape.rank)


def like(total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """What mixtures count, in the dtype of the weights that came, with axes of length 1 at the end as they had."""
    return with_axes(tf.cast(total, weight.dtype), max(weight.shape.rank - total.shape.rank, 0))


def product(factors: Sequence[tf.Tensor]) -> tf.Tensor:
    """The product of factors `(batch, *places)`, of samples or of places."""
    rank = max(leaf.shape.rank for leaf in factors)
    first, *rest = [with_axes(leaf, rank - leaf.shape.rank) for leaf in factors]
    for leaf in rest:
        first = first * tf.cast(leaf, first.dtype)
    return first
