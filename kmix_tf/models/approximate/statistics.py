"""Whether batch normalisation takes the statistics of the batch, of which TensorFlow's second derivatives are wrong.

It does in training. Frozen, or called with training=False, it is affine. But what a call within a model says of
training may be overruled by the call of the model, which Keras versions do differently. So layers are watched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.maths.derivatives import INEXACT_IN_INFERENCE, refuse_layers
from kmix_tf.models.approximate.hooks import answering

_REMEDY = (
    " Please take derivatives='differences', or train with terms=(); batch normalisation may also be frozen, with "
    "trainable=False."
)


def require_exact(model: keras.Model, specs: Any) -> None:
    """Refuses layers of which exact second derivatives would be wrong without any sign of it.

    Args:
        specs: of the model's inputs; None where they are not known yet, and batch normalisation is left to
            `exactly`.

    Raises:
        ValueError: naming the layer.
    """
    refuse_layers(model, INEXACT_IN_INFERENCE, "derivatives='exact'", _REASON, _REMEDY)
    if specs is not None and _batch_norms(model):
        _refuse(_found_in_a_trace(model, specs))


@contextmanager
def exactly(model: keras.Model) -> Iterator[None]:
    """Refuses, after the model was called within it, what `require_exact` could not see.

    Raises:
        ValueError: naming the layer.
    """
    with _watching(model) as found:
        yield
    _refuse(found)


_REASON = "whose second derivatives TensorFlow gets wrong"


def _batch_norms(model: keras.Model) -> list[Any]:
    """Those that are not frozen."""
    layers = model._flatten_layers()
    return [each for each in layers if isinstance(each, keras.layers.BatchNormalization) and each.trainable]


@contextmanager
def _watching(model: keras.Model) -> Iterator[list[Any]]:
    """Collects the layers that are called to take the statistics of the batch."""
    found: list[Any] = []

    def respond(layer: Any, call: Any, inputs: Any, training: Any = None, *args: Any, **kwargs: Any) -> Any:
        # A tensor is nobody's word that it is not.
        if isinstance(training, tf.Tensor) or training:
            found.append(layer)
        return call(inputs, *args, training=training, **kwargs)

    with answering(_batch_norms(model), respond):
        yield found


def _found_in_a_trace(model: keras.Model, specs: Any) -> list[Any]:
    with _watching(model) as found:
        try:
            with tf.init_scope():
                tf.function(lambda x: model(x, training=True)).get_concrete_function(specs)
        except Exception:  # Whatever a model's own code may raise where it is asked for a graph: the step will tell.
            return found
    return found


def _refuse(found: list[Any]) -> None:
    if found:
        raise _checks.problem(
            f"derivatives='exact' cannot be used with {type(found[0]).__name__} in training, {_REASON}. "
            f"Received: a model with the layer {found[0].name!r}.{_REMEDY}"
        )
