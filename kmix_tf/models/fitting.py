"""Whether losses, metrics and outputs of a model fit what a mix makes of its targets.

Keras' own words for what does not fit name shapes alone, and where sizes happen to agree it says nothing.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import is_selected, leaf_paths
from kmix_tf.batch.boxes import boxes_among
from kmix_tf.batch.leaf import TARGETS
from kmix_tf.layers import Stage
from kmix_tf.losses import DecoupledMixupLoss, LocalMixupLoss
from kmix_tf.metrics import ExpectedCalibrationError, MixAccuracy, MixMetric
from kmix_tf.metrics.stock import BY_SHAPE, is_sparse, is_stock, is_wrong_on_soft_labels

_OURS = (DecoupledMixupLoss, LocalMixupLoss, MixAccuracy, MixMetric, ExpectedCalibrationError)


def require_fitting(arguments: Mapping[str, Any], mixer: Stage, model: keras.Model) -> None:
    """Refuses losses and metrics that cannot take what the mix makes of targets, among the arguments of `compile`.

    Raises:
        ValueError: for what wants integers and gets soft labels, and for stock losses and metrics of packed targets.
    """
    for argument in ("loss", "metrics", "weighted_metrics"):
        each_of = list(_by_output(arguments.get(argument), argument == "loss"))
        boxes = _of_boxes([keys for keys, _ in each_of], mixer)
        for keys, each in each_of:
            if keys not in boxes and not _rides_along(keys, mixer, model):
                _require_taking_apart(argument, each) if mixer.targets == "packed" else _require_soft(argument, each)


def warn_of_metrics(arguments: Mapping[str, Any], mixer: Stage, model: keras.Model) -> None:
    """Warns of stock metrics that take mixed labels for something else, once for each `compile`."""
    if mixer.targets == "packed":
        return
    found = [
        _name(each)
        for argument in ("metrics", "weighted_metrics")
        for keys, each in _by_output(arguments.get(argument))
        if not _rides_along(keys, mixer, model) and _is_wrong(each, _units(keys, model))
    ]
    if found:
        warnings.warn(
            f"{_checks.speaker()}: {', '.join(found)} would be wrong in training, for mixed labels are neither 0 nor "
            f"1; of validation data it is right. Give MixMetric({found[0]}) instead, which counts both labels of a "
            "mixture by their shares.",
            stacklevel=4,
        )


def require_outputs(y: Any, y_pred: Any, mixer: Stage, model: keras.Model, loss: Any) -> None:
    """Checks that outputs have a unit for each class, before Keras stops on shapes, or broadcasts them.

    Args:
        y: targets as the mix gives them. y_pred: what the model answers. loss: as given to `compile`.

    Raises:
        ValueError: naming the output, and what would do.
    """
    # A loss of one's own may well compare targets with outputs of another shape, such as embeddings.
    losses = list(_by_output(loss, True))
    is_strict = all(isinstance(each, _OURS) or is_stock(each) for _, each in losses)
    with_loss = {keys for keys, _ in losses}
    pairs = _paired(y, y_pred, model)
    boxes = _of_boxes([keys for keys, *_ in pairs], mixer)
    for keys, target, output in pairs:
        if keys in boxes or target is None or not with_loss & {keys, ()} or _rides_along(keys, mixer, model):
            continue
        count = _classes_of(keys, mixer.num_classes)
        units = output.shape[-1] if output.shape.rank else None
        where = f"output {'/'.join(map(str, keys))!r}" if keys else "an output"
        if count is None:
            is_column = is_strict and mixer.targets == "mixed" and target.dtype.is_floating
            _require_no_column(where, target, output) if is_column else None
        elif units not in (None, count) and (units == 1 or is_strict) and output.shape.rank > 1:
            raise _checks.problem(_units_differ(where, count, output))


def _units_differ(where: str, count: int, output: tf.Tensor) -> str:
    received = f"an output must have a unit for each class. Received: num_classes={count}, and {where} of shape "
    received += f"{output.shape}. "
    if output.shape[-1] == 1 and count == 2:
        return (
            f"{received}For 0/1 labels of one unit: cast to float32 and leave num_classes out. Or give the model "
            "two units with a softmax, and the loss CategoricalCrossentropy."
        )
    return f"{received}Give the model's last layer {count} units; or num_classes={output.shape[-1]}."


def _require_no_column(where: str, target: tf.Tensor, output: tf.Tensor) -> None:
    """Refuses one number for many outputs: class labels that came as floats have been averaged."""
    ranks, units = (target.shape.rank, output.shape.rank), output.shape[-1] if output.shape.rank else None
    if None in ranks or units in (None, 1):
        return
    lacks_axis = ranks[0] == ranks[1] - 1 and target.shape.is_compatible_with(output.shape[:-1])
    if lacks_axis or (ranks[0] == ranks[1] and target.shape[-1] == 1):
        raise _checks.problem(
            f"targets must have as many numbers as there are units. Received: float targets of shape {target.shape} "
            f"for {where} of shape {output.shape}. If they are class labels, cast them to int32 and give the mix "
            f"num_classes={units}; if they are numbers, give the model one unit."
        )


def _require_soft(argument: str, each: Any) -> None:
    inner = each.loss if isinstance(each, LocalMixupLoss) else each
    if (isinstance(each, _OURS) and inner is each) or not is_sparse(inner):
        return
    name = _name(inner)
    if argument == "loss":
        raise _checks.problem(
            f"loss must take soft labels: mixing turns integer labels into such. Received: {name}. Use "
            "CategoricalCrossentropy, also for validation data with integer labels; or give the mix "
            f"targets='packed' and compile with LocalMixupLoss({name})."
        )
    raise _checks.problem(
        f"{argument} must take soft labels: mixing turns integer labels into such, of validation data too. Received: "
        f"{name}. Use CategoricalAccuracy, which counts the larger share; MixAccuracy; or MixMetric({name}), which "
        "counts each class by its share."
    )


def _require_taking_apart(argument: str, each: Any) -> None:
    if isinstance(each, _OURS) or not is_stock(each):
        return
    name = _name(each)
    what = f"LocalMixupLoss({name})" if argument == "loss" else f"MixMetric({name}), MixAccuracy"
    raise _checks.problem(
        f"{argument} must take packed targets apart, where the mix has targets='packed'. Received: {name}, which "
        f"takes them for labels. Use {what}, also for validation data; or give the mix targets='mixed'."
    )


def _is_wrong(metric: Any, units: int | None) -> bool:
    if isinstance(metric, str) and metric.lower() in BY_SHAPE:
        return BY_SHAPE[metric.lower()] == "accuracy" and units == 1
    return not isinstance(metric, _OURS) and is_wrong_on_soft_labels(metric)


def _name(each: Any) -> str:
    """What a loss or metric is called in a message."""
    if isinstance(each, str):
        return repr(each)
    return getattr(getattr(each, "func", each), "__name__", type(each).__name__)


def _by_output(structure: Any, one_each: bool = False) -> Iterator[tuple[tuple, Any]]:
    """All losses or metrics, each with the keys of its output; none for those of all outputs.

    one_each: whether a list has one for each output. Otherwise its last level has several for one.
    """
    for path, each in leaf_paths(structure):
        if each is not None:
            yield path if one_each or not path or isinstance(path[-1], str) else path[:-1], each


def _of_boxes(keys: Sequence[tuple], mixer: Stage) -> set[tuple]:
    """Those of outputs whose targets are bounding boxes and their classes, which stay integers."""
    paths = list(dict.fromkeys(keys))
    return {paths[at] for at in boxes_among([(TARGETS, path) for path in paths], mixer.passthrough)}


def _rides_along(keys: tuple, mixer: Stage, model: keras.Model) -> bool:
    """Whether the target of an output comes back as it is: there, anything goes."""
    if not mixer.passthrough:
        return False
    names = [keys] if keys else [(), *((name,) for name in getattr(model, "output_names", None) or [])]
    return any(is_selected(mixer.passthrough, path) for path in names)


def _units(keys: tuple, model: keras.Model) -> int | None:
    """How many units an output has; None if that is not known."""
    outputs = getattr(model, "outputs", None) or []
    names = list(getattr(model, "output_names", None) or [])
    if len(outputs) == 1:
        return outputs[0].shape[-1]
    position = names.index(keys[0]) if keys and keys[0] in names else keys[0] if keys else None
    return outputs[position].shape[-1] if isinstance(position, int) and position < len(outputs) else None


def _paired(y: Any, y_pred: Any, model: keras.Model) -> list[tuple[tuple, tf.Tensor, tf.Tensor]]:
    """Targets and the outputs that they are for, with the keys of the targets; empty where that cannot be told."""
    targets, outputs = list(leaf_paths(y)), list(leaf_paths(y_pred))
    names = list(getattr(model, "output_names", None) or [])
    if isinstance(y, Mapping) and not isinstance(y_pred, Mapping) and set(y) == set(names):
        targets = [((name,), y[name]) for name in names]
    if len(targets) != len(outputs) or (
        isinstance(y_pred, Mapping) and not isinstance(y, Mapping) and len(outputs) > 1
    ):
        return []
    return [(keys, target, output) for (keys, target), (_, output) in zip(targets, outputs, strict=True)]


def _classes_of(keys: tuple, num_classes: Any) -> int | None:
    if num_classes is None or isinstance(num_classes, int):
        return num_classes
    return dict(leaf_paths(num_classes)).get(keys)
