"""Whether features and answers are what a rescaled model takes them for."""

import warnings
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._ops import dims, may_be, ops
from kmix_tf._paths import is_selected, leaf_name, leaf_paths, require_used, same_structure
from kmix_tf.batch.categories import Once, warn_of_integers
from kmix_tf.batch.leaf import FEATURES, KEPT, MIXED, Leaf
from kmix_tf.models.lookups import input_specs, not_selected, require_no_lookups, specs_of
from kmix_tf.models.rescaled.endings import doubt, endings, require_fitting
from kmix_tf.models.rescaled.floating import in_floats
from kmix_tf.models.rescaled.outputs import Heads, output_names
from kmix_tf.models.rescaled.signature import FeatureSignature

_NOT_MIXED = "If they were not mixed in training, name them in passthrough=; if they were, train without mixing them."


class Looks:
    """The part of `RescaledModel` that refuses what it cannot read."""

    model: Any
    _asked: Any
    _ask: Any
    _heads: Heads
    _names_given: dict[str, bool]
    _signature: FeatureSignature | None
    _first_integers: Once

    @property
    def _untouched(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def _may_shrink(self) -> bool:
        raise NotImplementedError

    def _look(self, x: Any) -> tuple[Any, list[str]]:
        """What the model answers to a first batch, and of what kinds; refused where it is not what `output` says."""
        for argument in [name for name, is_given in self._names_given.items() if is_given]:
            require_used(argument, getattr(self, argument), x)
        if self._may_shrink:
            self._look_for_categories(x)
        answer = self._ask(x)
        kinds, names = self._heads.of(answer), list(output_names(answer))
        ends = endings(self.model)
        if len(ends) == len(kinds):
            require_fitting(ends, kinds, names)
        for leaf, kind, name in zip(tf.nest.flatten(answer), kinds, names, strict=True):
            if len(leaf.shape) < 2:
                raise _checks.problem(f"outputs must be (batch, ...). Received: {name} of shape {dims(leaf)}.")
            found = doubt(ops.to_numpy(ops.at_least_float32(leaf)), kind)
            message = f"{name} must say what the model returns. Received: {name}={kind!r}, but {found}."
            if found is not None and "logits" in kind:
                warnings.warn(f"{_checks.speaker()}: {message} Is it 'probabilities'?", UserWarning, stacklevel=5)
            elif found is not None:
                raise _checks.problem(
                    f"{message} Set 'logits', 'regression', or for sigmoids 'multilabel_probabilities'."
                )
        return answer, kinds

    def _look_for_categories(self, x: Any) -> None:
        """Refuses features of a subclassed model that it looks up, and warns of other integers."""
        if input_specs(self.model) is None:
            self._require_no_lookups(specs_of(x, not_selected(self._untouched, x)))
        leaves = [
            Leaf(
                FEATURES, path, KEPT if is_selected(self._untouched, path) else MIXED, leaf_name(FEATURES, path), leaf
            )
            for path, leaf in leaf_paths(x)
        ]
        warn_of_integers(self._first_integers, leaves, None, "name them in passthrough=, if they were not mixed.")

    def _require_no_lookups(self, specs: Any) -> None:
        averaged = [self._may_shrink and use for use in not_selected(self._untouched, specs)]
        require_no_lookups(self.model, specs, averaged, "shrunk towards their mean", _NOT_MIXED)
        if input_specs(self.model) is not None:
            self._asked = in_floats(self.model, specs, averaged)

    def _require_adapted(self) -> FeatureSignature:
        """What features look like."""
        if self._signature is None:
            raise ValueError(
                "RescaledModel: adapt(dataset) must come first, to learn the means of the training data. "
                "Received: a model without means."
            )
        return self._signature

    def _require_like_adapted(self, x: Any) -> None:
        """Refuses features that would be broadcast against the means, or matched with others' means."""
        expected = self._require_adapted()
        is_alike = same_structure(x, expected.structure)
        if is_alike:
            shapes = zip(tf.nest.flatten(x), expected.shapes(), strict=True)
            is_alike = all(may_be(dims(leaf), (None, *shape)) for leaf, shape in shapes)
        if not is_alike:
            got = {leaf_name("x", path): tuple(leaf.shape) for path, leaf in leaf_paths(x)}
            raise ValueError(
                "RescaledModel: features must have the structure and shapes of those given to adapt, "
                f"{expected.structure}, with a batch axis before. Received: shapes {got}."
            )
