"""What a mixed batch hands on to the next one, and how the next one finds its partners in it."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import BOXES, TARGETS, WEIGHTS
from kmix_tf.batch.mixture import is_of_places
from kmix_tf.batch.weights import weight_of
from kmix_tf.blend.linear import with_axes

# The tensors of a batch's leaves, in their order; before the first batch, of no rows.
Carried = tuple[tf.Tensor, ...]


def require_carriable(batch: Batch) -> Batch:
    """The batch, if mixtures of its mixtures are of its kind.

    Raises:
        ValueError: for bounding boxes. TypeError: for ragged and sparse leaves.
    """
    for leaf in batch.leaves:
        if leaf.role == BOXES:
            raise _checks.problem(
                "bounding boxes cannot be carried on, for a mixture of mixtures has more of them with every batch. "
                f"Received: {leaf.name}. Leave them out; or name them in passthrough=, if they should ride along."
            )
        if not isinstance(leaf.tensor, tf.Tensor):
            raise _checks.problem(
                f"{leaf.name} must be a dense tensor to be carried on. Received: a {type(leaf.tensor).__name__}. Pad "
                "or densify it first.",
                TypeError,
            )
    return batch


def with_weights_of_places(batch: Batch, places: tf.TensorShape) -> Batch:
    """The batch with a weight for each place of its maps, where it has weights: those of pasted maps are such."""
    targets, weights = ([leaf for leaf in batch.leaves if leaf.part == part] for part in (TARGETS, WEIGHTS))
    made = {}
    for target in targets:
        weight, rank = weight_of(target, weights), 1 + (places.rank or 0)
        if weight is None or not is_of_places(target.tensor, places):
            continue
        # A map without an axis of its own is refused when it is mixed.
        if weight.tensor.shape.rank < rank < target.tensor.shape.rank:
            whole = with_axes(weight.tensor, rank - weight.tensor.shape.rank)
            made[weight.path] = tf.broadcast_to(whole, tf.shape(target.tensor)[:rank])
            made[weight.path].set_shape(target.tensor.shape[:rank])
    return batch.replace(
        [made.get(leaf.path, leaf.tensor) if leaf.part == WEIGHTS else leaf.tensor for leaf in batch.leaves]
    )


def nothing_of(leaves: Sequence[tf.Tensor | tf.TensorSpec]) -> Carried:
    """What comes before the first batch whose leaves have these dtypes and shapes: no rows."""
    shapes = [[0] if leaf.shape.rank is None else [0, *(size or 0 for size in leaf.shape[1:])] for leaf in leaves]
    return tuple(tf.zeros(shape, leaf.dtype) for shape, leaf in zip(shapes, leaves, strict=True))


def is_any(carried: Carried) -> tf.Tensor:
    """Whether there was a batch before, a bool scalar."""
    return tf.shape(carried[0])[0] > 0


def carried_of(batch: Batch) -> Carried:
    """What a mixed batch hands on."""
    return tuple(leaf.tensor for leaf in batch.leaves)


def partners_in(carried: Carried, batch: Batch) -> Batch:
    """The batch before, as long as this one: its first rows, or all of them over and over. This one, if there was
    none.

    Raises:
        InvalidArgumentError: on the batch, if the sizes of their samples differ.
    """
    own = [leaf.tensor for leaf in batch.leaves]
    before, is_there = [tf.identity(leaf) for leaf in carried], is_any(carried)
    shapes = [(tf.shape(one)[1:], tf.shape(two)[1:]) for one, two in zip(before, own, strict=True)]
    alike = [tf.reduce_all(tf.equal(one, two)) for one, two in shapes]
    message = (
        "batches that follow each other must have samples of one size, for each is mixed with the one before. "
        "Received: others. Resize or pad them first, or sort them into datasets of one size each."
    )
    before = after(require(~is_there | tf.reduce_all(tf.stack(alike)), message), before)
    rows = tf.range(tf.shape(own[0])[0]) % tf.maximum(tf.shape(before[0])[0], 1)
    taken = tf.cond(is_there, lambda: [tf.gather(leaf, rows) for leaf in before], lambda: own)
    for leaf, ours in zip(taken, own, strict=True):
        leaf.set_shape(ours.shape)
    return batch.replace(taken)
