"""A model's outputs: targets in their form, and eq. (22) for each kind of them."""

from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf.models.simplex import project_to_simplex

OUTPUTS = ("logits", "probabilities", "regression")


def targets_like_outputs(owner: str, targets: Any, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Targets as a model would put them out, `(batch, *shape)`: integer classes one-hot, `(batch,)` as `(batch, 1)`.

    Raises:
        ValueError: for labels outside the classes, or targets of another shape.
    """
    targets = np.asarray(targets)
    if _are_classes(targets, shape, kind):
        targets = targets.reshape(len(targets))
        if targets.size and not (targets.min() >= 0 and targets.max() < shape[-1]):
            raise ValueError(
                f"{owner}: labels must be in [0, {shape[-1]}), the model's classes. "
                f"Received: labels from {targets.min()} to {targets.max()}."
            )
        return np.eye(shape[-1])[targets]
    if targets.ndim == 1 and shape == (1,):
        targets = targets[:, np.newaxis]
    if targets.shape[1:] != shape:
        raise ValueError(
            f"{owner}: targets must have the shape of the model's output, or be integer classes. "
            f"Received: targets of shape {targets.shape} for an output of shape {(None, *shape)}."
        )
    return targets


def stretch(answer: tf.Tensor, y_mean: tf.Tensor, theta_bar: float, kind: str) -> tf.Tensor:
    """Turns the answer `(batch, ...)` for a shrunk input into one for the input: y_mean (1 - 1/theta) + f/theta.

    Source: On Mixup Regularization, eq. (22).
    """
    y_mean = tf.cast(y_mean, answer.dtype)
    if kind == "logits" and answer.shape[-1] == 1:
        # One logit is the difference of two. As two, eq. (22) shifts it by the difference of the class means;
        # applied to the one, it would move the boundary between balanced classes, which it must leave alone.
        y_mean = 2 * y_mean - 1
    stretched = y_mean * (1 - 1 / theta_bar) + answer / theta_bar
    return project_to_simplex(stretched) if kind == "probabilities" else stretched


def _are_classes(targets: np.ndarray, shape: tuple[int, ...], kind: str) -> bool:
    is_column = targets.ndim == 1 or targets.shape[1:] == (1,)
    return kind != "regression" and np.issubdtype(targets.dtype, np.integer) and is_column and shape != (1,)
