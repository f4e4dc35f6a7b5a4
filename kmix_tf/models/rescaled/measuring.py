"""The means of batches, one after another, whose sizes may differ where the model's inputs are open."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import mask_of
from kmix_tf._ops import ops
from kmix_tf._paths import is_selected, leaf_name, leaf_paths
from kmix_tf.models.calibrating.seen import Seen
from kmix_tf.models.rescaled.inputs import (
    declared_outputs,
    declared_shapes,
    first_sample,
    masked_values,
    present_in,
    present_outputs,
    require_masks,
    shapes_of,
)
from kmix_tf.models.rescaled.places import PlaceMeans, Shape, opened, present_at, weights_at
from kmix_tf.models.rescaled.rows import like_outputs, require_finite, require_weights, sample_count


class CheckedBatch(NamedTuple):
    """A batch, checked.

    features: its leaves. targets: of each output, in its form. weight: float64 `(batch,)` or `(batch, *places)`.
    features_present, targets_present: of each, boolean `(batch, *places)`, or None where all elements are there.
    """

    features: list[Any]
    targets: list[np.ndarray]
    weight: np.ndarray
    features_present: list[Any]
    targets_present: list[Any]


class Measuring:
    """The means of features and targets, and what batches have told of their shapes.

    An axis is open where the model's input is; of a model that says nothing of its inputs, where batches differ.

    Args:
        model: a Keras model. untouched: names of features to take no means of. masks: those of them that are masks.
        look: gives the model's answer to a batch, checked, and the kinds of its leaves. ask: the answer alone.
        x: the features of a first batch, which `add` is to be given, too.

    Attributes:
        shapes, output_shapes: of a row of each leaf, None for open axes.
        features: a `PlaceMeans` for each leaf, None for those left as they are. targets: one for each output.
        outputs: specs of the model's answer. weight: of all samples. seen: by which samples are known again.
    """

    def __init__(
        self,
        model: Any,
        untouched: Sequence[str],
        masks: Sequence[str],
        look: Callable[[Any], tuple[Any, list[str]]],
        ask: Callable[[Any], Any],
        x: Any,
    ):
        self._model, self._masks, self._look, self._ask = model, masks, look, ask
        self._declared = declared_shapes(model, x)
        self._values = masked_values(model, x)
        self.shapes = [_as_declared(*pair) for pair in zip(shapes_of(x), self._declared, strict=True)]
        self.features = [
            None if is_selected(untouched, path) else PlaceMeans(shape)
            for (path, _), shape in zip(leaf_paths(x), self.shapes, strict=True)
        ]
        answer, self._kinds = look(x)
        self.outputs = _specs(answer)
        self._answers = {shapes_of(x): self.outputs}
        self._is_masked = any(mask_of(leaf) is not None for leaf in tf.nest.flatten(answer))
        declared = declared_outputs(model, answer)
        if not any(None in shape for shape in self.shapes):
            declared = [None] * len(declared)  # Of closed inputs, outputs are closed, whatever the model knows.
        self.output_shapes = [_as_declared(*pair) for pair in zip(shapes_of(answer), declared, strict=True)]
        self.targets = [PlaceMeans(shape) for shape in self.output_shapes]
        self.weight = 0.0
        self.seen = Seen()

    def add(self, number: int, x: Any, y: Any, weights: list[Any]) -> None:
        """Adds a batch.

        Raises:
            ValueError: naming the leaf, if the batch does not fit those before it or the model, or is not finite.
        """
        rows = self.rows(number, x, y, weights)
        self.weight += float(rows.weight.sum())
        self.seen.add(x)
        for leaf, means, there in zip(rows.features, self.features, rows.features_present, strict=True):
            if means is not None:
                _add(means, leaf, rows.weight, there)
        for leaf, means, there in zip(rows.targets, self.targets, rows.targets_present, strict=True):
            _add(means, leaf, rows.weight, there)

    def rows(self, number: int, x: Any, y: Any, weights: list[Any]) -> CheckedBatch:
        """A batch as it is measured, checked; of the means, it opens the axes along which the batch differs.

        Raises:
            ValueError: as `add`.
        """
        size = sample_count(x)
        self._open(number, x)
        answer = self._answered(x)
        require_masks(self._masks, x, self.shapes, answer, is_first=not self.weight)
        weight = require_weights(number, size, weights, answer)
        for (path, leaf), means in zip(leaf_paths(x), self.features, strict=True):
            if means is not None:
                require_finite(number, leaf_name("features", path), np.asarray(leaf))
        targets = list(like_outputs(number, y, answer, self._kinds, size))
        masked = self._ask(x) if self._is_masked else answer
        present = present_in(x, self.shapes, self._masks, self._values)
        present_targets = present_outputs(x, self.shapes, self._masks, masked)
        return CheckedBatch([leaf for _, leaf in leaf_paths(x)], targets, weight, present, present_targets)

    def require_elements(self, x: Any) -> None:
        """Refuses data of which nothing is there, all being padding."""
        names = [leaf_name("features", path) for path, _ in leaf_paths(x)]
        names += [f"targets of output {number}" for number in range(len(self.targets))]
        for name, means in zip(names, [*self.features, *self.targets], strict=True):
            if means is not None and not means.total.any():
                raise _checks.problem(f"data must have elements that are there. Received: {name} all masked.")

    def _open(self, number: int, x: Any) -> None:
        """Opens the axes along which a batch differs from those before it."""
        leaves = zip(leaf_paths(x), shapes_of(x), self._declared, strict=True)
        for place, ((path, leaf), shape, declared) in enumerate(leaves):
            before, means = self.shapes[place], self.features[place]
            if len(shape) == len(before) and declared is None:
                self.shapes[place] = opened(before, shape)
            elif _as_declared(shape, declared) != before:
                raise _checks.problem(
                    f"{leaf_name('features', path)} must have one shape in all batches, to have a mean. Received: "
                    f"{tuple(leaf.shape)} in batch {number}, after {(None, *before)}."
                )
            if means is not None and self.shapes[place] != before:
                self.features[place] = means.opened(self.shapes[place])

    def _answered(self, x: Any) -> Any:
        """Specs of what the model answers to batches of such shapes; it is asked once for each of them."""
        shapes = shapes_of(x)
        if shapes not in self._answers:
            answer, _ = self._look(first_sample(x))
            self._answers[shapes] = _specs(answer)
            for number, shape in enumerate(shapes_of(answer)):
                before = self.output_shapes[number]
                self.output_shapes[number] = opened(before, shape)
                if self.output_shapes[number] != before:
                    self.targets[number] = self.targets[number].opened(self.output_shapes[number])
        size = sample_count(x)
        return tf.nest.map_structure(
            lambda spec: tf.TensorSpec([size, *spec.shape[1:]], spec.dtype), self._answers[shapes]
        )


def _add(means: PlaceMeans, leaf: Any, weight: np.ndarray, there: Any) -> None:
    is_open = [size is None for size in means.shape]
    there = None if there is None else ops.to_numpy(there)
    means.update(leaf, present_at(weights_at(weight, leaf.shape, is_open), there))


def _as_declared(shape: Shape, declared: Shape | None) -> Shape:
    """A shape that is open where the model says so."""
    if declared is None or len(declared) != len(shape):
        return shape
    return tuple(None if open_size is None else size for size, open_size in zip(shape, declared, strict=True))


def _specs(answer: Any) -> Any:
    return tf.nest.map_structure(lambda leaf: tf.TensorSpec(tuple(leaf.shape), ops.dtype_name(leaf)), answer)
