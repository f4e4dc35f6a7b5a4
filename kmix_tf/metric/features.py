"""The features that distances are measured on: chosen leaves, an embedding, columns brought to one scale."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf.batch import Batch
from kmix_tf.batch.leaves import after, as_tensor, leaf_name, leaf_paths, require_finite
from kmix_tf.batch.selection import is_selected, require_used


class Metric:
    """What a mix measures distances on, a function of a batch's features.

    Args:
        owner: the layer's name, for messages.
        match_on: names of the leaves that count, also of such as ride along; all that are mixed if there are none.
        embedding: a callable, or None. It takes the chosen leaf, or a list of them, or all features as they came if
            none is chosen, and returns one numeric tensor `(batch, ...)` or a structure of them.
        scales: for each leaf measured on, the factors of its last axis, or None.
    """

    def __init__(
        self,
        owner: str,
        match_on: Sequence[str] = (),
        embedding: Callable | None = None,
        scales: Sequence[Any] | None = None,
    ):
        self.owner = owner
        self.match_on = tuple(match_on)
        self.embedding = embedding
        self.scales = scales

    def __call__(self, batch: Batch) -> list[tf.Tensor]:
        """Leaves `(batch, ...)` to measure distances on."""
        leaves = self.unscaled(batch)
        if self.scales is None:
            return leaves
        if len(leaves) != len(self.scales):
            raise ValueError(
                f"{self.owner}: features must be those that the layer was adapted to. "
                f"Received: {len(leaves)} leaves to match on, adapted to {len(self.scales)}."
            )
        return [self._scaled(leaf, np.asarray(scale)) for leaf, scale in zip(leaves, self.scales, strict=True)]

    def unscaled(self, batch: Batch) -> list[tf.Tensor]:
        """The leaves before scaling."""
        if not self.match_on and self.embedding is None:
            return batch.x
        x, *_ = batch.unflatten()
        if self.match_on:
            require_used(self.owner, "match_on", self.match_on, x)
            chosen = [leaf for path, leaf in leaf_paths(x) if is_selected(self.match_on, path)]
            x = chosen[0] if len(chosen) == 1 else chosen
        return self._checked("features", x) if self.embedding is None else self._embedded(x)

    def _embedded(self, x: Any) -> list[tf.Tensor]:
        # A Keras model is asked as in inference, so that dropout and batch statistics stay out of the metric.
        options = {"training": False} if isinstance(self.embedding, keras.layers.Layer) else {}
        leaves = self._checked("embedding(features)", self.embedding(x, **options))
        return [tf.stop_gradient(leaf) for leaf in leaves]

    def _checked(self, name: str, structure: Any) -> list[tf.Tensor]:
        leaves = [
            (leaf_name(name, path), as_tensor(self.owner, leaf_name(name, path), leaf))
            for path, leaf in leaf_paths(structure)
        ]
        checks = [check for name, leaf in leaves for check in require_finite(self.owner, name, leaf)]
        return after(checks, [leaf for _, leaf in leaves])

    def _scaled(self, leaf: tf.Tensor, scale: np.ndarray) -> tf.Tensor:
        columns = leaf.shape[-1] if leaf.shape.rank != 1 else 1
        if columns != scale.size:
            raise ValueError(
                f"{self.owner}: features must have as many columns as those that the layer was adapted to. "
                f"Received: a leaf of shape {leaf.shape}, adapted to {scale.size} columns."
            )
        wide = tf.float64 if leaf.dtype == tf.float64 else tf.float32
        return tf.cast(leaf, wide) * tf.constant(scale.ravel(), wide)
