"""Adversarial examples from one step along the sign of the loss's gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.analysis.asking import ask, one_output, sample_losses
from kmix_tf.analysis.ranges import Data, clip_range, clipped, require, require_floating, require_within
from kmix_tf.maths.losses import targets_of
from kmix_tf.maths.samples import COLUMNS, real_array


@_checks.speaks
def fgsm(
    model: Callable, x: Data, y: Any, epsilon: float, loss: Any, clip: tuple | None = None, batch_size: int = 128
) -> Data:
    """Moves each feature by epsilon in the direction that raises the loss: the fast gradient sign method.

    Args:
        model: a Keras model, asked as in inference, or any differentiable callable from a tensor `(batch, ...)` to
            one `(batch, outputs)`; logits for the cross-entropies.
        x: floating `(n, ...)`, NumPy or a tensor; or a `tf.data.Dataset` of batches `(x, y)` or `(x, y,
            sample_weight)`. Of a dataset, batches are attacked as they are drawn, with the model's weights of then.
        y: integer classes `(n,)`, or targets `(n, outputs)` as the loss takes them. None for a dataset.
        epsilon: how far each feature moves, >= 0 and in the units of x: 8 / 255 for images in [0, 1].
        loss: "categorical_crossentropy" or "binary_crossentropy", both on logits, "squared_error", a Keras loss, or
            a callable `(y, outputs) -> (batch, ...)` that does not reduce over the batch. Sample weights cannot
            change a sign, and do not count.
        clip: None, or (low, high), the range in which x must be and remains.
        batch_size: of the blocks that an array is attacked in, an integer >= 1.

    Returns:
        As x came, of its shape and dtype: an array, a tensor, or a dataset with nothing but x changed. A feature with
        a gradient of exactly 0 stays. The cross-entropies by name are computed in float64, so that this does not
        happen to confident predictions before their logits are 37 apart (17 in float32).

    Raises:
        TypeError: if x is not floating. ValueError: for other arguments, or if a gradient is NaN or infinite (in a
            dataset, an error of TensorFlow's with the same words, as it is drawn).

    Source: k-mixup, Table 7, and Zhang et al. 2018, after Goodfellow et al. 2015: x + epsilon sign(grad_x loss).

    Example:
        >>> from kmix_tf.analysis.attacks import fgsm
        >>> x = np.array([[1.0, -2.0]], np.float32)
        >>> fgsm(lambda x: x, x, [0], 0.25, "categorical_crossentropy").tolist()
        [[0.75, -1.75]]
    """
    attack = _Attack(model, epsilon, loss, clip)
    _checks.integer("batch_size", batch_size, minimum=1)
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            _checks.refuse("y", "None where x is a dataset, which holds the targets", type(y).__name__)
        _require_parts(x.element_spec)
        return x.map(attack.element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    is_tensor = tf.is_tensor(x)
    whole: Any = x if is_tensor else np.asarray(x)
    y = attack.targets(whole, y)
    blocks = [
        attack(whole[start : start + batch_size], y[start : start + batch_size])
        for start in range(0, len(whole), batch_size)
    ]
    joined: Any = tf.concat(blocks, axis=0) if is_tensor else np.concatenate([block.numpy() for block in blocks])
    return joined


class _Attack:
    """One step along the sign of the gradient, for batches in and out of graphs."""

    @_checks.speaks
    def __init__(self, model: Callable, epsilon: float, loss: Any, clip: Any):
        if not callable(model):
            _checks.refuse("model", "a Keras model or a callable", model, TypeError)
        self._model, self._name = model, loss if isinstance(loss, str) else None
        self._epsilon = _checks.number("epsilon", epsilon)
        self._losses, self._clip = sample_losses(loss), clip_range(clip)

    def targets(self, x: Any, y: Any) -> Any:
        """Targets of an array, checked."""
        require_floating(x)
        if x.ndim == 0 or len(x) == 0 or y is None or np.ndim(y) == 0 or len(x) != len(y):
            raise ValueError(
                "fgsm: x and y must hold the same number of samples, at least one. "
                f"Received: x of shape {tuple(x.shape)} and y of shape {np.shape(y) if y is not None else None}."
            )
        outputs = one_output(self._model, x)
        return real_array("y", y, COLUMNS) if self._name is None else targets_of(y, outputs, self._name)

    def element(self, x: tf.Tensor, y: tf.Tensor, *weight: tf.Tensor) -> tuple:
        require_floating(x)
        return (self(x, y), y, *weight)

    @_checks.speaks
    def __call__(self, x: Any, y: Any) -> tf.Tensor:
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
        require_within(x, self._clip)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            outputs = ask(self._model, x)
            losses = self._losses(y if self._name is None else _as_outputs(y, outputs), outputs)
        gradient = tape.gradient(losses, x)
        if gradient is None:
            raise ValueError("fgsm: model must be differentiable in x. Received: one without a gradient.")
        require(tf.math.is_finite(gradient), "fgsm: gradients must be finite. Received: NaN or infinite ones.")
        moved = x + self._epsilon * tf.sign(gradient)
        return clipped(moved, self._clip)


def _as_outputs(y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Targets of the shape of the outputs, float64: integer classes one-hot where there are several outputs."""
    count = outputs.shape[-1]
    if count > 1 and (y.dtype.is_integer or y.dtype.is_bool) and (y.shape.rank == 1 or y.shape[1:] == [1]):
        labels = tf.reshape(tf.cast(y, tf.int64), [-1])
        require((labels >= 0) & (labels < count), f"fgsm: labels must be in [0, {count}). Received: others.")
        return tf.one_hot(labels, count, dtype=tf.float64)
    if count == 1 and y.shape.rank == 1:
        y = y[:, tf.newaxis]
    if not y.shape.is_compatible_with(outputs.shape):
        raise ValueError(
            f"fgsm: y must be {outputs.shape} as the model's output is, or integer classes. "
            f"Received: y of dtype {y.dtype.name} and shape {y.shape}."
        )
    return tf.cast(y, tf.float64)


def _require_parts(spec: Any) -> None:
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or not isinstance(spec[0], tf.TensorSpec):
        raise ValueError(
            "fgsm: a dataset must be of batches (x, y) or (x, y, sample_weight), x one tensor. "
            f"Received: elements {spec}."
        )
