"""Maps fitted to held-out answers by the least loss: SciPy's solvers over sums of blocks."""

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_expit, log_softmax, softmax

from kmix_tf import _checks
from kmix_tf.models.calibrating.isotonic import fit_isotonic
from kmix_tf.models.calibrating.links import BINARY, CLASSES, REGRESSION
from kmix_tf.models.calibrating.maps import AnswerMap, Temperature, Vector
from kmix_tf.models.calibrating.rows import Rows

# A temperature beyond these is none: the loss then falls without end, or answers say nothing.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.02, 50.0
_MOST_SCALE, _MOST_BIAS = 50.0, 30.0
# How far from a guess of its logarithm a temperature is looked for first.
_NEAR = 0.3
# Numbers in float64 that a block may hold.
_BLOCK = 2**20


def fit(method: str, rows: Rows, logits: np.ndarray, near: AnswerMap | None = None) -> AnswerMap:
    """The map of the least held-out loss.

    Args:
        method: "temperature", "vector" or "isotonic".
        rows: targets and weights, of a law. logits: `(n, units)`, the answers to map.
        near: a map that may be near, to begin with; the result is the same without it.

    Raises:
        ValueError: if these data have no such map, saying why.
    """
    fitted = _FITS[method](rows, logits, near)
    if rows.law == REGRESSION:
        residuals = rows.targets - np.asarray(fitted(logits.astype(np.float64)))
        fitted.variance = [float(each) for each in rows.weights @ np.square(residuals) / rows.weights.sum()]
    return fitted


def _fit_temperature(rows: Rows, logits: np.ndarray, near: AnswerMap | None = None) -> Temperature:
    if rows.law == REGRESSION:
        return _fit_spread(rows, logits)

    def pull(log_sharpness: float) -> float:
        """The derivative of the loss by the sharpness, 1 / temperature, which only rises: losses are convex in it."""
        sharpness = math.exp(log_sharpness)
        return sum(
            float(weight @ (values * (_likely(rows.law, values * sharpness) - target)).sum(axis=1))
            for values, target, weight in _blocks(rows, logits)
        )

    low, high = -math.log(MOST_TEMPERATURE), -math.log(LEAST_TEMPERATURE)
    if isinstance(near, Temperature):
        about = -math.log(near.temperature)
        tight = max(low, about - _NEAR), min(high, about + _NEAR)
        if pull(tight[0]) < 0 < pull(tight[1]):
            return Temperature(math.exp(-brentq(pull, *tight, xtol=1e-8)))
    if pull(high) <= 0:
        raise _checks.problem(
            "a temperature needs held-out samples that the model gets wrong, or is unsure of. Received: "
            f"{len(logits)} samples whose loss falls as far as temperature {LEAST_TEMPERATURE:g}, the least allowed. "
            "Give more samples, or such as the model was not trained on; or take method='theta', which needs none."
        )
    if pull(low) >= 0:
        raise _checks.problem(
            "a temperature needs a model whose confidence says something about held-out samples. Received: "
            f"{len(logits)} samples whose loss falls as far as temperature {MOST_TEMPERATURE:g}, the most allowed. "
            "Check that labels belong to their samples, that classes are numbered as in training, and that logits "
            "are of ordinary size: of some hundred and more, divide them before."
        )
    sharpness = math.exp(brentq(pull, low, high, xtol=1e-8))
    return Temperature(1 / sharpness, _error_of(rows, logits, sharpness))


def _error_of(rows: Rows, logits: np.ndarray, sharpness: float) -> float | None:
    """The standard error of the sharpness' logarithm.

    From the curvature of the loss and what each sample contributes to its derivative: so it holds for labels that are
    noisier than confidences say, for places of one sample that go together, and whatever all weights are times.

    Source: White 1982, with places grouped by their sample.
    """
    bend, pulls = 0.0, []
    for values, target, weight in _blocks(rows, logits):
        sharp = values * sharpness
        bend += float(weight @ _variance(rows.law, sharp))
        pulls.append(weight * (sharp * (_likely(rows.law, sharp) - target)).sum(axis=1))
    of_samples = rows.sums(np.concatenate(pulls))
    count = len(of_samples)
    if count < 2 or not bend > 0:
        return None
    return float(np.sqrt(count / (count - 1) * np.square(of_samples).sum()) / bend)


def _variance(law: str, logits: np.ndarray) -> np.ndarray:
    """Of the logits under the probabilities that they give, `(n,)`; of binary units, summed."""
    likely = _likely(law, logits)
    if law == BINARY:
        return (likely * (1 - likely) * np.square(logits)).sum(axis=1)
    return (likely * np.square(logits)).sum(axis=1) - np.square((likely * logits).sum(axis=1))


def _fit_spread(rows: Rows, logits: np.ndarray) -> Temperature:
    """Of regression: the least squared error of distances from the mean times one number, 1 / temperature."""
    values = logits.astype(np.float64)
    own = float(rows.weights @ np.square(values).sum(axis=1))
    common = float(rows.weights @ (values * rows.targets).sum(axis=1))
    if not own > 0 or not LEAST_TEMPERATURE < own / max(common, 1e-300) < MOST_TEMPERATURE:
        raise _checks.problem(
            "calibration needs held-out predictions that rise with their targets, by 1/50 to 50 times as much. "
            f"Received: held-out predictions that {'are all the same' if not own > 0 else 'do not'}. Check that "
            "targets belong to their samples and are in the unit of the predictions."
        )
    return Temperature(own / common)


def _fit_vector(rows: Rows, logits: np.ndarray, _: AnswerMap | None = None) -> Vector:
    if rows.law == REGRESSION:
        return _fit_lines(rows, logits)
    units, total = logits.shape[1], rows.weights.sum()

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        scale, bias = numbers[:units], numbers[units:]
        value, slope = 0.0, np.zeros(2 * units)
        for values, target, weight in _blocks(rows, logits):
            mapped = values * scale + bias
            value += float(weight @ losses(rows.law, mapped, target).sum(axis=1))
            gap = weight[:, np.newaxis] * (_likely(rows.law, mapped) - target)
            slope += np.concatenate([(gap * values).sum(axis=0), gap.sum(axis=0)])
        return value / total, slope / total

    bounds = [(0.0, _MOST_SCALE)] * units + [(-_MOST_BIAS, _MOST_BIAS)] * units
    start = np.concatenate([np.ones(units), np.zeros(units)])
    options = {"maxiter": 300, "gtol": 1e-7, "ftol": 1e-12, "maxcor": 20}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    scale, bias = found.x[:units], found.x[units:]
    if rows.law == CLASSES:
        bias = bias - bias.mean()  # Adding the same to all of them changes nothing.
    is_apart = _separates(rows, logits * scale.astype(np.float32) + bias.astype(np.float32))
    if is_apart or (scale >= _MOST_SCALE).any() or (np.abs(bias) >= _MOST_BIAS).any():
        raise _checks.problem(
            "method='vector' needs held-out samples of each class that the model is unsure of. Received: "
            f"{len(logits)} samples whose loss falls without end for some class. Give more, or take "
            "method='temperature', which has one number."
        )
    if found.nit >= options["maxiter"]:
        _warn_of_steps(units)
    return Vector(scale, bias)


def _warn_of_steps(units: int) -> None:
    warnings.warn(
        f"{_checks.speaker()}: the factors and biases of {units} units are not yet the best ones after 300 steps. "
        "They may be more than these held-out samples can tell; method='temperature' has one number.",
        UserWarning,
        stacklevel=5,
    )


def _separates(rows: Rows, logits: np.ndarray) -> bool:
    """Whether mapped logits make no mistake, in a unit or in all classes: the steeper they are, the better then."""
    if rows.law == BINARY:
        return bool(((logits > 0) == (rows.targets > 0.5)).all(axis=0).any())
    return bool((logits.argmax(axis=1) == rows.targets.argmax(axis=1)).all())


def _fit_lines(rows: Rows, logits: np.ndarray) -> Vector:
    """Of regression: a line of least squares for each unit."""
    values, share = logits.astype(np.float64), rows.weights / rows.weights.sum()
    centre, target_centre = share @ values, share @ rows.targets
    spread = share @ np.square(values - centre)
    if not (spread > 0).all():
        raise _checks.problem(
            "method='vector' needs held-out predictions that differ. Received: "
            f"{int((spread <= 0).sum())} of {len(spread)} outputs without any spread."
        )
    scale = share @ ((values - centre) * (rows.targets - target_centre)) / spread
    return Vector(scale, target_centre - scale * centre)


def losses(law: str, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Cross-entropies `(n, 1)`, those of binary units `(n, units)`, or squared errors, `(n, 1)`, their mean."""
    if law == BINARY:
        return -(targets * log_expit(logits) + (1 - targets) * log_expit(-logits))
    if law == CLASSES:
        return -(targets * log_softmax(logits, axis=1)).sum(axis=1, keepdims=True)
    return np.square(targets - logits).mean(axis=1, keepdims=True)


def _likely(law: str, logits: np.ndarray) -> np.ndarray:
    return expit(logits) if law == BINARY else softmax(logits, axis=1)


def _blocks(rows: Rows, logits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Logits and targets in float64, and weights, of as many rows as memory should hold."""
    size = max(1, _BLOCK // logits.shape[1])
    for start in range(0, len(logits), size):
        part = slice(start, start + size)
        yield logits[part].astype(np.float64), rows.targets[part].astype(np.float64), rows.weights[part]


_FITS: dict[str, Callable[[Rows, np.ndarray, AnswerMap | None], AnswerMap]] = {
    "temperature": _fit_temperature,
    "vector": _fit_vector,
    "isotonic": fit_isotonic,
}
METHODS = tuple(_FITS)
