"""The features that distances are measured on: chosen leaves, an embedding, columns of one scale, pooled images."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require_all
from kmix_tf._paths import is_selected, leaf_paths, require_used
from kmix_tf.backends import ask_model, values_of
from kmix_tf.batch.batch import Batch, checked_leaves, equal_length
from kmix_tf.batch.leaf import FEATURES
from kmix_tf.mixing.draw import Decisions, Sides
from kmix_tf.reduction.base import Reduction


def measure(
    batch: Batch,
    match_on: Sequence[str] = (),
    embedding: Callable | None = None,
    scales: Sequence[Any] | None = None,
) -> list[tf.Tensor]:
    """Leaves `(batch, ...)` to measure distances on.

    Args:
        match_on: names of the leaves that count, also of such as ride along; all that are mixed if there are none.
        embedding: a callable, or None. It takes the chosen leaf, or a list of them, or all features as they came if
            none is chosen, and returns one numeric tensor `(batch, ...)` or a structure of them.
        scales: for each leaf measured on, the factors of its last axis, or None.
    """
    leaves = batch.tensors(FEATURES) if not match_on and embedding is None else _chosen(batch, match_on, embedding)
    if scales is None:
        return leaves
    if len(leaves) != len(scales):
        raise _checks.problem(
            "features must be those that the layer was adapted to. "
            f"Received: {len(leaves)} leaves to match on, adapted to {len(scales)}."
        )
    return [_scaled(leaf, np.asarray(scale)) for leaf, scale in zip(leaves, scales, strict=True)]


def _chosen(batch: Batch, match_on: Sequence[str], embedding: Callable | None) -> list[tf.Tensor]:
    x = batch.part(FEATURES)
    if match_on:
        require_used("match_on", match_on, x)
        chosen = [leaf for path, leaf in leaf_paths(x) if is_selected(match_on, path)]
        x = chosen[0] if len(chosen) == 1 else chosen
    if embedding is None:
        return checked_leaves(FEATURES, x)
    # A Keras model is asked as in inference, so that dropout and batch statistics stay out of distances.
    answer = ask_model(embedding, x) if isinstance(embedding, keras.layers.Layer) else values_of(embedding(x))
    found = [("embedding(features)", leaf) for leaf in checked_leaves("embedding(features)", answer)]
    if not found:
        _checks.refuse("embedding(features)", "a tensor (batch, ...), or a structure of them", answer)
    checks = require_all(equal_length([(FEATURES, batch.tensors(FEATURES)[0]), *found]))
    return after(checks, [tf.stop_gradient(leaf) for _, leaf in found])


def _scaled(leaf: tf.Tensor, scale: np.ndarray) -> tf.Tensor:
    columns = leaf.shape[-1] if leaf.shape.rank != 1 else 1
    if columns != scale.size:
        raise _checks.problem(
            "features must have as many columns as those that the layer was adapted to. "
            f"Received: a leaf of shape {leaf.shape}, adapted to {scale.size} columns."
        )
    wide = tf.float64 if leaf.dtype == tf.float64 else tf.float32
    return tf.cast(leaf, wide) * tf.constant(scale.ravel(), wide)


def reduced(sides: Sides, match_at: str | Reduction, decisions: Decisions) -> Sides:
    """Sides as `match_at` says, made smaller for all that measures distances. What nobody measures is not made."""
    if isinstance(match_at, str):
        return sides
    if decisions.needs_distances:
        return sides.reduced(match_at)
    return sides._replace(match_at=match_at) if decisions.pairing.by_distance else sides
