"""Mixed labels taken apart into clean ones, each with its share.

A metric that is asked for each clean label, weighted by its share, says what it would of samples that are not mixed.
How labels are taken apart depends on what the metric wants of them:

- CLASSES: integers. LABELS: one-hot rows, or rows of 0 and 1. NUMBERS: what may be any number, as in regression.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, at_least_float32, require
from kmix_tf.batch.packing import unpack_for

CLASSES, LABELS, NUMBERS = "classes", "labels", "numbers"


class Clean(NamedTuple):
    """Clean targets of n rows.

    parts: how many there may be for each row. usual: in how many a mixture of two samples comes apart. part: from a
    number < parts the targets, `(n, outputs)` or, of classes, `(n,)`, and their share `(n,)`; the largest is first.
    """

    parts: int
    usual: int
    part: Callable[[int | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

    def weighted(self, weight: tf.Tensor) -> "Clean":
        """The same, with shares of shares."""

        def part(index: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            labels, share = self.part(index)
            return labels, share * tf.cast(weight, share.dtype)

        return self._replace(part=part)


def clean_targets(y_true: tf.Tensor, y_pred: tf.Tensor, kind: str) -> list[Clean]:
    """Both targets of packed mixtures, or what soft labels come apart in, for rows of predictions `(..., outputs)`.

    Args:
        y_true: packed, soft or plain targets for y_pred `(batch, ..., outputs)`; places are rows. kind: one of
            CLASSES, LABELS, NUMBERS.

    Raises:
        ValueError: for targets that fit no form. InvalidArgumentError: for soft labels that are none; under XLA their
            share is NaN.
    """
    packed = unpack_for(y_true, y_pred)
    outputs = y_pred.shape[-1]
    if packed is None:
        return [_of_rows(_rows(y_true, y_pred), outputs, kind, mixed=True)]
    ratio = tf.reshape(at_least_float32(packed.ratio), [-1])
    shares = (ratio, 1 - ratio)
    rows = [_rows(y, y_pred) for y in (packed.y_a, packed.y_b)]
    sides = [_of_rows(each, outputs, kind, mixed=False) for each in rows]
    return [side.weighted(share) for side, share in zip(sides, shares, strict=True)]


def _rows(y: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Targets `(n, outputs)`, or classes `(n,)`."""
    outputs = y_pred.shape[-1]
    has_outputs = y.shape.rank == y_pred.shape.rank and y.shape[-1] == outputs
    return tf.reshape(y, [-1, outputs] if has_outputs or outputs == 1 else [-1])


def _of_rows(y: tf.Tensor, outputs: int, kind: str, mixed: bool) -> Clean:
    if y.shape.rank == 1:
        return _known(y, tf.ones_like(y, tf.float32)) if kind == CLASSES else _known(*_one_hot(y, outputs))
    # Half precision rounds each share, and their sum is off by as much.
    tolerance = _checks.SUM_TOLERANCE if y.dtype in (tf.float16, tf.bfloat16) else 1e-4
    y = at_least_float32(y)
    if kind == NUMBERS:
        return _known(y, tf.ones_like(y[:, 0]))
    return _taken_apart(y, kind, tolerance, mixed)


def _known(labels: tf.Tensor, share: tf.Tensor) -> Clean:
    return Clean(1, 1, lambda index: (labels, share))


def _one_hot(y: tf.Tensor, outputs: int) -> tuple[tf.Tensor, tf.Tensor]:
    in_range = (y >= 0) & (y < outputs)
    if y.dtype.is_floating:
        in_range &= tf.equal(y, tf.floor(y))
    (y,) = after(require(tf.reduce_all(in_range), _rule(f"classes in [0, {outputs})")), [y])
    return tf.one_hot(tf.cast(y, tf.int32), outputs), _nan_unless(in_range, tf.ones_like(y, tf.float32))


def _taken_apart(y: tf.Tensor, kind: str, tolerance: float, mixed: bool) -> Clean:
    """Soft rows as clean ones.

    A row that sums to 1 is a mixture of classes: each class has its share. Another one is of several labels at once:
    for u uniform in [0, 1], the labels with a value above u. Each label is then there with its share, whatever the
    others are. For metrics that ask each label by itself both are the same.
    """
    outputs = y.shape[-1]
    value, order = tf.math.top_k(y, outputs)
    sums_to_1 = tf.abs(tf.reduce_sum(y, axis=1) - 1) <= tolerance
    are_classes = sums_to_1 if outputs > 1 else tf.zeros_like(sums_to_1)
    valid, rule = tf.reduce_all((y >= -tolerance) & (y <= 1 + tolerance), axis=1), "soft labels in [0, 1]"
    if kind == CLASSES and outputs > 1:
        valid, rule = valid & sums_to_1, f"{rule} that sum to 1"
    (value,) = after(require(tf.reduce_all(valid), _rule(rule)), [value])
    share, level, index = _parts(value, order, are_classes)
    share = _nan_unless(valid[:, tf.newaxis], share)

    def part(number: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        above = y >= level[:, number, tf.newaxis]
        if kind == CLASSES:
            chosen = index[:, number] if outputs > 1 else tf.cast(above[:, 0], tf.int32)
            return chosen, share[:, number]
        labels = tf.where(are_classes[:, tf.newaxis], tf.one_hot(index[:, number], outputs, True, False), above)
        return tf.cast(labels, tf.float32), share[:, number]

    # Of two samples with several labels each: what either has, what the one with more of it has, what both have.
    usual = min(outputs + 1, 3) if mixed or outputs == 1 else 1
    return Clean(outputs + 1, usual, part)


def _parts(value: tf.Tensor, order: tf.Tensor, are_classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each part, in falling order of shares: its share, the value its labels have at least, and its class.

    Args:
        value: `(n, outputs)`, falling. order: their classes.
    """
    zero, one = tf.zeros_like(value[:, :1]), tf.ones_like(value[:, :1])
    gap = tf.maximum(tf.concat([one, value], 1) - tf.concat([value, zero], 1), 0)
    share = tf.where(are_classes[:, tf.newaxis], tf.concat([zero, value], 1), gap)
    level = tf.concat([2 * one, value], 1)
    index = tf.concat([tf.zeros_like(order[:, :1]), order], 1)
    share, position = tf.math.top_k(share, share.shape[1])
    return share, tf.gather(level, position, batch_dims=1), tf.gather(index, position, batch_dims=1)


def _rule(text: str) -> str:
    return (
        f"y_true must hold {text}. Received: others. MixMetric takes labels apart; numbers to predict go to Keras' "
        "regression metrics as they are."
    )


def _nan_unless(valid: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """XLA drops assertions, and what is wrong must not pass for a number."""
    return tf.where(valid, share, tf.cast(float("nan"), share.dtype))
