"""Several interpolations of a batch are as many batches: whether memory holds them is asked before they are made."""

import math
import os
from collections.abc import Sequence

import tensorflow as tf

from kmix_tf.batch.leaves import after, require


def memory_limit() -> float:
    """The machine's memory in bytes, or infinity where it cannot be known."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def require_memory(owner: str, leaves: Sequence[tf.Tensor], interpolations: int) -> list[tf.Tensor]:
    """Refuses so many interpolations of a batch that the machine cannot hold them.

    Returns:
        The leaves, available only once the check has passed.

    Raises:
        ValueError: where the batch size is known beforehand. InvalidArgumentError: on the batch, otherwise.
    """
    limit = memory_limit()
    # Mixtures of integers are float32.
    widths = [max(leaf.dtype.size, 4) for leaf in leaves]
    if all(leaf.shape.is_fully_defined() for leaf in leaves):
        size = sum(leaf.shape.num_elements() * width for leaf, width in zip(leaves, widths, strict=True))
        if size * interpolations > limit:
            raise ValueError(_message(owner, interpolations, f"{size * interpolations / 1e9:.3g} GB", limit))
        return list(leaves)
    sizes = [tf.cast(tf.size(leaf, tf.int64), tf.float64) * width for leaf, width in zip(leaves, widths, strict=True)]
    message = _message(owner, interpolations, "more than that", limit)
    return after(require(tf.add_n(sizes) * interpolations <= limit, message), list(leaves))


def _message(owner: str, interpolations: int, size: str, limit: float) -> str:
    return (
        f"{owner}: interpolations of a batch must fit into memory, {limit / 1e9:.3g} GB. "
        f"Received: interpolations={interpolations}, which take {size}. Use fewer, or smaller batches."
    )
