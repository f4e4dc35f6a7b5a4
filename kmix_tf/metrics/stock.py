"""What Keras' own metrics and losses want of targets, and what they make of mixed ones."""

import functools
from collections.abc import Iterator
from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor
from kmix_tf.metrics.clean import CLASSES, LABELS, NUMBERS

# Names that Keras gives a meaning by the shapes of targets and outputs.
BY_SHAPE = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}

# Whose targets may be any numbers: a soft label among them would not be told from one.
_OF_NUMBERS = {
    "meansquarederror", "mse", "rootmeansquarederror", "meanabsoluteerror", "mae", "meanabsolutepercentageerror",
    "mape", "meansquaredlogarithmicerror", "msle", "cosinesimilarity", "logcosh", "logcosherror", "r2score", "huber",
    "poisson", "meanrelativeerror", "pearsoncorrelation", "concordancecorrelation", "rsquare",
}  # fmt: skip

# Those that make a soft label 0 or 1 beforehand, or ask whether a prediction equals it: docs/metrics.md measures it.
WRONG_ON_SOFT_LABELS = {
    "auc", "precision", "recall", "truepositives", "truenegatives", "falsepositives", "falsenegatives",
    "sensitivityatspecificity", "specificityatsensitivity", "precisionatrecall", "recallatprecision",
    "binaryaccuracy", "binaryiou", "accuracy",
}  # fmt: skip

_LIBRARIES = ("keras.", "tf_keras.", "tensorflow_addons.")


@register
def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The binary accuracy of one output unit, else the categorical one."""
    is_binary = y_pred.shape[-1] == 1
    return (keras.metrics.binary_accuracy if is_binary else keras.metrics.categorical_accuracy)(y_true, y_pred)


@register
def crossentropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The binary cross-entropy of one output unit, else the categorical one."""
    is_binary = y_pred.shape[-1] == 1
    return (keras.losses.binary_crossentropy if is_binary else keras.losses.categorical_crossentropy)(y_true, y_pred)


def counterpart(metric: Any) -> keras.metrics.Metric:
    """The metric object that a Keras metric, its name or a function stands for.

    Raises:
        TypeError: for anything else. ValueError: for a name that Keras does not know.
    """
    found = metric
    if isinstance(metric, str):
        by_shape = {"accuracy": accuracy, "crossentropy": crossentropy}
        known = BY_SHAPE.get(metric.lower())
        found = by_shape[known] if known else keras.metrics.get(metric)
    if isinstance(found, type) and issubclass(found, keras.metrics.Metric):
        found = found()
    if isinstance(found, keras.metrics.Metric):
        return _counting_fractions(found)
    if not callable(found):
        _checks.refuse("metric", "a Keras metric, its name or a function", metric, TypeError)
    name = metric if isinstance(metric, str) else getattr(found, "__name__", type(found).__name__)
    return keras.metrics.MeanMetricWrapper(found, name=name)


def _counting_fractions(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    """Refuses a metric that would cut shares off to 0, as Keras 3 has its intersections over unions by default."""
    if "int" in str(metric.dtype):
        raise _checks.problem(
            f"metric must count fractions of samples. Received: {type(metric).__name__} of dtype {metric.dtype}. "
            "Give it dtype='float32'."
        )
    return metric


def kind_of(metric: keras.metrics.Metric) -> str:
    """What a metric wants of its targets: CLASSES, LABELS or NUMBERS."""
    if is_sparse(metric):
        return CLASSES
    return NUMBERS if _OF_NUMBERS & {_plain(name) for name in names_of(metric)} else LABELS


def is_sparse(thing: Any) -> bool:
    """Whether a loss or metric, its name or a function wants classes as integers."""
    # `BinaryIoU` has labels of a unit, though it inherits that they are classes.
    takes_classes = getattr(thing, "sparse_y_true", False) is True and not isinstance(thing, keras.metrics.BinaryIoU)
    return takes_classes or any("sparse" in name.lower() for name in names_of(thing))


def is_wrong_on_soft_labels(metric: Any) -> bool:
    """Whether it is a stock metric that makes something else of soft labels."""
    return is_stock(metric) and not WRONG_ON_SOFT_LABELS.isdisjoint(map(_plain, names_of(metric)))


def is_stock(thing: Any) -> bool:
    """Whether what a loss, metric or function does with its targets is Keras' own code, or that of tensorflow-addons.

    A subclass is as its base is, unless it has a computation of its own.
    """
    if isinstance(thing, str):
        return keras.saving.get_registered_object(thing) is None  # Keras knows no others.
    inner = _function_of(thing)
    if inner is not None:
        return is_stock(inner) and _has_stock_method(thing)
    if not isinstance(thing, (keras.losses.Loss, keras.metrics.Metric)):
        return _is_in_library(getattr(thing, "__module__", None))
    return _has_stock_method(thing)


def names_of(thing: Any) -> Iterator[str]:
    """All names that a loss, metric or function goes by: those of its class and its bases, and of what it wraps."""
    if isinstance(thing, str):
        yield thing
    elif hasattr(thing, "__name__"):
        yield thing.__name__
    else:
        yield from (base.__name__ for base in type(thing).__mro__)
    inner = _function_of(thing)
    if inner is not None:
        yield from names_of(inner)


def _function_of(thing: Any) -> Any:
    """The function that a partial, a loss or a metric is made of."""
    if isinstance(thing, functools.partial):
        return thing.func
    if not isinstance(thing, (keras.losses.Loss, keras.metrics.Metric)):
        return None
    return getattr(thing, "_fn", None) or getattr(thing, "fn", None)


def _has_stock_method(thing: Any) -> bool:
    if isinstance(thing, functools.partial):
        return True
    method = "call" if isinstance(thing, keras.losses.Loss) else "update_state"
    defined = next((base for base in type(thing).__mro__ if method in vars(base)), None)
    return defined is not None and _is_in_library(defined.__module__)


def _is_in_library(module: str | None) -> bool:
    return bool(module) and f"{module}.".startswith(_LIBRARIES)


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
