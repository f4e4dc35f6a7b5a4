"""theta for each input and output: exact, or as it was measured."""

import functools
import math
import warnings
from typing import Any

import keras
import tensorflow as tf

from kmix_tf._ops import ops
from kmix_tf._paths import is_selected, leaf_paths
from kmix_tf.models.rescaled.means import TrainingMeans
from kmix_tf.models.rescaled.outputs import output_names
from kmix_tf.models.rescaled.regressing import passes_of, regressed
from kmix_tf.models.rescaled.signature import FeatureSignature
from kmix_tf.models.rescaled.slopes import MeasuredTheta
from kmix_tf.models.rescaled.training import Training

MEASURED = "measured"
# Below, dividing by theta would make noise of answers.
_LEAST = 0.05
_ERRORS = 4


class Measures:
    """The part of `RescaledModel` that measures theta, and says which theta counts for which leaf."""

    theta_bar: float
    _theta_of: "ThetaOf"
    _signature: FeatureSignature | None
    _outputs: FeatureSignature
    _require_adapted: Any
    add_weight: Any

    @property
    def theta(self) -> Any:
        """None: exact. Else `MeasuredTheta`, or "measured" before `adapt`."""
        if not self._theta_of.is_measured:
            return None
        return MEASURED if self._theta_of.measured is None else self._theta_of.measured

    @property
    def theta_x(self) -> Any:
        """How far each feature is shrunk: floats of the features' structure, None for those left as they are."""
        signature = self._require_adapted()
        return tf.nest.pack_sequence_as(signature.structure, self._leaves("x", self._kept(signature)))

    @property
    def theta_y(self) -> Any:
        """By what each answer is divided: floats of the structure of the outputs."""
        self._require_adapted()
        leaves = self._leaves("y", [False] * len(self._outputs.shapes()))
        return tf.nest.pack_sequence_as(self._outputs.structure, leaves)

    def _leaves(self, name: str, are_kept: list[bool]) -> list[float | None]:
        if self._theta_of.measured is not None:
            return list(getattr(self._theta_of.measured, name))
        return [None if is_kept else self.theta_bar for is_kept in are_kept]

    def _kept(self, signature: FeatureSignature) -> list[bool]:
        return [is_selected(self._names_left(), path) for path, _ in leaf_paths(signature.structure)]

    def _names_left(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def _may_shrink(self) -> bool:
        return self._theta_of.is_measured or self.theta_bar < 1

    def _thetas(self, name: str, count: int) -> list[Any]:
        """theta of each leaf that is shrunk or stretched: numbers, or weights of the model."""
        return (
            list(getattr(self, f"theta_{name}_weights")) if self._theta_of.is_measured else [self.theta_bar] * count
        )

    def _make_thetas(self) -> None:
        """Makes weights, so that what was traced before `adapt` is called again goes by what was learnt then."""
        if not self._theta_of.is_measured:
            return
        counts = {"x": sum(not is_kept for is_kept in self._kept(self._require_adapted()))}
        counts["y"] = len(self._outputs.shapes())
        for name, count in counts.items():
            make = functools.partial(self.add_weight, shape=(), dtype="float32", initializer="ones", trainable=False)
            setattr(self, f"theta_{name}_weights", [make(name=f"theta_{name}_{i}") for i in range(count)])
        self._assign_thetas()

    def _assign_thetas(self) -> None:
        if self._theta_of.measured is None:
            return
        for name in ("x", "y"):
            values = [value for value in getattr(self._theta_of.measured, name) if value is not None]
            for weight, value in zip(getattr(self, f"theta_{name}_weights"), values, strict=True):
                weight.assign(value)

    def _require_theta(self, data: TrainingMeans) -> None:
        """Refuses means without theta where nothing is known of it, and targets that do not follow the nearer end.

        Warns:
            UserWarning: for targets that are not shrunk.
        """
        if not self._theta_of.is_measured:
            return
        if data.slopes is not None:
            names = list(output_names(data.outputs.structure))
            _require_following(data.slopes.measured, names)
            _tell_of_unmoved([slope.is_unmoved for slope in data.slopes.targets], names)
        elif self._theta_of.measured is None:
            raise ValueError(
                "RescaledModel: adapt needs means that come with theta, of the measure() of a model with "
                "theta='measured'. Received: TrainingMeans without."
            )

    def _learn_theta(self, data: TrainingMeans) -> None:
        """Takes theta of what was measured; what was loaded stays where nothing was."""
        if self._theta_of.is_measured and data.slopes is not None:
            self._theta_of.measured = data.slopes.measured
            self._assign_thetas()

    def _with_slopes(self, means: TrainingMeans, seen: Any, data: Any, parts: Any, batch_size: int) -> TrainingMeans:
        """The means, with slopes where theta is to be measured."""
        if self._theta_of.training is not None:
            means.slopes = regressed(passes_of(data, parts, batch_size), means, seen, self._theta_of.training)
        return means

    def _theta_config(self, alpha: Any) -> dict[str, Any]:
        """What `get_config` says of alpha and theta: a layer only as long as it has not been measured."""
        theta, training = self._theta_of.measured, self._theta_of.training
        if theta is None and training is not None:
            return {"alpha": keras.saving.serialize_keras_object(training.source), "theta": MEASURED}
        is_known = not math.isnan(self.theta_bar)
        return {"alpha": alpha if is_known else None, "theta": None if theta is None else theta._asdict()}


class ThetaOf:
    """Where theta comes from. A class of its own: Keras would take the layer for one of the model's.

    training: the mix to measure, or None. measured: what was, or None: the exact theta counts if there is no training
    either.
    """

    def __init__(self, training: Training | None, measured: MeasuredTheta | None):
        self.training, self.measured = training, measured
        self.is_measured = training is not None or measured is not None


def _require_following(theta: MeasuredTheta, names: list[str]) -> None:
    for value, error, name in zip(theta.y, theta.y_error, names, strict=True):
        if not value > max(_LEAST, _ERRORS * error):
            raise ValueError(
                f"RescaledModel: theta='measured' needs targets of mixtures that follow those of their nearer ends. "
                f"Received: {name}, of which they do by a slope of {value:.3g} (standard error {error:.2g}); eq. "
                "(22) would divide by it. Leave theta out, or predict without rescaling."
            )


def _tell_of_unmoved(are_unmoved: list[bool], names: list[str]) -> None:
    unmoved = [name for name, is_unmoved in zip(names, are_unmoved, strict=True) if is_unmoved]
    if unmoved:
        warnings.warn(
            f"RescaledModel: {', '.join(unmoved)} is not stretched, for mixtures have the targets of their nearer "
            "ends, as those of one class do: theta_y is 1.",
            UserWarning,
            stacklevel=4,
        )


def as_measured(theta: Any) -> Any:
    """What a configuration says of theta; JSON makes lists of tuples."""
    if not isinstance(theta, dict):
        return theta
    slopes = {name: tuple(theta[name]) for name in ("x", "y", "x_error", "y_error")}
    return MeasuredTheta(**slopes, mixtures=theta["mixtures"])


def as_tensor_of(theta: Any, dtype: Any) -> Any:
    """theta, of a weight in this dtype."""
    return theta if isinstance(theta, float) else ops.cast(theta, dtype)
