"""The two networks beside the model: the policy, which says how much to mix, and the discriminator."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks

# Of the layers that answer, as published: answers begin near 0, so intervals begin near [1/3, 2/3].
_SPREAD = 1e-3
_HIDDEN = 100

_FILTERS, _UNITS = (16, 32), 64


def default_policy(shape: Sequence[int | None]) -> keras.Model:
    """A small network that is given a sample and its partner, each of this shape, and answers with three logits."""
    sides = [keras.Input(shape, name=name) for name in ("sample", "partner")]
    x = keras.layers.Concatenate(dtype="float32")(sides)
    x = _dense(_HIDDEN)(_summary(x))
    return keras.Model(sides, _dense(3)(x), name="policy")


def default_discriminator(shape: Sequence[int | None], of_inputs: bool, units: int) -> keras.Model:
    """A network that is given samples, or what a layer of the model makes of them, and answers with a logit.

    Args:
        shape: of a sample or of its features. of_inputs: whether it is given samples; of features, it is linear.
        units: of its hidden layer, where it is linear.
    """
    inputs = keras.Input(shape, name="features")
    x = _summary(inputs) if of_inputs else _dense(units)(_flat(inputs))
    return keras.Model(inputs, _dense(1)(x), name="discriminator")


def _summary(x: Any) -> Any:
    """What a small network sees in images or other grids, or in rows of a table, of whatever scale."""
    x = keras.layers.BatchNormalization(dtype="float32")(x)
    axes = len(x.shape) - 2
    if not 1 <= axes <= 3:
        return _dense(_UNITS, "relu", keras.initializers.GlorotUniform())(_flat(x))
    for filters in _FILTERS:
        convolution = getattr(keras.layers, f"Conv{axes}D")
        x = convolution(filters, 3, 2, padding="same", activation="relu", dtype="float32")(x)
    return _flat(x, pooled=True)


def _flat(x: Any, pooled: bool = False) -> Any:
    """One row of numbers for each sample: of grids, means over all places if those are not known beforehand."""
    axes = len(x.shape) - 2
    if axes and (pooled or None in x.shape[1:]):
        return getattr(keras.layers, f"GlobalAveragePooling{axes}D")(dtype="float32")(x)
    return keras.layers.Flatten(dtype="float32")(x)


def _dense(units: int, activation: str | None = None, kernel: Any = None) -> keras.layers.Layer:
    kernel = keras.initializers.RandomNormal(stddev=_SPREAD) if kernel is None else kernel
    return keras.layers.Dense(units, activation, kernel_initializer=kernel, dtype="float32")


def checked_policy(policy: Any, shape: Sequence[int | None]) -> keras.Model:
    """A built model of two inputs of this shape, whose output is three logits.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if policy is None:
        return default_policy(shape)
    rule = "a functional Keras model of two inputs, sample and partner, with three logits for each pair, (batch, 3)"
    _require_model("policy", policy, rule)
    _require_inputs("policy", policy, [shape, shape], rule)
    _require_logits("policy", policy, 3, rule)
    return policy


def checked_discriminator(discriminator: Any, shape: Sequence[int | None]) -> keras.Model:
    """A built model of one input of this shape, whose output is a logit.

    Raises:
        TypeError, ValueError: for anything else.
    """
    rule = "a functional or sequential Keras model with one logit for each sample, (batch, 1)"
    _require_model("discriminator", discriminator, rule)
    _require_inputs("discriminator", discriminator, [shape], rule)
    _require_logits("discriminator", discriminator, 1, rule)
    return discriminator


def _require_model(name: str, model: Any, rule: str) -> None:
    if not isinstance(model, keras.Model):
        _checks.refuse(name, rule, model, TypeError)
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise _checks.problem(
            f"{name} must be {rule}. Received: {model.name!r} of class {type(model).__name__}, whose shapes are "
            "known only as it runs. Make it by keras.Model(inputs, outputs).",
            TypeError,
        )


def _require_inputs(name: str, model: keras.Model, shapes: list[Sequence[int | None]], rule: str) -> None:
    given = [tf.TensorShape(tuple(each.shape)[1:]) for each in model.inputs]
    received = [tuple(each.shape) for each in model.inputs]
    fits = len(given) == len(shapes) and all(map(tf.TensorShape.is_compatible_with, given, shapes))
    if not fits:
        wanted = " and ".join(str((None, *shape)) for shape in shapes)
        raise _checks.problem(
            f"{name} must be {rule}. Received: one with inputs of shapes {received}, where it is given {wanted}."
        )


def _require_logits(name: str, model: keras.Model, count: int, rule: str) -> None:
    shapes = [tuple(each.shape) for each in model.outputs]
    if [shape[1:] for shape in shapes] != [(count,)]:
        raise _checks.problem(f"{name} must be {rule}. Received: one with outputs of shapes {shapes}.")
    last = getattr(model.layers[-1], "activation", None)
    if last in (keras.activations.softmax, keras.activations.sigmoid):
        raise _checks.problem(
            f"{name} must answer with logits, of which the mix takes the {last.__name__} itself. Received: one that "
            f"ends with {last.__name__}. Give its last layer no activation."
        )
