"""Which way to read a model's answers is best on held-out data: `evaluate_both`, and the answers it is made of."""

from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._ops import ops
from kmix_tf.layers.adaptation import with_progress
from kmix_tf.models.calibrating.comparing import PLAIN, SHRUNK, compared
from kmix_tf.models.calibrating.held_out import warn_if_seen, warn_of_doubts
from kmix_tf.models.calibrating.links import to_logits
from kmix_tf.models.calibrating.rows import Rows
from kmix_tf.models.calibrating.seen import Seen, hashes_of
from kmix_tf.models.rescaled.inputs import present_outputs
from kmix_tf.models.rescaled.outputs import Heads, output_names
from kmix_tf.models.rescaled.places import present_at, weights_at
from kmix_tf.models.rescaled.rows import batches, like_outputs, require_weights, sample_count
from kmix_tf.models.rescaled.signature import FeatureSignature


class Traced:
    """What gives both answers to a batch, traced once. A class of its own: Keras would track a function."""

    def __init__(self) -> None:
        self._function: Any = None

    def by(self, function: Any) -> Any:
        self._function = self._function or ops.traced(function)
        return self._function


class Compares:
    """The part of `RescaledModel` that compares: `evaluate_both`."""

    masks: tuple[str, ...]
    target_means: list[Any]
    _outputs: FeatureSignature
    _heads: Heads
    _seen: Seen | None
    _both_answers: Traced
    _thetas: Any
    _dataset: Any
    _ask: Any
    _read: Any
    _require_adapted: Any
    _require_like_adapted: Any

    @property
    def _untouched(self) -> tuple[str, ...]:
        raise NotImplementedError

    @_checks.speaks
    def evaluate_both(
        self, data: Any, y: Any = None, batch_size: int = 256, sample_weight: Any = None, bins: int = 10
    ) -> Any:
        """Scores five ways to read the wrapped model's answers on the same data, in one pass: which is to be taken?

        They are: the model as it is; eq. (22); theta as a temperature; one temperature fitted on data held out; eq.
        (22) and a fitted temperature. What is fitted is scored on other samples than it was fitted on. Whatever
        `calibrate` has set does not count here.

        Args:
            data, y, batch_size, sample_weight: as for `adapt`, of data held out, of which the model has seen nothing.
                Up to 67 million numbers of answers are kept; of maps with more, a random part of the places counts.
            bins: of the calibration error, an integer >= 1.

        Returns:
            `Comparison`, which is a table when printed, with a recommendation; `kmix_tf.plot.plot_comparison` draws
            it. For several outputs, a structure of comparisons like the outputs.

        Raises:
            ValueError: before `adapt`, or for data that `adapt` would refuse.

        Warns:
            UserWarning: if samples are those given to `adapt`; if labels look wrong, see `calibrate`.

        Source: On Mixup Regularization, Figure 4; Guo et al. 2017, for the temperature.

        Example:
            >>> x, y = np.random.default_rng(0).normal(size=(80, 3)).astype("f4"), np.arange(80) % 2
            >>> rescaled = RescaledModel(keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]), 1.0)
            >>> rescaled.adapt(x[:40], y[:40])
            >>> comparison = rescaled.evaluate_both(x[40:], y[40:])
            >>> list(comparison.scores()), comparison.rescaled._fields[:3]
            (['plain', 'theta', 'rescaled', 'temperature', 'both'], ('error', 'loss', 'calibration_error'))
        """
        bins = _checks.integer("bins", bins, minimum=1)
        collected, share = self._answers("evaluate_both", self._dataset(data, y, batch_size, sample_weight))
        warn_if_seen(share)
        for name, rows in zip(output_names(self._outputs.structure), collected, strict=True):
            warn_of_doubts(rows, rows.sets[PLAIN], name)
        comparisons = [compared(*pair, bins) for pair in zip(collected, self._stretches(), strict=True)]
        return tf.nest.pack_sequence_as(self._outputs.structure, comparisons)

    def _answers(self, task: str, data: Any) -> tuple[list[Rows], float | None]:
        """For each output, the wrapped model's answers and those of eq. (22); and the share of samples known already.

        Raises:
            ValueError: before `adapt`, or for data that `adapt` would refuse.
        """
        self._require_adapted()
        kinds = self._heads.of(self._outputs.structure)
        collected = [Rows(kind, shape[-1]) for kind, shape in zip(kinds, self._outputs.shapes(), strict=True)]
        hashes, count = [np.zeros(0, np.uint64)], 0
        both = self._both_answers.by(self._both)
        data = batches(task, data, self._untouched)
        for number, (x, target, *weights) in enumerate(with_progress(data, "RescaledModel: answers")):
            size = sample_count(x)
            plain, shrunk, masks = both(x)
            plain_answer = tf.nest.pack_sequence_as(self._outputs.structure, plain)
            weight = require_weights(number, size, weights, plain_answer)
            targets = list(like_outputs(number, target, plain_answer, kinds, size))
            for place, rows in enumerate(collected):
                there = None if masks[place] is None else ops.to_numpy(masks[place])
                sets = {PLAIN: ops.to_numpy(plain[place]), SHRUNK: ops.to_numpy(shrunk[place])}
                true = targets[place]
                if kinds[place] == "regression":
                    true = true - ops.to_numpy(self.target_means[place])
                of_places = weights_at(weight, true.shape[:-1], [True] * (true.ndim - 1))
                rows.add(sets, true, present_at(of_places, there), count)
            hashes.append(hashes_of(x))
            count += size
        if not any(rows.count for rows in collected):
            raise _checks.problem(f"{task} needs at least one sample. Received: none with a weight.")
        share = None if self._seen is None else self._seen.share_of(np.concatenate(hashes))
        return [rows.complete() for rows in collected], share

    def _stretches(self) -> list[float]:
        """theta, by which the answers of each output are divided."""
        return [float(ops.to_numpy(theta)) for theta in self._thetas("y", len(self.target_means))]

    def _both(self, x: Any) -> tuple[list[Any], list[Any], list[Any]]:
        self._require_like_adapted(x)
        plain = self._ask(x)
        present = present_outputs(x, self._require_adapted().shapes(), self.masks, plain)
        return self._logits(plain), self._logits(self._read(x, False, True)), present

    def _logits(self, answer: Any) -> list[Any]:
        kinds = self._heads.of(answer)
        leaves = zip(tf.nest.flatten(answer), kinds, self.target_means, strict=True)
        return [to_logits(leaf, kind, mean) for leaf, kind, mean in leaves]
