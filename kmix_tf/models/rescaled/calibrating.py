"""Answers whose confidences are true of held-out data: `calibrate`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import same_structure
from kmix_tf.models.calibrating.comparing import PLAIN, SHRUNK
from kmix_tf.models.calibrating.fits import METHODS, fit
from kmix_tf.models.calibrating.held_out import require_held_out, warn_if_seen, warn_of_doubts
from kmix_tf.models.calibrating.links import from_logits, to_logits
from kmix_tf.models.calibrating.maps import AnswerMap, Temperature, map_of
from kmix_tf.models.rescaled.outputs import Heads, output_names
from kmix_tf.models.rescaled.signature import FeatureSignature

THETA = "theta"
# What is not fitted.
_KNOWN = (None, THETA)


class Calibrates:
    """The part of `RescaledModel` that calibrates."""

    target_means: list[Any]
    _stretches: Any
    _outputs: FeatureSignature
    _heads: Heads
    _answers: Any
    _dataset: Any
    _require_adapted: Any
    _shrinks: bool
    _calibration: "Fitted | None"

    @property
    def calibration(self) -> Any:
        """What `calibrate` has set: a map, such as `Temperature(0.62)`, or a structure of them like the outputs."""
        if self._calibration is None:
            return None
        return tf.nest.pack_sequence_as(self._outputs.structure, list(self._calibration.maps))

    @_checks.speaks
    def calibrate(
        self,
        held_out: Any = None,
        y: Any = None,
        method: Any = "temperature",
        shrink: bool = False,
        batch_size: int = 256,
        sample_weight: Any = None,
    ) -> Any:
        """Makes confidences true: fits a map of the answers by their loss on held-out data, and predicts through it.

        Saved in `.keras` files and part of exports; files of weights alone do not have it. Calling it again, or
        `adapt`, replaces or removes it.

        Args:
            held_out: a dataset of batches `(x, y)` or `(x, y, sample_weight)`, or x, with y beside it: samples that
                the model was not trained on, unmixed, with labels as right as can be had. 200 are enough for a
                temperature. Left out for method "theta" and None.
            y, batch_size, sample_weight: as for `adapt`.
            method: one for all outputs, or a structure of them like the outputs.
                "temperature" (default): logits are divided by one number; for regression, distances from the mean of
                the targets. The largest answer stays the largest, so classes do not change.
                "vector": each unit has a factor and a bias; of a single unit, that is Platt scaling. Classes may
                change. It needs some hundred samples of each class.
                "isotonic": for binary labels (a single unit, or several labels), any function that does not fall.
                Labels may change. It needs a thousand samples or so.
                "theta": a temperature of theta_bar, as eq. (22) has it, without held-out data.
                None: none.
            shrink: whether eq. (22) comes first: the model is asked shrunk inputs, and its answers are stretched.
                Default False: the model is asked the inputs as they are. `evaluate_both` tells which is better.

        Returns:
            The map, or a structure of maps like the outputs: `Temperature(temperature=0.62, error=0.05)`, with the
            standard error of its logarithm; `Vector(scale, bias)`; `Isotonic(x, y)`; None. For regression they have
            `variance`, the mean squared residual of each unit.

        Raises:
            ValueError: before `adapt`; for data that `adapt` would refuse, of one sample, of one class; of too few
                classes for "vector"; for a temperature at the bounds, 0.02 and 50; for a method that an output cannot
                have.

        Warns:
            UserWarning: for classes without a held-out sample; for samples that were given to `adapt`, which is
                training data; for labels that are wrong where the model is surest, as noisy ones are: confidences are
                then those of noisy labels.

        Source: Guo et al. 2017 (temperature, vector); Zadrozny and Elkan 2002 (isotonic); On Mixup Regularization,
        eq. (22), which is temperature scaling with theta for balanced classes, but for the shrunk input.

        Example:
            >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype("f4")
            >>> y = (x[:, 0] + np.random.default_rng(1).normal(size=200) > 0).astype(int)
            >>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
            >>> model.set_weights([np.array([[-0.2, 0.2], [0.0, 0.0]]), np.zeros(2)])
            >>> rescaled = RescaledModel(model, alpha=1.0)
            >>> rescaled.adapt(x[:100], y[:100])
            >>> rescaled.calibrate(x[100:], y[100:]).temperature < 1  # it was too modest
            True
        """
        self._require_adapted()
        methods = self._methods(method)
        if _checks.flag("shrink", shrink) and THETA in methods:
            _checks.refuse("shrink", "False where method='theta', for eq. (22) divides by theta, too", shrink)
        names = list(output_names(self._outputs.structure))
        if set(methods) <= set(_KNOWN):
            if held_out is not None:
                _checks.refuse("held_out", f"left out where method={method!r}, for which nothing is fitted", held_out)
            maps: list[AnswerMap | None] = [
                theta if each else None for each, theta in zip(methods, self._by_theta(), strict=True)
            ]
        else:
            if held_out is None:
                _checks.refuse("held_out", f"a dataset or an array where method={method!r}", held_out, TypeError)
            maps = self._fitted(self._dataset(held_out, y, batch_size, sample_weight), names, methods, shrink)
        self._set_calibration(Fitted(maps, shrink))
        return self.calibration

    def _methods(self, method: Any) -> list[str | None]:
        """That of each output."""
        structure = self._outputs.structure
        if not tf.nest.is_nested(method):
            method = tf.nest.map_structure(lambda _: method, structure)
        if not same_structure(method, structure):
            _checks.refuse("method", "one method, or a structure of them like the outputs", method)
        for each in tf.nest.flatten(method):
            if each not in _KNOWN:
                _checks.choice("method", each, (*METHODS, THETA))
        return tf.nest.flatten(method)

    def _fitted(
        self, data: Any, names: list[str], methods: Sequence[str | None], shrink: bool
    ) -> list[AnswerMap | None]:
        collected, share = self._answers("calibrate", data)
        warn_if_seen(share)
        maps: list[AnswerMap | None] = []
        for name, method, rows, theta in zip(names, methods, collected, self._by_theta(), strict=True):
            if method in _KNOWN:
                maps.append(theta if method else None)
                continue
            require_held_out(rows, name, method)
            warn_of_doubts(rows, rows.sets[PLAIN], name)
            try:
                maps.append(fit(str(method), rows, rows.sets[SHRUNK if shrink else PLAIN]))
            except ValueError as error:
                raise error if len(names) == 1 else _checks.unadorned(ValueError(f"{error} ({name})")) from None
        return maps

    def _by_theta(self) -> list[Temperature]:
        return [Temperature(theta) for theta in self._stretches()]

    def _mapped(self, answer: Any) -> list[Any]:
        """The leaves of an answer, calibrated."""
        leaves = tf.nest.flatten(answer)
        if self._calibration is None:
            return leaves
        kinds = self._heads.of(answer)
        each = zip(leaves, kinds, self.target_means, self._calibration.maps, strict=True)
        return [
            leaf if to_map is None else from_logits(to_map(to_logits(leaf, kind, mean)), kind, mean)
            for leaf, kind, mean, to_map in each
        ]

    def _set_calibration(self, fitted: "Fitted | None") -> None:
        self._calibration = fitted
        self._shrinks = True if fitted is None else fitted.shrinks
        # Keras keeps functions that were traced with what was before.
        self.predict_function = self.test_function = self.train_function = None


class Fitted:
    """What `calibrate` found. A class of its own, because Keras 2 wraps the lists that are set on a model.

    maps: of each output, or None. shrinks: whether eq. (22) comes first.
    """

    def __init__(self, maps: Sequence[AnswerMap | None], shrinks: bool):
        self.maps, self.shrinks = tuple(maps), shrinks

    def get_config(self) -> dict[str, Any]:
        return {"maps": [each and each.get_config() for each in self.maps], "shrinks": self.shrinks}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Fitted":
        return cls([each and map_of(each) for each in config["maps"]], config["shrinks"])
