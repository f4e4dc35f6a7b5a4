"""The means of features and targets of training data: what rescaling learns, in one pass or from several shards."""

import warnings
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import is_selected, leaf_name, leaf_paths, same_structure
from kmix_tf.layers.adaptation import with_progress
from kmix_tf.models.calibrating.seen import Seen
from kmix_tf.models.rescaled.measuring import Measuring
from kmix_tf.models.rescaled.places import PlaceMeans, Shape
from kmix_tf.models.rescaled.rows import batches
from kmix_tf.models.rescaled.signature import FeatureSignature
from kmix_tf.models.rescaled.slopes import MeasuredTheta, Slopes


class TrainingMeans:
    """Weighted means of the features and targets of a dataset, or of a part of it.

    `RescaledModel.measure` makes them and `RescaledModel.adapt` takes them. Those of shards are joined by `merge`;
    they can be pickled, so that each worker can measure its own shard. The order of shards matters only in the last
    digits.

    Attributes:
        weight: how many samples were seen, or their total weight; a float.
        slopes: of a model with `theta="measured"`, the regressions of mixtures on their nearer ends, or None.
        theta: `MeasuredTheta` that follows from them, or None.
        features: float64 means `(...)`, structured as the features, with size 1 for open axes; None for features that
            are left as they are.
        targets: float64 means, of the shape and structure of the model's outputs, alike.
        seen: by which samples are known again.

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

    slopes: Slopes | None = None  # Pickled ones of old have none.

    def __init__(
        self,
        inputs: FeatureSignature,
        outputs: FeatureSignature,
        features: list[PlaceMeans | None],
        targets: list[PlaceMeans],
        weight: float,
        seen: Seen,
        slopes: Slopes | None = None,
    ):
        self.inputs = inputs
        self.outputs = outputs
        self.feature_moments = features
        self.target_moments = targets
        self.weight = weight
        self.seen = seen
        self.slopes = slopes

    @property
    def theta(self) -> MeasuredTheta | None:
        return None if self.slopes is None else self.slopes.measured

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
            ValueError: if they are means of differently structured or shaped data, or only some of them measured
                theta.
        """
        if len({means.slopes is None for means in (self, *others)}) > 1:
            raise ValueError(
                "TrainingMeans: merge needs means of which all measured theta, or none. Received: some of both. "
                "Measure all shards by the model with theta='measured'."
            )
        for other in others:
            pairs = ((self.inputs, other.inputs), (self.outputs, other.outputs))
            if not all(same_structure(ours.structure, theirs.structure) for ours, theirs in pairs) or not all(
                _may_be_joined(ours.shapes(), theirs.shapes()) for ours, theirs in pairs
            ):
                raise ValueError(
                    "TrainingMeans: merge needs means of data of one structure and shape. Received: "
                    f"{[ours.structure for ours, _ in pairs]} and {[theirs.structure for _, theirs in pairs]}."
                )
        inputs, outputs = self.inputs, self.outputs
        for other in others:
            inputs, outputs = inputs.opened(other.inputs.shapes()), outputs.opened(other.outputs.shapes())
        joined, *rest = (means.opened(inputs, outputs) for means in (self, *others))
        for means in rest:
            joined.weight += means.weight
            joined.seen.merge(means.seen)
            if joined.slopes is not None and means.slopes is not None:
                joined.slopes.merge(means.slopes)
            for ours, theirs in zip(joined._moments(), means._moments(), strict=True):
                ours.merge(theirs)
        return joined

    def fitted(self, inputs: FeatureSignature, outputs: FeatureSignature) -> "TrainingMeans":
        """The same, over all axes that are open in signatures, if they differ in nothing else."""
        pairs = ((self.inputs, inputs), (self.outputs, outputs))
        if not all(_may_be_joined(ours.shapes(), theirs.shapes()) for ours, theirs in pairs):
            return self
        return self.opened(*(ours.opened(theirs.shapes()) for ours, theirs in pairs))

    def opened(self, inputs: FeatureSignature, outputs: FeatureSignature) -> "TrainingMeans":
        """The same, over all axes that are open in signatures of the same structure, too."""
        shapes = inputs.shapes(), outputs.shapes()
        features = [
            means and means.opened(shape) for means, shape in zip(self.feature_moments, shapes[0], strict=True)
        ]
        targets = [means.opened(shape) for means, shape in zip(self.target_moments, shapes[1], strict=True)]
        slopes = self.slopes and self.slopes.opened(features, targets)
        return TrainingMeans(inputs, outputs, features, targets, self.weight, Seen(self.seen.hashes), slopes)

    def learnt(self) -> list[Any]:
        """The means that a model learns: of features that are shrunk, then of targets; where mixtures count
        differently, those of the mixtures as they count."""
        if self.slopes is not None and self.slopes.weighs:
            return [slope.mixed.mean for slope in self.slopes.all]
        return [moments.mean for moments in self._moments()]

    def _moments(self) -> list[PlaceMeans]:
        return [moments for moments in (*self.feature_moments, *self.target_moments) if moments is not None]


def _may_be_joined(shapes: list[Shape], others: list[Shape]) -> bool:
    """Whether shapes differ only in axes that are open in one of them."""
    return len(shapes) == len(others) and all(
        len(ours) == len(theirs)
        and all(None in pair or pair[0] == pair[1] for pair in zip(ours, theirs, strict=True))
        for ours, theirs in zip(shapes, others, strict=True)
    )


def measured(
    task: str, data: Any, untouched: tuple[str, ...], begin: Callable[[Any], Measuring]
) -> tuple[TrainingMeans, Measuring]:
    """Takes the means of a dataset of batches in one pass; also returns what took them, which knows the batches.

    Args:
        task: for messages, such as "adapt".
        data: a dataset of `(x, y)` or `(x, y, sample_weight)`.
        untouched: names of features to take no means of.
        begin: begins with a first batch of features.
    """
    seen = None
    for number, (x, y, *weights) in enumerate(
        with_progress(batches(task, data, untouched), f"{_checks.speaker()}: means")
    ):
        if seen is None:
            seen = begin(x)
            _warn_of_kept_targets(y, untouched)
        seen.add(number, x, y, weights)
    if seen is None or not seen.weight:
        got = "an empty dataset" if seen is None else "sample weights that are all 0"
        raise _checks.problem(f"{task} needs at least one sample. Received: {got}.")
    seen.require_elements(x)
    inputs, outputs = FeatureSignature.of(x).opened(seen.shapes), FeatureSignature.of(seen.outputs)
    outputs = outputs.opened(seen.output_shapes)
    means = TrainingMeans(inputs, outputs, seen.features, seen.targets, seen.weight, seen.seen)
    return means, seen


def _warn_of_kept_targets(y: Any, untouched: tuple[str, ...]) -> None:
    kept = [leaf_name("targets", path) for path, _ in leaf_paths(y) if is_selected(untouched, path)]
    if kept:
        warnings.warn(
            f"{_checks.speaker()}: eq. (22) is derived for targets that are mixed as the features are. Received: "
            f"{', '.join(kept)}, which passthrough names. What the model answers for them is stretched all the same.",
            UserWarning,
            stacklevel=4,
        )
