"""The means of features and targets of training data: what rescaling learns, in one pass or from several shards."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import is_selected, leaf_name, leaf_paths, same_structure
from kmix_tf.batch.geometry import require_no_geometry
from kmix_tf.layers.adaptation import with_progress
from kmix_tf.maths.moments import StreamingMoments
from kmix_tf.models.rescaled.outputs import targets_like_outputs
from kmix_tf.models.rescaled.signature import FeatureSignature


class TrainingMeans:
    """Weighted means of the features and targets of a dataset, or of a part of it.

    `RescaledModel.measure` makes them and `RescaledModel.adapt` takes them. Those of shards are joined by `merge`;
    they can be pickled, so that each worker can measure its own shard. The order of shards matters only in the last
    digits.

    Attributes:
        weight: how many samples were seen, or their total weight; a float.
        features: float64 means `(...)`, structured as the features; None for features that are left as they are.
        targets: float64 means, of the shape and structure of the model's outputs.

    Source: On Mixup Regularization, x_bar and y_bar of eq. (22); Chan, Golub, LeVeque 1979, for joining.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2)])
        >>> rescaled = RescaledModel(model, alpha=1.0)
        >>> first = rescaled.measure(np.array([[1.0], [2.0]]), [0, 1])
        >>> means = first.merge(rescaled.measure(np.array([[6.0]]), [1]))
        >>> float(means.features[0]), means.targets.round(2).tolist(), means.weight
        (3.0, [0.33, 0.67], 3.0)
        >>> rescaled.adapt(means)
    """

    def __init__(
        self,
        inputs: FeatureSignature,
        outputs: FeatureSignature,
        features: list[StreamingMoments | None],
        targets: list[StreamingMoments],
    ):
        self.inputs = inputs
        self.outputs = outputs
        self.feature_moments = features
        self.target_moments = targets

    @property
    def weight(self) -> float:
        return float(self.target_moments[0].total)

    @property
    def features(self) -> Any:
        means = [moments and moments.mean for moments in self.feature_moments]
        return tf.nest.pack_sequence_as(self.inputs.structure, means)

    @property
    def targets(self) -> Any:
        return tf.nest.pack_sequence_as(self.outputs.structure, [moments.mean for moments in self.target_moments])

    def merge(self, *others: "TrainingMeans") -> "TrainingMeans":
        """The means of all that this and the others have seen together; none of them is changed.

        Raises:
            ValueError: if they are means of differently structured or shaped data.
        """
        for other in others:
            pairs = ((self.inputs, other.inputs), (self.outputs, other.outputs))
            if not all(same_structure(ours.structure, theirs.structure) for ours, theirs in pairs) or not all(
                ours.shapes() == theirs.shapes() for ours, theirs in pairs
            ):
                raise ValueError(
                    "TrainingMeans: merge needs means of data of one structure and shape. Received: "
                    f"{[ours.structure for ours, _ in pairs]} and {[theirs.structure for _, theirs in pairs]}."
                )
        parts = zip(*((*means.feature_moments, *means.target_moments) for means in (self, *others)), strict=True)
        joined = [_joined(part) for part in parts]
        count = len(self.feature_moments)
        return TrainingMeans(self.inputs, self.outputs, joined[:count], joined[count:])


class _Measuring(NamedTuple):
    """What the first batch told, and the moments of it and of those that come after it.

    leaves: of its features. answer: the model's, and kinds of its leaves. features, targets: moments of each leaf,
    None for features that are left as they are.
    """

    leaves: list[Any]
    answer: Any
    kinds: list[str]
    features: list[StreamingMoments | None]
    targets: list[StreamingMoments]


def measured(
    task: str, data: Any, untouched: tuple[str, ...], look: Callable[[Any], tuple[Any, list[str]]]
) -> TrainingMeans:
    """Takes the means of a dataset of batches in one pass.

    Args:
        task: for messages, such as "adapt".
        data: a dataset of `(x, y)` or `(x, y, sample_weight)`.
        untouched: names of features to take no means of.
        look: what gives the model's answer to a batch, checked, and the kinds of its leaves.
    """
    seen = None
    for number, (x, y, *weights) in enumerate(
        with_progress(batches(task, data, untouched), f"{_checks.speaker()}: means")
    ):
        if seen is None:
            answer, kinds = look(x)
            _warn_of_kept_targets(y, untouched)
            features = [None if is_selected(untouched, path) else StreamingMoments() for path, _ in leaf_paths(x)]
            seen = _Measuring(tf.nest.flatten(x), answer, kinds, features, [StreamingMoments() for _ in kinds])
        weight = require_weights(number, x, weights)
        for (path, leaf), moments, example in zip(leaf_paths(x), seen.features, seen.leaves, strict=True):
            if moments is not None:
                _require_leaf(number, leaf_name("features", path), leaf, example)
                moments.update(leaf, weight)
        rows = like_outputs(number, y, seen.answer, seen.kinds, len(weight))
        for leaf, of_target in zip(rows, seen.targets, strict=True):
            of_target.update(leaf, weight)
    if seen is None or not seen.targets[0].total:
        got = "an empty dataset" if seen is None else "sample weights that are all 0"
        raise _checks.problem(f"{task} needs at least one sample. Received: {got}.")
    return TrainingMeans(FeatureSignature.of(x), FeatureSignature.of(seen.answer), seen.features, seen.targets)


def _warn_of_kept_targets(y: Any, untouched: tuple[str, ...]) -> None:
    kept = [leaf_name("targets", path) for path, _ in leaf_paths(y) if is_selected(untouched, path)]
    if kept:
        warnings.warn(
            f"{_checks.speaker()}: eq. (22) is derived for targets that are mixed as the features are. Received: "
            f"{', '.join(kept)}, which passthrough names. What the model answers for them is stretched all the same.",
            UserWarning,
            stacklevel=4,
        )


def batches(task: str, data: Any, untouched: tuple[str, ...] = ()) -> tf.data.Dataset:
    """The dataset, if it is a finite one of batches that can be measured.

    Raises:
        TypeError: for features or targets that are ragged, sparse or no numbers.
        ValueError: for other elements, unbatched ones, or a dataset that repeats for ever.
    """
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise _checks.problem(
            f"{task} needs a dataset of batches (x, y) or (x, y, sample_weight), or x and y. "
            f"Received: {type(data).__name__} with elements {spec}."
        )
    if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise _checks.problem(
            f"{task} needs a finite dataset. Received: one that repeats for ever. Leave out repeat(), or take(n)."
        )
    for name, part in zip(("features", "targets", "sample_weight"), spec, strict=False):
        for path, leaf in leaf_paths(part):
            is_kept = is_selected(untouched, path)
            _require_dense(leaf_name(name, path), leaf, name == "features" and is_kept)
            if not is_kept and name != "sample_weight":
                require_no_geometry(path, leaf)
    return data


def require_weights(number: int, x: Any, weights: list[Any]) -> np.ndarray:
    """The samples' weights, float64 `(batch,)`: ones where none are given.

    Raises:
        ValueError: for weights of another shape, negative or not finite; for features of unequal length.
    """
    sizes = {int(leaf.shape[0]) for leaf in tf.nest.flatten(x)}
    if len(sizes) != 1:
        raise _checks.problem(f"all features of a batch must be equally long. Received: lengths {sorted(sizes)}.")
    (size,) = sizes
    if not weights:
        return np.ones(size)
    if tf.nest.is_nested(weights[0]):
        raise _checks.problem(
            f"sample_weight must be one tensor (batch,), for the features have one mean. Received: a "
            f"{type(weights[0]).__name__}. Map the dataset to the weights that samples should count with."
        )
    weight = np.asarray(weights[0], dtype=np.float64)
    if weight.shape not in ((size,), (size, 1)):
        raise _checks.problem(f"sample_weight must have the shape ({size},). Received: shape {weight.shape}.")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise _checks.problem(
            f"sample_weight must be >= 0 and finite. Received: other weights, or NaN, in batch {number}."
        )
    return weight.reshape(size)


def like_outputs(number: int, y: Any, answer: Any, kinds: list[str], size: int) -> Iterator[np.ndarray]:
    """Each leaf of the targets in the form of the model's output that it is for.

    Raises:
        ValueError: if structures or shapes differ, or targets are not finite.
    """
    if not same_structure(y, answer):
        names = [[leaf_name("", path) for path, _ in leaf_paths(part)] for part in (y, answer)]
        raise _checks.problem(
            f"targets must be structured as the model's outputs. Received: "
            f"{_described('targets', names[0])} for {_described('outputs', names[1])}."
        )
    for (path, target), output, kind in zip(leaf_paths(y), tf.nest.flatten(answer), kinds, strict=True):
        name = leaf_name("targets", path)
        target = np.asarray(target)
        _require_finite(number, name, target)
        if len(target) != size:
            raise _checks.problem(
                f"features and targets of a batch must be equally long. Received: {size} and {len(target)}."
            )
        yield targets_like_outputs(target, tuple(output.shape[1:]), kind, name)


def _described(name: str, leaves: list[str]) -> str:
    return f"one of the {name}" if leaves == [""] else f"{name} {', '.join(leaves)}"


def _require_dense(name: str, spec: Any, any_dtype: bool) -> None:
    is_dense = isinstance(spec, tf.TensorSpec)
    if not is_dense or not (any_dtype or spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype.is_bool):
        kind = spec.dtype.name if is_dense else type(spec).__name__
        raise _checks.problem(
            f"{name} must be a dense tensor of numbers. Received: {kind}. "
            "If it only rides along, name it in passthrough=.",
            TypeError,
        )
    if spec.shape.rank == 0:
        raise _checks.problem(
            f"{name} must have a batch axis. Received: {name} of shape (), a single sample. "
            "Call dataset.batch(...) first."
        )


def _require_leaf(number: int, name: str, leaf: Any, example: Any) -> None:
    if leaf.shape[1:] != example.shape[1:]:
        raise _checks.problem(
            f"{name} must have one shape in all batches, to have a mean. Received: {tuple(leaf.shape)} in "
            f"batch {number}, after {tuple(example.shape)}."
        )
    _require_finite(number, name, np.asarray(leaf))


def _require_finite(number: int, name: str, values: np.ndarray) -> None:
    is_exact = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
    if not is_exact and not np.isfinite(values.astype(np.float64)).all():
        raise _checks.problem(
            f"data must have finite features and targets. Received: {name} with NaN or infinity in batch {number}."
        )


def _joined(parts: tuple[Any, ...]) -> Any:
    if parts[0] is None:
        return None
    joined = StreamingMoments()
    for part in parts:
        joined.merge(part)
    return joined
