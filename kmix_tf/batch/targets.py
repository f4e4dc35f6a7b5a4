"""Targets that can be mixed: class labels become soft labels, everything else stays as it is."""

from typing import Any

import tensorflow as tf

from kmix_tf.batch.leaves import after, at_least_float32, named_leaves, require, same_structure


def soft_targets(
    owner: str,
    y: Any,
    leaves: list[tuple[str, tf.Tensor]],
    num_classes: Any,
    chosen: list[bool],
    sparse: bool = False,
) -> list[tuple[str, tf.Tensor]]:
    """Makes named leaves of the structure `y` float: those which are `chosen`, in the order of its leaves.

    `num_classes` is an integer or None, for all leaves, or a structure of them like `y`. Where `sparse`, integers
    without a number of classes stay what they are.
    """
    if num_classes is None or isinstance(num_classes, int):
        classes = [num_classes] * len(leaves)
    else:
        classes = [count for count, use in zip(_classes_like(owner, y, num_classes), chosen, strict=True) if use]
    return [
        (name, leaf if sparse and count is None and leaf.dtype.is_integer else _soft(owner, name, leaf, count))
        for (name, leaf), count in zip(leaves, classes, strict=True)
    ]


def _classes_like(owner: str, y: Any, num_classes: Any) -> list[int | None]:
    if not same_structure(y, num_classes):
        raise ValueError(
            f"{owner}: num_classes must be an integer, None, or a structure like the targets'. "
            f"Received: num_classes={num_classes!r} for targets {[name for name, _ in named_leaves('targets', y)]}."
        )
    return tf.nest.flatten(num_classes)


def _soft(owner: str, name: str, leaf: tf.Tensor, num_classes: int | None) -> tf.Tensor:
    if leaf.dtype.is_bool and num_classes is not None:
        leaf = tf.cast(leaf, tf.int32)
    if leaf.dtype.is_integer:
        return _one_hot(owner, name, leaf, num_classes)
    received = f"Received: {name} of dtype {leaf.dtype.name} and shape {leaf.shape}, with num_classes={num_classes}."
    if num_classes is not None and leaf.shape.rank == 1 and leaf.dtype.is_floating:
        raise ValueError(
            f"{owner}: class labels must be integers where num_classes is given. {received} "
            "Cast them to int32; or leave num_classes out if they are regression targets."
        )
    if num_classes is not None and leaf.shape.rank is not None and leaf.shape[-1] not in (None, num_classes):
        raise ValueError(
            f"{owner}: the last axis of soft labels must have num_classes entries. {received} "
            "Where there are several targets, give num_classes as a structure like theirs, with None for this one."
        )
    return at_least_float32(leaf)


def _one_hot(owner: str, name: str, labels: tf.Tensor, num_classes: int | None) -> tf.Tensor:
    received = f"Received: {name} of dtype {labels.dtype.name} and shape {labels.shape}, num_classes={num_classes}."
    if num_classes is None:
        raise ValueError(
            f"{owner}: integer labels need num_classes, the number of classes, to become soft labels. {received} "
            "If they are one-hot, multi-hot or regression targets, cast them to float32."
        )
    if labels.shape.rank is not None and labels.shape.rank > 1:
        if labels.shape[-1] == 1:
            labels = tf.squeeze(labels, axis=-1)
        elif labels.shape[-1] == num_classes:
            raise ValueError(
                f"{owner}: integer targets whose last axis has num_classes entries look one-hot already. "
                f"{received} Cast them to float32 if they are; otherwise encode them before mixing."
            )
    labels = tf.cast(labels, tf.int64)
    in_range = tf.reduce_all((labels >= 0) & (labels < num_classes))
    checks = require(
        in_range,
        f"{owner}: {name} must be labels in [0, {num_classes}). Received: a label outside, in {name} of shape "
        f"{labels.shape}. Count classes from 0, or give num_classes as many as there are.",
    )
    (labels,) = after(checks, [labels])
    one_hot = tf.one_hot(labels, num_classes)
    # XLA drops assertions. A label outside would become no class at all, and train on unnoticed.
    outside = (labels < 0) | (labels >= num_classes)
    return tf.where(outside[..., tf.newaxis], tf.fill(tf.shape(one_hot), float("nan")), one_hot)
