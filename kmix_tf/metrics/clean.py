"""Mixed labels taken apart into clean ones, each with its share.

A metric that is asked for each clean label, weighted by its share, says what it would of samples that are not mixed.
How labels are taken apart depends on what the metric wants of them:

- CLASSES: integers. LABELS: one-hot rows, or rows of 0 and 1. NUMBERS: what may be any number, as in regression.
"""

from collections.abc import Callable
from typing import NamedTuple

from kmix_tf import _checks
from kmix_tf._ops import Tensor, ops
from kmix_tf.batch.packing import has_outputs, unpack_for

CLASSES, LABELS, NUMBERS = "classes", "labels", "numbers"


class Clean(NamedTuple):
    """Clean targets of n rows.

    parts: how many there may be for each row. usual: in how many a mixture of two samples comes apart. part: from a
    number < parts the targets, `(n, outputs)` or, of classes, `(n,)`, and their share `(n,)`; the largest is first.
    """

    parts: int
    usual: int
    part: Callable[[int | Tensor], tuple[Tensor, Tensor]]

    def weighted(self, weight: Tensor) -> "Clean":
        """The same, with shares of shares."""

        def part(index: int | Tensor) -> tuple[Tensor, Tensor]:
            labels, share = self.part(index)
            return labels, share * ops.cast(weight, share.dtype)

        return self._replace(part=part)


def clean_targets(y_true: Tensor, y_pred: Tensor, kind: str) -> list[Clean]:
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
    ratio = ops.reshape(ops.at_least_float32(packed.ratio), [-1])
    shares = (ratio, 1 - ratio)
    rows = [_rows(y, y_pred) for y in (packed.y_a, packed.y_b)]
    sides = [_of_rows(each, outputs, kind, mixed=False) for each in rows]
    return [side.weighted(share) for side, share in zip(sides, shares, strict=True)]


def _rows(y: Tensor, y_pred: Tensor) -> Tensor:
    """Targets `(n, outputs)`, or classes `(n,)`."""
    outputs = y_pred.shape[-1]
    return ops.reshape(y, [-1, outputs] if has_outputs(y, y_pred) or outputs == 1 else [-1])


def _of_rows(y: Tensor, outputs: int, kind: str, mixed: bool) -> Clean:
    if len(y.shape) == 1:
        return _known(y, ops.ones(ops.shape(y), "float32")) if kind == CLASSES else _known(*_one_hot(y, outputs))
    # Half precision rounds each share, and their sum is off by as much.
    tolerance = _checks.SUM_TOLERANCE if ops.dtype_name(y) in ("float16", "bfloat16") else 1e-4
    y = ops.at_least_float32(y)
    if kind == NUMBERS:
        return _known(y, ops.ones(ops.shape(y)[:1], y.dtype))
    return _taken_apart(y, kind, tolerance, mixed)


def _known(labels: Tensor, share: Tensor) -> Clean:
    return Clean(1, 1, lambda index: (labels, share))


def _one_hot(y: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
    in_range = (y >= 0) & (y < outputs)
    if ops.is_floating(y):
        in_range &= ops.equal(y, ops.floor(y))
    (y,) = ops.checked(ops.all(in_range), _rule(f"classes in [0, {outputs})"), [y])
    share = _nan_unless(in_range, ops.ones(ops.shape(y), "float32"))
    return ops.cast(_is_class(ops.cast(y, "int32"), outputs), "float32"), share


def _is_class(index: Tensor, outputs: int) -> Tensor:
    """bool `(n, outputs)`: whether each is the class."""
    return ops.equal(index[:, None], ops.arange(outputs, "int32"))


def _taken_apart(y: Tensor, kind: str, tolerance: float, mixed: bool) -> Clean:
    """Soft rows as clean ones.

    A row that sums to 1 is a mixture of classes: each class has its share. Another one is of several labels at once:
    for u uniform in [0, 1], the labels with a value above u. Each label is then there with its share, whatever the
    others are. For metrics that ask each label by itself both are the same.
    """
    outputs = y.shape[-1]
    value, order = ops.top_k(y, outputs)
    sums_to_1 = ops.absolute(ops.sum(y, axis=1) - 1) <= tolerance
    are_classes = sums_to_1 if outputs > 1 else ops.zeros_like(sums_to_1)
    valid, rule = ops.all((y >= -tolerance) & (y <= 1 + tolerance), axis=1), "soft labels in [0, 1]"
    if kind == CLASSES and outputs > 1:
        valid, rule = valid & sums_to_1, f"{rule} that sum to 1"
    (value,) = ops.checked(ops.all(valid), _rule(rule), [value])
    share, level, index = _parts(value, order, are_classes)
    share = _nan_unless(valid[:, None], share)

    def part(number: int | Tensor) -> tuple[Tensor, Tensor]:
        above = y >= level[:, number, None]
        if kind == CLASSES:
            chosen = index[:, number] if outputs > 1 else ops.cast(above[:, 0], "int32")
            return chosen, share[:, number]
        labels = ops.where(are_classes[:, None], _is_class(index[:, number], outputs), above)
        return ops.cast(labels, "float32"), share[:, number]

    # Of two samples with several labels each: what either has, what the one with more of it has, what both have.
    usual = min(outputs + 1, 3) if mixed or outputs == 1 else 1
    return Clean(outputs + 1, usual, part)


def _parts(value: Tensor, order: Tensor, are_classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each part, in falling order of shares: its share, the value its labels have at least, and its class.

    Args:
        value: `(n, outputs)`, falling. order: their classes.
    """
    zero = ops.zeros_like(value[:, :1])
    one = zero + 1
    gap = ops.maximum(ops.concatenate([one, value], 1) - ops.concatenate([value, zero], 1), 0)
    share = ops.where(are_classes[:, None], ops.concatenate([zero, value], 1), gap)
    level = ops.concatenate([2 * one, value], 1)
    index = ops.concatenate([ops.zeros_like(order[:, :1]), order], 1)
    share, position = ops.top_k(share, share.shape[1])
    return share, ops.take_along_last_axis(level, position), ops.take_along_last_axis(index, position)


def _rule(text: str) -> str:
    return (
        f"y_true must hold {text}. Received: others. MixMetric takes labels apart; numbers to predict go to Keras' "
        "regression metrics as they are."
    )


def _nan_unless(valid: Tensor, share: Tensor) -> Tensor:
    """XLA drops assertions, and what is wrong must not pass for a number."""
    return ops.where(valid, share, ops.cast(float("nan"), share.dtype))
