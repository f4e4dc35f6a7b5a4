"""Sample weights, as metrics count them."""

from typing import Any

from kmix_tf._ops import Tensor, ops


def place_weights(sample_weight: Any, shape: Any) -> Tensor:
    """Of the given shape, and the dtype of sums: weights of samples count for all their places."""
    if sample_weight is None:
        return ops.ones(shape, ops.WIDE)
    weight = ops.cast(ops.convert_to_tensor(sample_weight), ops.WIDE)
    # Keras also hands over weights with a last axis of length 1 more than there are places.
    return ops.broadcast_to(ops.reshape(weight, ops.with_axes(ops.shape(weight), shape)), shape)
