"""Targets that can be mixed: class labels become soft labels, everything else stays as it is."""

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, at_least_float32, require_valid

# What integer targets are, if not classes, and what to do. A batch in a graph does not show its values.
_AS_NUMBERS = (
    "0/1 labels of one unit: cast to float32. One-hot, multi-hot or regression targets likewise, once none of them "
    "is -1 for a missing label."
)
WHERE_LABELS_ARE_MISSING = (
    "Where labels are missing, give each label a place of its own: targets[..., tf.newaxis], an output "
    "(batch, labels, 1) of the model, and sample_weight (batch, labels), 1 where a label is known and 0 where it is "
    "missing; in its place any number, such as 0."
)


def soft_labels(name: str, leaf: tf.Tensor, num_classes: int | None) -> tf.Tensor:
    """Integer labels as soft ones, of so many classes; float targets as they are, if they are of so many.

    Raises:
        ValueError: for what contradicts the number of classes, or integers without one.
    """
    if leaf.dtype.is_bool and num_classes is not None:
        leaf = tf.cast(leaf, tf.int32)
    if leaf.dtype.is_integer:
        return _one_hot(name, leaf, num_classes)
    received = f"Received: {name} of dtype {leaf.dtype.name} and shape {leaf.shape}, with num_classes={num_classes}."
    if num_classes is not None and leaf.shape.rank == 1 and leaf.dtype.is_floating:
        raise _checks.problem(
            f"class labels must be integers where num_classes is given. {received} "
            "Cast them to int32; or leave num_classes out if they are 0/1 labels of one unit or regression targets."
        )
    if num_classes is not None and leaf.shape.rank is not None and leaf.shape[-1] not in (None, num_classes):
        raise _checks.problem(
            f"the last axis of soft labels must have num_classes entries. {received} "
            "Where there are several targets, give num_classes as a structure like theirs, with None for this one; "
            "for 0/1 labels of one unit, or of several labels at once, leave it out."
        )
    return at_least_float32(leaf)


def _one_hot(name: str, labels: tf.Tensor, num_classes: int | None) -> tf.Tensor:
    received = f"Received: {name} of dtype {labels.dtype.name} and shape {labels.shape}, num_classes={num_classes}."
    if num_classes is None:
        may_be_several = labels.shape.rank == 2 and labels.shape[-1] != 1
        raise _checks.problem(
            f"integer labels need num_classes, the number of classes, to become soft labels. {received} {_AS_NUMBERS}"
            + (f" {WHERE_LABELS_ARE_MISSING}" if may_be_several else "")
        )
    if labels.shape.rank is not None and labels.shape.rank > 1:
        if labels.shape[-1] == 1:
            labels = tf.squeeze(labels, axis=-1)
        elif labels.shape[-1] == num_classes:
            raise _checks.problem(
                f"integer targets whose last axis has num_classes entries look one-hot already. "
                f"{received} Cast them to float32 if they are; otherwise encode them before mixing."
            )
    labels = tf.cast(labels, tf.int64)
    in_range = tf.reduce_all((labels >= 0) & (labels < num_classes))
    message = (
        f"{name} must be labels in [0, {num_classes}). Received: a label outside, in {name} of "
        f"shape {labels.shape}. Count classes from 0, or give num_classes as many as there are."
    )
    (labels,) = after(require_valid([(in_range, message)]), [labels])
    one_hot = tf.one_hot(labels, num_classes)
    # XLA drops assertions. A label outside would become no class at all, and train on unnoticed.
    outside = (labels < 0) | (labels >= num_classes)
    return tf.where(outside[..., tf.newaxis], tf.fill(tf.shape(one_hot), float("nan")), one_hot)
