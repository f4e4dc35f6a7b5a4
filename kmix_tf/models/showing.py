"""Telling callbacks what a model is fitted to, where they want to know."""

from typing import Any

import numpy as np
import tensorflow as tf


def offer_data(arguments: dict[str, Any]) -> None:
    """Offers the data that `fit` was given to each of its callbacks that has a method `offer`."""
    callbacks = arguments.get("callbacks") or []
    callbacks = getattr(callbacks, "callbacks", callbacks)
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        if callable(getattr(callback, "offer", None)):
            callback.offer(*_data_of(arguments))


def _data_of(arguments: dict[str, Any]) -> tuple[Any, int | None, int | None]:
    """Data, the size of batches, and how many rows of arrays are left for training: the first ones, as in Keras."""
    x, y, sample_weight = (arguments.get(name) for name in ("x", "y", "sample_weight"))
    data = x if y is None else (x, y, sample_weight)
    split = arguments.get("validation_split") or 0.0
    if not split or y is None:
        return data, arguments.get("batch_size"), None
    return data, arguments.get("batch_size"), int(np.floor(len(tf.nest.flatten(x)[0]) * (1 - split)))
