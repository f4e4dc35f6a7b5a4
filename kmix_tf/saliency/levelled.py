"""Gradients through models of float16, whose numbers end at 65504 and fade below 6e-5.

A mean over a batch, or a small loss, would make zeros of them, and a large factor infinities. But saliency has no
scale, and outputs depend on their own sample alone. So each sample's gradient by the outputs is brought to one size
before it goes back through the model, whatever the loss, its reduction and the batch.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._graph import at_least_float32

# The largest gradient of a sample by the outputs. The second is for samples that overflow with the first.
FACTORS = (2.0**8, 2.0**-6)


def is_half(layer: Any) -> bool:
    """Whether a model, or a layer in it, computes in float16; bfloat16 has float32's range."""
    return getattr(layer, "compute_dtype", None) == "float16" or any(map(is_half, getattr(layer, "layers", ())))


def levelled_gradient(
    predict: Callable[[], list[tf.Tensor]], loss: Callable[[list[tf.Tensor]], tf.Tensor], image: tf.Tensor
) -> tf.Tensor | None:
    """The gradient of a loss by an image, in each sample times a factor of its own.

    Args:
        predict: what asks the model: outputs `(batch, ...)`. loss: of the outputs, which come as float32 at least.
        image: float `(batch, ...)`.

    Returns:
        Of the image's shape and dtype, or None where the loss does not depend on it.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as through_model:
        through_model.watch(image)
        outputs = [_widened(leaf) for leaf in predict()]
    # Keras' losses look for the logits that a softmax was made of, and differentiate by these.
    logits = [leaf._keras_logits for leaf in outputs if hasattr(leaf, "_keras_logits")]
    sources = [leaf for leaf in outputs + logits if leaf.dtype.is_floating]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        value = loss(outputs)
    slopes = zip(sources, tape.gradient(value, sources), strict=True)
    reached = [(source, tf.convert_to_tensor(slope)) for source, slope in slopes if slope is not None]
    if not reached:
        return None
    level = _levelled([slope for _, slope in reached])

    def back(factor: float) -> tf.Tensor | None:
        targets = [source for source, _ in reached]
        return through_model.gradient(targets, image, output_gradients=[factor * slope for slope in level])

    gradient = back(FACTORS[0])
    return None if gradient is None else _mended(gradient, lambda: back(FACTORS[1]))


def _levelled(slopes: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients scaled so that each sample's largest is 1; the whole batch's, if an output has no batch axis."""
    has_samples = all(slope.shape.rank for slope in slopes)
    shapes = [[-1, *[1] * (slope.shape.rank - 1)] if has_samples else [] for slope in slopes]
    sizes = [tf.reduce_max(tf.abs(slope), axis=range(int(has_samples), slope.shape.rank)) for slope in slopes]
    largest = functools.reduce(tf.maximum, [tf.cast(size, sizes[0].dtype) for size in sizes])
    return [
        tf.math.divide_no_nan(slope, tf.cast(tf.reshape(largest, shape), slope.dtype))
        for slope, shape in zip(slopes, shapes, strict=True)
    ]


def _mended(gradient: tf.Tensor, again: Callable[[], tf.Tensor]) -> tf.Tensor:
    """A gradient with those of its samples that are not finite taken from another one."""
    places = range(1, gradient.shape.rank)
    broken = ~tf.reduce_all(tf.math.is_finite(gradient), axis=places, keepdims=True)
    return tf.cond(tf.reduce_any(broken), lambda: tf.where(broken, again(), gradient), lambda: gradient)


def _widened(leaf: tf.Tensor) -> tf.Tensor:
    """float32 at least, with what Keras hangs on outputs: logits and masks."""
    wide = at_least_float32(leaf) if leaf.dtype.is_floating else leaf
    if wide is not leaf:
        for name in ("_keras_logits", "_keras_mask"):
            if hasattr(leaf, name):
                value = getattr(leaf, name)
                setattr(wide, name, at_least_float32(value) if name == "_keras_logits" else value)
    return wide
