"""What a mix layer asks of its arguments, and of the batches it is called with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks


class Names(NamedTuple):
    """The leaves that `match_on`, `passthrough` and `masks` name."""

    match_on: tuple[str, ...]
    passthrough: tuple[str, ...]
    masks: tuple[str, ...]


def checked_classes(owner: str, num_classes: Any) -> Any:
    """Integers of at least 2, or None, in any structure; NumPy integers become plain ones."""
    return tf.nest.map_structure(
        lambda count: None if count is None else _checks.integer(owner, "num_classes", count, minimum=2),
        num_classes,
    )


def require_counts_that_fit(owner: str, pairing: Callable, ratio: Callable) -> None:
    """Refuses several partners and several ratios of each sample that are not as many."""
    times, interpolations = getattr(pairing, "times", None), getattr(ratio, "interpolations", 1)
    if times is not None and interpolations not in (1, times):
        _checks.refuse(owner, "interpolations", f"1 or {times}, as many as the pairing's times", interpolations)


def require_targets(owner: str, x: Any, y: Any, sample_weight: Any, features_only: bool) -> None:
    """Refuses features without targets, unless there are none, and weights without targets."""
    if y is None and sample_weight is not None:
        raise ValueError(f"{owner}: sample_weight must come with targets. Received: sample_weight and y=None.")
    if y is None and not features_only:
        got = f"a {type(x).__name__} with keys {sorted(x)}" if isinstance(x, dict) else "features alone"
        raise ValueError(
            f"{owner}: targets must come with the features, as (x, y), to be mixed alike. Received: {got}. "
            "Map the dataset to (x, y) first; or, if there are no targets, set features_only=True."
        )


def serialized(strategy: Any) -> Any:
    """A strategy's configuration, or None for none."""
    return None if strategy is None else keras.saving.serialize_keras_object(strategy)
