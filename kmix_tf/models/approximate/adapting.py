"""What is learnt of the data before training: means of features and targets, and how many samples there are."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3
from kmix_tf._paths import leaf_name, leaf_paths
from kmix_tf.batch.categories import Once, warn_of_integers
from kmix_tf.batch.geometry import require_no_geometry
from kmix_tf.batch.leaf import FEATURES, MIXED, Leaf
from kmix_tf.maths.losses import LOSSES, targets_of
from kmix_tf.maths.moments import StreamingMoments
from kmix_tf.models.approximate.kinds import CROSS_ENTROPIES
from kmix_tf.models.approximate.outputs import Outputs
from kmix_tf.models.arrays import several
from kmix_tf.models.endings import are_probabilities
from kmix_tf.models.lookups import input_specs, require_no_lookups, specs_of

_HIDDEN_INSTEAD = "mix what an embedding makes of them, by ManifoldMixModel(model, ['embedding'], KMixupLayer(1))."


class AdaptedModel(keras.Model):
    """A wrapper of `self.model` that keeps means of features, `self.alpha` being that of the mixup they are for."""

    model: keras.Model
    alpha: float

    def _begin(self) -> None:
        """Refuses inputs of which averages mean nothing, as far as they are known, and makes the counters."""
        self._shapes: list[tuple[int, ...]] | None = None
        self._outputs: Outputs | None = None
        self._unfit: list[dict[str, str]] = []
        self._first_integers = Once()
        specs = input_specs(self.model)
        if specs is not None:
            self._require_no_lookups(specs)
            self._require_floats(specs)
        self._step = self._weight("step", (), "int64")
        self._count = self._weight("count", (), "int64")

    @_checks.speaks
    def adapt(self, data: Any, y: Any = None, batch_size: int = 256) -> None:
        """Learns the means of features and targets of the training data, and their number, in one pass.

        Args:
            data: a dataset of batches `(x, y)` or `(x, y, sample_weight)`, finite; or x, with y beside it. Weights
                do not weigh these means, for every sample is equally likely to be a partner. Integer y are classes
                where an output has several columns; otherwise y is as the model's output, or as each of several.
            y: targets, when data is an array of features.
            batch_size: for arrays.

        Raises:
            ValueError: if there are no samples or targets, values are NaN or infinite, labels are outside the model's
                classes, or targets do not fit the model's outputs or, if they are known already, the losses.

        Warns:
            UserWarning: of integers among the features; of outputs that look like probabilities, not logits.
        """
        if y is not None:
            parts = (several(data, self.model, "inputs"), several(y, self.model, "outputs"))
            data = tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)
        spec = getattr(data, "element_spec", None)
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise _checks.problem(
                f"adapt needs a dataset of batches (x, y) or (x, y, sample_weight), or x and y. "
                f"Received: {type(data).__name__} with elements {spec}."
            )
        self._require_averages(spec[0])
        looking = None
        for x, targets, *_ in data.as_numpy_iterator():
            looking = looking or _Looking(self._look(x), self.model, self._known_kinds)
            looking.update(x, targets)
        if looking is None:
            raise _checks.problem("adapt needs at least one sample. Received: an empty dataset.")
        self._learn(looking)

    def _known_kinds(self, outputs: Outputs) -> list[str | None]:
        """The kind of loss of each output, None where it is not known yet."""
        raise NotImplementedError

    def _look(self, x: Any) -> Any:
        return self(tf.nest.map_structure(tf.convert_to_tensor, x), training=False)

    def _require_averages(self, specs: Any) -> None:
        """Refuses features of which averages mean nothing, and warns of integers, which may be such."""
        leaves = [Leaf(FEATURES, path, MIXED, leaf_name(FEATURES, path), leaf) for path, leaf in leaf_paths(specs)]
        for each in leaves:
            require_no_geometry(each.path, each.tensor)
        if self.alpha:
            warn_of_integers(self._first_integers, leaves, None, _HIDDEN_INSTEAD)
            if input_specs(self.model) is None:
                self._require_no_lookups(specs_of(specs, [True] * len(leaves)))

    def _require_no_lookups(self, specs: Any) -> None:
        averaged = [self.alpha > 0] * len(tf.nest.flatten(specs))
        require_no_lookups(self.model, specs, averaged, "shrunk towards their mean", _HIDDEN_INSTEAD)

    def _require_floats(self, specs: Any) -> None:
        """Refuses integer inputs: models cast what comes to their inputs' dtype, and so would cut it off."""
        dtypes = [leaf.dtype.name for leaf in tf.nest.flatten(specs) if not leaf.dtype.is_floating]
        if self.alpha and dtypes:
            raise _checks.problem(
                f"the model's inputs must be floating. Received: inputs of dtypes {dtypes}, to which shrunk "
                "values would be cut. Use keras.Input(..., dtype='float32') for quantities, of uint8 images too; "
                f"of token ids and categories, {_HIDDEN_INSTEAD}"
            )

    def _learn(self, looking: "_Looking") -> None:
        if not all(np.isfinite(moment.mean).all() for moment in looking.moments):
            raise _checks.problem("adapt needs finite features. Received: NaN or infinity.")
        if self._shapes is None:
            self._make_means([list(moment.mean.shape) for moment in looking.moments])
        for weight, moment in zip(self._means, looking.moments, strict=True):
            weight.assign(moment.mean)
        self._count.assign(int(looking.moments[-1].total))
        self._outputs, self._unfit = looking.outputs, looking.unfit

    def _make_means(self, shapes: list[Any]) -> None:
        self._means = [self._weight(f"mean_{i}", tuple(shape), "float32") for i, shape in enumerate(shapes)]
        self._shapes = [tuple(shape) for shape in shapes]

    def _weight(self, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        first = "only_first_replica" if IS_KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False, aggregation=first
        )

    def _require_adapted(self) -> Outputs:
        if self._shapes is None or self._outputs is None:
            raise _checks.problem(
                "adapt(dataset) must come before fit, to learn the means of the training data. "
                "Received: a model without means."
            )
        return self._outputs


class _Looking:
    """One pass over the data: moments of features, then of the targets of each output; and which losses do not fit.

    Args:
        answer: what the model answers to the first batch. known: `AdaptedModel._known_kinds`.
    """

    def __init__(self, answer: Any, model: keras.Model, known: Any):
        self.outputs = Outputs.of(answer, model)
        self.kinds = known(self.outputs)
        self.unfit: list[dict[str, str]] = [{} for _ in self.kinds]
        self.moments: list[StreamingMoments] = []
        leaves = zip(self.outputs.names, tf.nest.flatten(answer), strict=True)
        self._sizes = [_size(name, leaf) for name, leaf in leaves]
        for name, kind, leaf in zip(self.outputs.names, self.kinds, tf.nest.flatten(answer), strict=True):
            _warn_of_probabilities(name, kind, np.asarray(leaf, np.float32))

    def update(self, x: Any, y: Any) -> None:
        targets = self.outputs.each("targets", y)
        leaves = [*tf.nest.flatten(x), *(self._checked(at, target) for at, target in enumerate(targets))]
        self.moments = self.moments or [StreamingMoments() for _ in leaves]
        for moment, leaf in zip(self.moments, leaves, strict=True):
            moment.update(leaf)

    def _checked(self, at: int, y: Any) -> np.ndarray:
        """Targets as the output, for the loss if it is known; and what other losses would have against them."""
        who = _checks.speaker()
        with _checks.speaking_as(who if self.outputs.count == 1 else f"{who}, {self.outputs.names[at]}", anew=True):
            if self.kinds[at] is not None:
                return targets_of(y, self._sizes[at], self.kinds[at])
            for kind in LOSSES:
                try:
                    targets_of(y, self._sizes[at], kind)
                except ValueError as error:
                    self.unfit[at].setdefault(kind, str(error))
            return targets_of(y, self._sizes[at], "squared_error")


def _size(name: str, leaf: Any) -> int:
    shape = getattr(leaf, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        one = "the model must have one output (batch, outputs), or several such"
        raise _checks.problem(f"{one}. Received: {name} of {type(leaf).__name__} and shape {shape}.")
    return int(shape[1])


def _warn_of_probabilities(name: str, kind: str | None, values: np.ndarray) -> None:
    if kind in CROSS_ENTROPIES and values.size and are_probabilities(values):
        warnings.warn(
            f"{_checks.speaker()}: loss={kind!r} needs logits. Received: {name} with values >= 0 that sum to 1, as "
            "probabilities do. If they come of a softmax, leave it out.",
            UserWarning,
            stacklevel=6,
        )


def require_fit(kinds: Sequence[str], unfit: Sequence[dict[str, str]]) -> None:
    """Refuses losses that the targets do not fit, which `adapt` saw before they were known.

    Raises:
        ValueError: as `adapt` would have.
    """
    for kind, reasons in zip(kinds, unfit, strict=False):
        if kind in reasons:
            raise _checks.unadorned(ValueError(reasons[kind]))
