"""Maps that make confidences true: what is fitted on held-out data, applied and saved."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from kmix_tf._ops import Tensor, ops
from kmix_tf.models.calibrating.links import LEAST


class AnswerMap:
    """A map of logits `(batch, ..., units)`, or for regression of distances from the mean of the targets.

    Attributes:
        variance: for regression, the mean squared residual of each unit on the data fitted on, a list of floats;
            otherwise None. With it, predictions are means of normal distributions.
    """

    method: ClassVar[str]
    variance: list[float] | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        raise NotImplementedError

    def numbers(self) -> dict[str, Any]:
        """What the constructor takes, as JSON has it."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {"method": self.method, "numbers": self.numbers(), "variance": self.variance}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in self.numbers().items())
        return f"{type(self).__name__}({shown})"


class Temperature(AnswerMap):
    """Divides by one number, > 0: below 1, confidences grow. The largest answer stays the largest.

    error: the standard error of the temperature's logarithm on the data it was fitted on, or None.

    Source: Guo et al. 2017, temperature scaling.

    Example:
        >>> from kmix_tf.models.calibrating import Temperature
        >>> Temperature(0.5)(tf.constant([[1.0, 0.0]])).numpy().tolist()
        [[2.0, 0.0]]
    """

    method = "temperature"

    def __init__(self, temperature: float, error: float | None = None):
        self.temperature, self.error = float(temperature), error

    def __call__(self, logits: Tensor) -> Tensor:
        return logits / ops.cast(self.temperature, logits.dtype)

    def numbers(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "error": self.error}


class Vector(AnswerMap):
    """Multiplies each unit by a scale and adds a bias; of a single unit, that is Platt scaling. Classes may change.

    scale, bias: a float for each unit.

    Source: Guo et al. 2017, vector scaling; Platt 1999.

    Example:
        >>> from kmix_tf.models.calibrating import Vector
        >>> Vector([1.0, 2.0], [0.0, 1.0])(tf.constant([[1.0, 1.0]])).numpy().tolist()
        [[1.0, 3.0]]
    """

    method = "vector"

    def __init__(self, scale: Sequence[float], bias: Sequence[float]):
        self.scale, self.bias = ([float(each) for each in values] for values in (scale, bias))

    def __call__(self, logits: Tensor) -> Tensor:
        scale, bias = (ops.cast(np.asarray(values), logits.dtype) for values in (self.scale, self.bias))
        return logits * scale + bias

    def numbers(self) -> dict[str, Any]:
        return {"scale": self.scale, "bias": self.bias}


class Isotonic(AnswerMap):
    """Gives each probability that of the held-out labels near it, by a function that never falls, for binary labels.

    x, y: for each unit, the corners of that function: lists of probabilities, x rising. Between corners it is
    straight, beyond them level. As it may be level, other samples may be on the side of 1/2 than before.

    Source: Zadrozny and Elkan 2002.

    Example:
        >>> from kmix_tf.models.calibrating import Isotonic
        >>> tf.sigmoid(Isotonic([[0.2, 0.6]], [[0.1, 0.9]])(tf.zeros([1, 1]))).numpy().round(3).tolist()
        [[0.7]]
    """

    method = "isotonic"

    def __init__(self, x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]):
        self.x, self.y = ([[float(each) for each in unit] for unit in units] for units in (x, y))

    def __call__(self, logits: Tensor) -> Tensor:
        start, width, slope, least = (ops.cast(each, logits.dtype) for each in self._pieces())
        probability = ops.sigmoid(logits)
        # A sum of pieces, each straight where it is and level elsewhere: no search, so every format can serve it.
        rises = ops.minimum(ops.maximum(probability[..., np.newaxis] - start, 0.0), width) * slope
        mapped = ops.clip(least + ops.sum(rises, axis=-1), LEAST, 1 - LEAST)
        return ops.log(mapped) - ops.log(1 - mapped)

    def numbers(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y}

    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Starts, widths and slopes `(units, pieces)`, slope 0 where there are fewer; first levels `(units,)`."""
        count = max([1, *(len(unit) - 1 for unit in self.x)])
        start, width, slope = np.zeros((3, len(self.x), count))
        width += 1.0
        for row, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            pieces = len(x) - 1
            start[row, :pieces], width[row, :pieces] = x[:-1], np.diff(x)
            slope[row, :pieces] = np.diff(y) / np.diff(x)
        return start, width, slope, np.array([unit[0] for unit in self.y])


MAPS: dict[str, type[Any]] = {each.method: each for each in (Temperature, Vector, Isotonic)}


def map_of(config: dict[str, Any]) -> AnswerMap:
    """The map that `get_config` described."""
    made: AnswerMap = MAPS[config["method"]](**config["numbers"])
    made.variance = config["variance"]
    return made


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} units" if value and isinstance(value[0], list) else f"[{_listed(value)}]"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _listed(values: list[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in values[:4]) + (", ..." if len(values) > 4 else "")
