"""Projection onto the probability simplex."""

from typing import Any

from kmix_tf._ops import Tensor, ops


def project_to_simplex(values: Any) -> Tensor:
    """The nearest vector of probabilities, along the last axis.

    Args:
        values: float `(..., classes)` of any size and dtype; float16 and bfloat16 are computed in float32. NaN or
            infinity in a vector makes the whole of it NaN.

    Returns:
        The same shape and dtype: entries >= 0 that sum to 1 but for rounding, nearest in Euclidean distance. It is
        continuous, and differentiable except where an entry just becomes 0: its derivative takes the mean of the
        positive entries away. Values of one class only are taken for the probability of the second of two classes,
        and clipped to [0, 1].

    Raises:
        TypeError: for values that are not float.

    Source: the threshold form of Held, Wolfe and Crowder 1974.

    Example:
        >>> project_to_simplex([1.1, 0.2, -0.3]).numpy().round(3).tolist()
        [0.949999988079071, 0.05000000074505806, 0.0]
    """
    values = ops.convert_to_tensor(values)
    if not ops.is_floating(values):
        dtype = ops.dtype_name(values)
        raise TypeError(f"project_to_simplex: values must be float. Received: values of dtype {dtype}.")
    if values.shape[-1] == 1:
        return ops.clip(values, 0, 1)
    return ops.cast(_projected(ops.at_least_float32(values)), values.dtype)


def _projected(values: Tensor) -> Tensor:
    # A shift of all entries changes nothing. What is within 1 of the largest, and only that may be in the support, is
    # in [-1, 0] then, where sums keep their precision however large the values are.
    shifted = values - ops.stop_gradient(ops.max(values, axis=-1, keepdims=True))
    descending = ops.sort(shifted, axis=-1, direction="DESCENDING")
    counts = ops.cast(ops.arange(ops.shape(values)[-1], "int32") + 1, values.dtype)
    # Of all prefixes, that which is the support has the largest threshold. To look it up by its length would be a
    # gather, of which the converter to ONNX makes a file that no runtime loads.
    threshold = ops.max((ops.cumsum(descending, axis=-1) - 1) / counts, axis=-1, keepdims=True)
    # Sums over thousands of classes round; dividing by what is 1 but for that undoes it.
    positive = ops.maximum(shifted - threshold, 0)
    return positive / ops.sum(positive, axis=-1, keepdims=True) + _nan_unless_finite(values)


def _nan_unless_finite(values: Tensor) -> Tensor:
    is_finite = ops.all(ops.isfinite(values), axis=-1, keepdims=True)
    return ops.where(is_finite, ops.zeros([], values.dtype), ops.cast(float("nan"), values.dtype))
