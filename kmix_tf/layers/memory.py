"""Several interpolations of a batch are as many batches: whether memory holds them is asked before they are made."""

import math
import os
from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import require


def memory_limit() -> float:
    """The machine's memory in bytes, or infinity where it cannot be known."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def require_memory(features: Sequence[tf.Tensor], mixtures: int) -> list[tf.Operation]:
    """Refuses more mixtures of each sample than the machine can hold.

    Returns:
        What is to run before anything is drawn.

    Raises:
        ValueError: where the batch size is known beforehand. InvalidArgumentError: on the batch, otherwise.
    """
    limit = memory_limit()
    # Mixtures of integers are float32.
    widths = [max(leaf.dtype.size, 4) for leaf in features]
    if all(leaf.shape.is_fully_defined() for leaf in features):
        size = sum(leaf.shape.num_elements() * width for leaf, width in zip(features, widths, strict=True))
        if size * mixtures > limit:
            raise _checks.problem(_message(mixtures, f"{size * mixtures / 1e9:.3g} GB", limit))
        return []
    sizes = [
        tf.cast(tf.size(leaf, tf.int64), tf.float64) * width for leaf, width in zip(features, widths, strict=True)
    ]
    return require(tf.add_n(sizes) * mixtures <= limit, _message(mixtures, "more than that", limit))


def _message(interpolations: int, size: str, limit: float) -> str:
    return (
        f"interpolations of a batch must fit into memory, {limit / 1e9:.3g} GB. "
        f"Received: interpolations={interpolations}, which take {size}. Use fewer, or smaller batches."
    )
