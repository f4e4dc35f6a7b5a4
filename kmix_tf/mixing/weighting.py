"""Sample weights of a mixed batch: one for each target where they differ, times what each mixture counts."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import BOXES, FEATURES, KEPT, MASK, MIXED, TARGETS, WEIGHTS, Leaf
from kmix_tf.batch.mixture import is_of_places, places_of_mask
from kmix_tf.batch.weights import counts_of, is_mask_of, product, weight_of
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import with_axes


def of_what_is_there(batch: Batch) -> Batch:
    """An unmixed batch whose absent elements weigh nothing, as in its mixtures; where it has weights at all."""
    masks = batch.tensors(FEATURES, MASK)
    if not masks or batch.structure[2] is None:
        return batch
    batch = one_weight_each(batch, None)
    targets, weights = ([leaf for leaf in batch.leaves if leaf.part == part] for part in (TARGETS, WEIGHTS))
    tensors = {}
    for target in targets:
        weight = weight_of(target, weights)
        if weight is not None and target.role == MIXED:
            tensors[weight.path] = product(counts_of(target, weights, masks))
    return batch.replace(
        [tensors.get(leaf.path, leaf.tensor) if leaf.part == WEIGHTS else leaf.tensor for leaf in batch.leaves]
    )


def one_weight_each(batch: Batch, blended: Blended | None, apart: bool = False) -> Batch:
    """The batch with a weight for each target, where one was for all and mixtures count differently in some; `apart`:
    whether they do whatever the targets are."""
    targets, weights = ([leaf for leaf in batch.leaves if leaf.part == part] for part in (TARGETS, WEIGHTS))
    if len(targets) < 2 or len(weights) != 1 or weights[0].path != ():
        return batch
    masks, places = batch.tensors(FEATURES, MASK), None if blended is None else places_of_mask(blended)
    no_boxes = [leaf for leaf in targets if leaf.role != BOXES]
    are_of_places = [is_of_places(leaf.tensor, places) for leaf in no_boxes]
    are_masked = [is_mask_of(leaf.tensor, mask) for leaf in no_boxes for mask in masks]
    if not any([apart, *are_of_places, *are_masked, *(leaf.role == KEPT for leaf in targets)]):
        return batch
    shared = weights[0].tensor
    each = [leaf._replace(part=WEIGHTS, role=KEPT if leaf.role == KEPT else MIXED, tensor=shared) for leaf in targets]
    x, y, _ = batch.structure
    return batch._replace(
        leaves=[*(leaf for leaf in batch.leaves if leaf.part != WEIGHTS), *each], structure=(x, y, y)
    )


def weighted(batch: Batch, weight: tf.Tensor) -> Batch:
    """Makes a weight, float32 `(mixtures,)`, each target's sample weight, or a factor of those it has.

    A target with more axes, such as a map `(mixtures, height, width, classes)`, gets weights `(mixtures, 1, 1)`.
    """
    x, y, sample_weight = batch.structure
    if y is None:
        raise _checks.problem(
            "weights go with targets, and there are none to return them with. Received: features alone."
        )
    if sample_weight is None:
        # One for each target: Keras wants sample weights of the targets' structure, and of the losses' rank.
        targets = [leaf for leaf in batch.leaves if leaf.part == TARGETS]
        tensors = [_of_rank(weight, _rank_of_loss(leaf)) for leaf in targets]
        weights = [
            leaf._replace(part=WEIGHTS, role=MIXED, tensor=tensor)
            for leaf, tensor in zip(targets, tensors, strict=True)
        ]
        return batch._replace(leaves=[*batch.leaves, *weights], structure=(x, y, y))
    return batch.replace(
        [
            leaf.tensor * _of_rank(tf.cast(weight, leaf.tensor.dtype), _rank(leaf.tensor))
            if leaf.part == WEIGHTS
            else leaf.tensor
            for leaf in batch.leaves
        ]
    )


def _rank_of_loss(target: Leaf) -> int:
    """Of objects, one for each, of the class as of the box; of other targets, one without the last axis."""
    return 2 if target.role == BOXES else _rank(target.tensor) - 1


def _rank(leaf: Any) -> int:
    return leaf.shape.rank or 0


def _of_rank(weight: tf.Tensor, rank: int) -> tf.Tensor:
    return with_axes(weight, max(rank, 1) - 1)
