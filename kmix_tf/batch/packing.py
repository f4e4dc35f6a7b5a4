"""Both targets of a mixture in one tensor, for losses that need them apart."""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import at_least_float32


class PackedTargets(NamedTuple):
    """What a packed tensor holds.

    y_a, y_b: the sample's own target and its partner's, `(..., d)`. ratio: the share of the sample itself, and
    weight: what the mixture counts, both `(...)`, without the last axis.

    Example:
        >>> packed = pack_targets([[1.0, 0.0]], [[0.0, 1.0]], ratio=[0.75])
        >>> unpack_targets(packed).weight.numpy().tolist()
        [1.0]
    """

    y_a: tf.Tensor
    y_b: tf.Tensor
    ratio: tf.Tensor
    weight: tf.Tensor


def pack_targets(y_a: Any, y_b: Any, ratio: Any, weight: Any = 1.0) -> tf.Tensor:
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
    y_a, y_b = tf.convert_to_tensor(y_a), tf.convert_to_tensor(y_b)
    sparse = y_a.dtype.is_integer
    if sparse or y_a.shape.rank == 1:
        y_a, y_b = y_a[..., tf.newaxis], y_b[..., tf.newaxis]
    y_a, y_b = at_least_float32(y_a), at_least_float32(y_b)
    shares = [_spread(share, y_a) for share in (ratio, weight)]
    packed = tf.concat([y_a, y_b, *shares], axis=-1)
    return packed[..., tf.newaxis, :] if sparse else packed


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
    packed = tf.convert_to_tensor(packed)
    length = packed.shape[-1] if packed.shape.rank else None
    if length is None or length < 4 or length % 2:
        raise ValueError(
            "unpack_targets: packed must be (batch, ..., 2 d + 2), as a mixing layer with targets='packed' makes it. "
            f"Received: packed of shape {packed.shape}."
        )
    size = length // 2 - 1
    return PackedTargets(packed[..., :size], packed[..., size : 2 * size], packed[..., -2], packed[..., -1])


def _spread(share: Any, y: tf.Tensor) -> tf.Tensor:
    """A share of each sample, or of each place in it, as one more entry of the last axis of `y`."""
    share = tf.cast(share, y.dtype)
    share = tf.reshape(share, tf.concat([tf.shape(share), tf.ones(tf.rank(y) - tf.rank(share), tf.int32)], 0))
    return tf.broadcast_to(share, tf.concat([tf.shape(y)[:-1], [1]], 0))


def unpack_for(y_true: tf.Tensor, y_pred: tf.Tensor) -> PackedTargets | None:
    """Takes apart packed targets for predictions `(batch, ..., d)`; None for plain targets.

    Packed ones have 2 d + 2 entries in the last axis, or, if they hold classes as integers, one axis more of length 1
    before one of 4. Plain ones have d, or 1, or lack the axis.

    Raises:
        ValueError: if they fit neither.
    """
    last, outputs = y_true.shape[-1] if y_true.shape.rank else None, y_pred.shape[-1] if y_pred.shape.rank else None
    extra = None if None in (y_true.shape.rank, y_pred.shape.rank) else y_true.shape.rank - y_pred.shape.rank
    if extra == 2 and y_true.shape[-3:] == [1, 1, 4]:  # classes that came as (batch, 1)
        y_true, extra = tf.squeeze(y_true, axis=-3), 1
    if extra == 1 and y_true.shape[-2:] == [1, 4] and y_pred.shape.rank > 1:
        _require_exact(y_true.dtype, outputs)
        return unpack_targets(tf.squeeze(y_true, axis=-2))
    if extra == 0 and y_pred.shape.rank > 1 and outputs is not None:
        if last == 2 * outputs + 2:
            return unpack_targets(y_true)
        if last in (outputs, 1):
            return None
    if extra == -1 and y_true.shape.is_compatible_with(y_pred.shape[:-1]):
        return None
    raise _checks.problem(
        f"targets must be plain, or packed with 2 d + 2 entries for d outputs (classes as integers: 1 x 4). "
        f"Received: targets of shape {y_true.shape} for predictions of shape {y_pred.shape}."
    )


def _require_exact(dtype: tf.DType, classes: int | None) -> None:
    """Refuses classes in a dtype that cannot count them."""
    if (classes or 0) > {tf.float16: 2049, tf.bfloat16: 257}.get(dtype, 2**24 + 1):
        raise _checks.problem(
            f"packed classes must be float32 or float64, to be exact. Received: {dtype.name}. Keras 2 casts "
            "targets to the dtype of the outputs: give the last layer dtype='float32'."
        )
