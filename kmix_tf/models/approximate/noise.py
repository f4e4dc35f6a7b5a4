"""The same noise at each of the points that differences compare: otherwise they would be differences of noise."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf.models.approximate.hooks import answering

_ADDED = (keras.layers.GaussianNoise,)
_MULTIPLIED = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
# Their noise is that of a Dropout within them, which is found by itself.
_OF_DROPOUTS = tuple(
    getattr(keras.layers, name)
    for name in ("MultiHeadAttention", "GroupQueryAttention")
    if hasattr(keras.layers, name)
)
_SOURCES = ("_seed_generators", "_random_generator")  # of what draws, in Keras 3 and in Keras 2
_RATES = ("dropout", "recurrent_dropout")


def require_one_noise(model: keras.Model) -> None:
    """Refuses layers that would draw other noise at each point, and cannot be kept from it.

    Raises:
        ValueError: naming the layer.
    """
    for layer in model._flatten_layers():
        if not _can_hold(layer) and _draws(layer):
            raise _checks.problem(
                f"derivatives='differences' cannot be used with {type(layer).__name__}, which draws anew at each of "
                f"the points that are compared. Received: a model with the layer {layer.name!r}. Dropout, "
                "SpatialDropout, GaussianDropout and GaussianNoise draw once for all of them. Please take one of "
                "these, or set its rate to 0; move random augmentation into the data; or train with terms=()."
            )


def one_noise(model: keras.Model, rows: tf.Tensor, points: int) -> AbstractContextManager[None]:
    """Within it, the model's noise layers give each of so many equal parts of the rows the same noise.

    Args:
        rows: what the model is called with, `(points * batch, ...)`: the batch at one point after another.
    """
    layers = [layer for layer in model._flatten_layers() if _can_hold(layer)]
    if not layers:
        return nullcontext()

    def respond(layer: Any, call: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        axes = [axis for axis, size in enumerate(inputs.shape) if _may_be_rows(size, rows.shape[0])]
        if not axes:  # Weights, say, have noise for all rows alike.
            return call(inputs, *args, **kwargs)
        (inputs,) = after(_require_rows(layer, inputs, rows, axes), [inputs])
        first = tf.split(inputs, points)[0]
        if isinstance(layer, _ADDED):
            return inputs + _repeated(call(tf.zeros_like(first), *args, **kwargs), points)
        return inputs * _repeated(call(tf.ones_like(first), *args, **kwargs), points)

    return answering(layers, respond)


def _repeated(noise: tf.Tensor, points: int) -> tf.Tensor:
    return tf.concat([noise] * points, axis=0)


def _may_be_rows(size: int | None, rows: int | None) -> bool:
    """Whether an axis may hold the rows, or each of them several times, as far as sizes are known."""
    return size is None if size is None or rows is None else size % rows == 0


def _require_rows(layer: Any, inputs: tf.Tensor, rows: tf.Tensor, axes: list[int]) -> list[tf.Operation]:
    text = "derivatives='differences' needs the batch on the first axis, where there is noise. "
    text += f"Received: another axis there, in the layer {layer.name!r}. Please train with derivatives='exact'."
    if axes[0] != 0:
        raise _checks.problem(text)
    return require(tf.shape(inputs)[0] % tf.shape(rows)[0] == 0, text)


def _can_hold(layer: Any) -> bool:
    is_depth = type(layer).__name__ == "StochasticDepth" and type(layer).__module__.startswith("keras.")
    return is_depth or isinstance(layer, (*_ADDED, *_MULTIPLIED))


def _draws(layer: Any) -> bool:
    """Whether a layer is one that draws, by what it says of itself."""
    if isinstance(layer, _OF_DROPOUTS):
        return False
    rates = list(_rates(layer))
    # Those of layers that have rates draw nothing where these are 0, which AlphaDropout's is called.
    return any(rates) if rates else any(getattr(layer, name, None) for name in _SOURCES)


def _rates(layer: Any) -> Iterator[float]:
    names = ("rate",) if isinstance(layer, keras.layers.AlphaDropout) else _RATES
    yield from (getattr(layer, name) for name in names if isinstance(getattr(layer, name, None), (int, float)))
