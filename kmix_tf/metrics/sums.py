"""Sums over all batches since a reset, of more digits than float32 has."""

from typing import Any

import keras
import numpy as np

from kmix_tf._ops import Tensor, ops


def sum_of(metric: keras.metrics.Metric, name: str, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Variables of a metric that hold a sum, of zeros so far.

    One of float64 where the back end has it everywhere, and None. Else two of float32: the sum, and what rounding
    left out of it, which together have 48 bits.
    """

    def variable(name: str) -> Any:
        return metric.add_weight(name=name, shape=shape, initializer="zeros", dtype=ops.WIDE)

    return variable(name), None if ops.WIDE == "float64" else variable(f"{name}_rest")


def add(total: Any, rest: Any, value: Tensor) -> None:
    """Adds a value of the sum's shape."""
    if rest is None:
        total.assign_add(value)
        return
    before = ops.convert_to_tensor(total)
    after = before + value
    # What the sum lacks of both, exactly, whichever is larger: Knuth's 2Sum.
    of_value = after - before
    missing = (before - (after - of_value)) + (value - of_value)
    total.assign(after)
    rest.assign(ops.convert_to_tensor(rest) + missing)


def value_of(total: Any, rest: Any) -> Tensor:
    """The sum, as precise as one number can hold it."""
    value = ops.convert_to_tensor(total)
    return value if rest is None else value + ops.convert_to_tensor(rest)


def edges_of(bins: int) -> np.ndarray:
    """The right edges of bins of equal width in [0, 1], of the dtype of sums; the last is infinite.

    What is above an edge by less than 12 digits show is on it, as in `kmix_tf.analysis.reliability_curve`. Of a
    narrower dtype they are rounded down, so that a number of that dtype is above what is rounded if it is above what
    is not.
    """
    edges = np.append((np.arange(1, bins) + 5e-13) / bins, np.inf)
    rounded = edges.astype(ops.WIDE)
    return np.where(rounded > edges, np.nextafter(rounded, rounded.dtype.type(0)), rounded)
