"""Both targets of a mixture in one tensor, for losses that need them apart."""

from typing import Any, NamedTuple

from kmix_tf import _checks
from kmix_tf._ops import Tensor, dims, may_be, ops_for


class PackedTargets(NamedTuple):
    """What a packed tensor holds.

    y_a, y_b: the sample's own target and its partner's, `(..., d)`. ratio: the share of the sample itself, and
    weight: what the mixture counts, both `(...)`, without the last axis.

    Example:
        >>> packed = pack_targets([[1.0, 0.0]], [[0.0, 1.0]], ratio=[0.75])
        >>> unpack_targets(packed).weight.numpy().tolist()
        [1.0]
    """

    y_a: Tensor
    y_b: Tensor
    ratio: Tensor
    weight: Tensor


def pack_targets(y_a: Any, y_b: Any, ratio: Any, weight: Any = 1.0) -> Tensor:
    """Packs both targets of each mixture, its ratio and its weight into one tensor, as `LocalMixupLoss` takes it.

    Args:
        y_a, y_b: targets of the sample and of its partner: float `(batch, ..., d)`, or `(batch,)`, which counts as
            `(batch, 1)`; or classes as integers `(batch, ...)`, exact up to 2^24.
        ratio, weight: `(batch,)`, or of the targets' shape but for the last axis, or a number.

    Returns:
        float32, or float64 if the targets are: y_a, y_b, ratio, weight along the last axis. Of shape
        `(batch, ..., 2 d + 2)`; for integers `(batch, ..., 1, 4)`, so that they cannot be taken for soft labels of
        four classes.

    Example:
        >>> pack_targets([[1.0, 0.0]], [[0.0, 1.0]], ratio=[0.75]).numpy().tolist()
        [[1.0, 0.0, 0.0, 1.0, 0.75, 1.0]]
        >>> pack_targets([2, 0], [1, 1], ratio=[0.75, 1.0]).shape
        TensorShape([2, 1, 4])
    """
    ops = ops_for(y_a, y_b, ratio, weight)
    y_a, y_b = ops.convert_to_tensor(y_a), ops.convert_to_tensor(y_b)
    sparse = ops.is_integer(y_a)
    if sparse or _rank(y_a) == 1:
        y_a, y_b = y_a[..., None], y_b[..., None]
    y_a, y_b = ops.at_least_float32(y_a), ops.at_least_float32(y_b)
    shares = [_spread(ops, share, y_a) for share in (ratio, weight)]
    packed = ops.concatenate([y_a, y_b, *shares], axis=-1)
    return packed[..., None, :] if sparse else packed


def unpack_targets(packed: Any) -> PackedTargets:
    """Takes apart what `pack_targets` made.

    Args:
        packed: float `(batch, ..., 2 d + 2)`.

    Returns:
        `PackedTargets(y_a, y_b, ratio, weight)`.

    Raises:
        ValueError: if the last axis is unknown, odd or too short.

    Example:
        >>> unpack_targets([[2.0, 1.0, 0.75, 1.0]]).ratio.numpy().tolist()
        [0.75]
    """
    packed = ops_for(packed).convert_to_tensor(packed)
    length = (dims(packed) or (None,))[-1]
    if length is None or length < 4 or length % 2:
        raise ValueError(
            "unpack_targets: packed must be (batch, ..., 2 d + 2), as a mixing layer with targets='packed' makes it. "
            f"Received: packed of shape {dims(packed)}."
        )
    size = length // 2 - 1
    return PackedTargets(packed[..., :size], packed[..., size : 2 * size], packed[..., -2], packed[..., -1])


def _spread(ops: Any, share: Any, y: Tensor) -> Tensor:
    """A share of each sample, or of each place in it, as one more entry of the last axis of `y`."""
    share = ops.cast(ops.convert_to_tensor(share), y.dtype)
    share = ops.reshape(share, ops.with_axes(ops.shape(share), ops.shape(y)))
    return ops.broadcast_to(share, ops.shape(y[..., :1]))


def unpack_for(y_true: Tensor, y_pred: Tensor) -> PackedTargets | None:
    """Takes apart packed targets for predictions `(batch, ..., d)`; None for plain targets.

    Packed ones have 2 d + 2 entries in the last axis, or, if they hold classes as integers, one axis more of length 1
    before one of 4. Plain ones have d, or 1, or lack the axis.

    Raises:
        ValueError: if they fit neither.
    """
    shapes = dims(y_true), dims(y_pred)
    targets, predictions = (shape or () for shape in shapes)
    last, outputs = (shape[-1] if shape else None for shape in (targets, predictions))
    extra = None if None in shapes else len(targets) - len(predictions)
    if extra == 2 and targets[-3:] == (1, 1, 4):  # classes that came as (batch, 1)
        y_true, targets, extra = y_true[..., 0, :, :], targets[:-3] + targets[-2:], 1
    if extra == 1 and targets[-2:] == (1, 4) and len(predictions) > 1:
        _require_exact(ops_for(y_true).dtype_name(y_true), outputs)
        return unpack_targets(y_true[..., 0, :])
    if extra == 0 and len(predictions) > 1 and outputs is not None:
        if last == 2 * outputs + 2:
            return unpack_targets(y_true)
        if last in (outputs, 1):
            return None
    if extra == -1 and may_be(targets, predictions[:-1]):
        return None
    raise _checks.problem(
        f"targets must be plain, or packed with 2 d + 2 entries for d outputs (classes as integers: 1 x 4). "
        f"Received: targets of shape {shapes[0]} for predictions of shape {shapes[1]}."
    )


def _require_exact(dtype: str, classes: int | None) -> None:
    """Refuses classes in a dtype that cannot count them."""
    if (classes or 0) > {"float16": 2049, "bfloat16": 257}.get(dtype, 2**24 + 1):
        raise _checks.problem(
            f"packed classes must be float32 or float64, to be exact. Received: {dtype}. Keras 2 casts "
            "targets to the dtype of the outputs: give the last layer dtype='float32'."
        )


def _rank(tensor: Any) -> int | None:
    shape = dims(tensor)
    return None if shape is None else len(shape)


def has_outputs(y: Tensor, y_pred: Tensor) -> bool:
    """Whether targets have an entry for each output of predictions, rather than one class or number for all."""
    targets, predictions = dims(y) or (), dims(y_pred) or ()
    return len(targets) == len(predictions) > 0 and targets[-1] == predictions[-1]
