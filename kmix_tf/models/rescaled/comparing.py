"""Whether rescaling helps: the wrapped model and its rescaled predictions, scored on the same data."""

from typing import Any, cast

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._ops import ops
from kmix_tf.layers.adaptation import with_progress
from kmix_tf.models.rescaled.inputs import present_outputs
from kmix_tf.models.rescaled.outputs import Heads
from kmix_tf.models.rescaled.places import present_at, weights_at
from kmix_tf.models.rescaled.rows import batches, like_outputs, require_weights, sample_count
from kmix_tf.models.rescaled.scores import Comparison, ScoreSums
from kmix_tf.models.rescaled.signature import FeatureSignature


class Compares:
    """The part of `RescaledModel` that compares: `evaluate_both`."""

    masks: tuple[str, ...]
    _outputs: FeatureSignature
    _heads: Heads
    _dataset: Any
    _ask: Any
    _require_adapted: Any
    _require_like_adapted: Any

    @property
    def _untouched(self) -> tuple[str, ...]:
        raise NotImplementedError

    @_checks.speaks
    def evaluate_both(
        self, data: Any, y: Any = None, batch_size: int = 256, sample_weight: Any = None, bins: int = 10
    ) -> Any:
        """Scores the wrapped model and its rescaled predictions on the same data, in one pass: does it help?

        Args:
            data, y, batch_size, sample_weight: as for `adapt`, of data held out.
            bins: of the calibration error, an integer >= 1.

        Returns:
            `Comparison(plain, rescaled)`, each `Scores(error, loss, calibration_error)`; for several outputs, a
            structure of comparisons like the outputs.

        Raises:
            ValueError: before `adapt`, or for data that `adapt` would refuse.

        Source: On Mixup Regularization, Figure 4.

        Example:
            >>> x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
            >>> rescaled = RescaledModel(keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]), 1.0)
            >>> rescaled.adapt(x, y)
            >>> comparison = rescaled.evaluate_both(x, y)
            >>> comparison._fields, comparison.rescaled._fields
            (('plain', 'rescaled'), ('error', 'loss', 'calibration_error'))
        """
        self._require_adapted()
        bins = _checks.integer("bins", bins, minimum=1)
        kinds = self._heads.of(self._outputs.structure)
        sums = [[ScoreSums(kind, bins) for kind in kinds] for _ in Comparison._fields]
        total = 0.0
        data = batches("evaluate_both", self._dataset(data, y, batch_size, sample_weight), self._untouched)
        both = ops.traced(self._both)
        for number, (x, target, *weights) in enumerate(with_progress(data, "RescaledModel: scores")):
            size = sample_count(x)
            *answers, masks = both(x)
            weight = require_weights(number, size, weights, answers[0])
            total += weight.sum()
            targets = list(like_outputs(number, target, answers[0], kinds, size))
            for heads, answer in zip(sums, answers, strict=True):
                for head, true, leaf, there in zip(heads, targets, tf.nest.flatten(answer), masks, strict=True):
                    places = weights_at(weight, leaf.shape[:-1], [True] * (len(leaf.shape) - 1))
                    head.update(
                        true, ops.to_numpy(leaf), present_at(places, None if there is None else ops.to_numpy(there))
                    )
        if not total:
            raise ValueError("RescaledModel: evaluate_both needs at least one sample. Received: none with a weight.")
        comparisons = [Comparison(*(head.result() for head in pair)) for pair in zip(*sums, strict=True)]
        return tf.nest.pack_sequence_as(self._outputs.structure, comparisons)

    def _both(self, x: Any) -> tuple[Any, Any, list[Any]]:
        self._require_like_adapted(x)
        plain, rescaled = self._ask(x), cast("Any", self)
        present = present_outputs(x, self._require_adapted().shapes(), self.masks, plain)
        return tf.nest.map_structure(ops.at_least_float32, plain), rescaled(x, training=False), present
