"""The losses that `compile` takes as everywhere in Keras, as the ones of which the derivatives are known."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import keras

from kmix_tf import _checks
from kmix_tf.models.approximate.loss import ApproximateMixupLoss
from kmix_tf.models.endings import SIGMOID, SOFTMAX, Ending

CROSS_ENTROPIES = ("categorical_crossentropy", "binary_crossentropy")
# What `keras.losses.get` gives for a name.
_FUNCTIONS = {
    keras.losses.categorical_crossentropy: "categorical_crossentropy",
    keras.losses.sparse_categorical_crossentropy: "categorical_crossentropy",
    keras.losses.binary_crossentropy: "binary_crossentropy",
    keras.losses.mean_squared_error: "squared_error",
}
_CLASSES = {
    keras.losses.CategoricalCrossentropy: "categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy: "categorical_crossentropy",
    keras.losses.BinaryCrossentropy: "binary_crossentropy",
    keras.losses.MeanSquaredError: "squared_error",
}
# What else a loss may be told: what it must be, and what to do instead.
_SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "from_logits": (bool, "from_logits=True, for a model that returns logits"),
    "axis": (lambda axis: axis in (-1, 1), "axis=-1"),
    "ignore_class": (lambda ignored: ignored is None, "ignore_class=None; give such samples the weight 0"),
    "reduction": (lambda how: how in ("sum_over_batch_size", "auto"), "no reduction of its own; scale the rate"),
}


def known_loss(loss: Any, terms: Sequence[str]) -> ApproximateMixupLoss:
    """The loss with the terms that are to be added, for any that Keras' `compile` takes and Theorem 2 is known of.

    Args:
        loss: a name or function of Keras', here of logits, or one of its objects; or what this function returned.

    Raises:
        ValueError: for losses without these derivatives, and for settings that would change what is minimised.
    """
    if isinstance(loss, ApproximateMixupLoss):
        return ApproximateMixupLoss(loss.kind, terms, loss.mean, loss.label_smoothing)
    if isinstance(loss, str):
        loss = _of_name(loss)
    kind = _CLASSES.get(type(loss)) or next((kind for each, kind in _FUNCTIONS.items() if each is loss), None)
    if kind is None:
        _refuse(loss)
    settings = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    for name, (is_right, rule) in _SETTINGS.items():
        if name in settings and not is_right(settings[name]):
            _checks.refuse(f"{name} of loss {type(loss).__name__}", rule, settings[name])
    return ApproximateMixupLoss(kind, terms, mean=True, label_smoothing=settings.get("label_smoothing", 0.0))


def _of_name(name: str) -> Any:
    try:
        found = keras.losses.get(name)
    except ValueError:
        _refuse(name)
    # Names of classes give objects with from_logits=False, which a name cannot say otherwise.
    kind = type(found) if isinstance(found, keras.losses.Loss) else None
    return next((function for function, known in _FUNCTIONS.items() if known == _CLASSES.get(kind)), found)


def _refuse(loss: Any) -> NoReturn:
    _checks.refuse(
        "loss",
        "one of which the derivatives are known: CategoricalCrossentropy, SparseCategoricalCrossentropy and "
        "BinaryCrossentropy, all with from_logits=True, or MeanSquaredError, or their names",
        getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss,
    )


def require_logits(kinds: Sequence[str], ends: Sequence[Ending], names: Sequence[str]) -> None:
    """Refuses cross-entropies of a model that ends in a softmax or sigmoid.

    Raises:
        ValueError: naming the output and the remedy.
    """
    for kind, ending, name in zip(kinds, ends, names, strict=True):
        if kind in CROSS_ENTROPIES and ending.activation in (SOFTMAX, SIGMOID):
            raise _checks.problem(
                f"loss={kind!r} needs logits. Received: a model of which {name} ends in {ending.activation}. Please "
                f"leave that out (activation=None), and take keras.activations.{ending.activation} of what the "
                "model predicts."
            )
