"""Several interpolations of a batch are as many batches: whether memory holds them is asked before they are made."""

import math
import os

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import require
from kmix_tf.batch.batch import Batch, batch_after
from kmix_tf.batch.roles import FEATURES


def memory_limit() -> float:
    """The machine's memory in bytes, or infinity where it cannot be known."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def require_memory(batch: Batch, interpolations: int) -> Batch:
    """Refuses more mixtures of a batch than the machine can hold, before any is drawn.

    Returns:
        The batch, available only once the check has passed.

    Raises:
        ValueError: where the batch size is known beforehand. InvalidArgumentError: on the batch, otherwise.
    """
    limit, leaves = memory_limit(), batch.tensors(FEATURES)
    # Mixtures of integers are float32.
    widths = [max(leaf.dtype.size, 4) for leaf in leaves]
    if all(leaf.shape.is_fully_defined() for leaf in leaves):
        size = sum(leaf.shape.num_elements() * width for leaf, width in zip(leaves, widths, strict=True))
        if size * interpolations > limit:
            raise _checks.problem(_message(interpolations, f"{size * interpolations / 1e9:.3g} GB", limit))
        return batch
    sizes = [tf.cast(tf.size(leaf, tf.int64), tf.float64) * width for leaf, width in zip(leaves, widths, strict=True)]
    message = _message(interpolations, "more than that", limit)
    return batch_after(require(tf.add_n(sizes) * interpolations <= limit, message), batch)


def _message(interpolations: int, size: str, limit: float) -> str:
    return (
        f"interpolations of a batch must fit into memory, {limit / 1e9:.3g} GB. "
        f"Received: interpolations={interpolations}, which take {size}. Use fewer, or smaller batches."
    )
