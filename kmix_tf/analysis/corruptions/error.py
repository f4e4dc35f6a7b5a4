"""How much worse a model gets on corrupted images, as one number."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import as_numbers, require_finite


@_checks.speaks
def mean_corruption_error(errors: Mapping[str, Any], baseline_errors: Mapping[str, Any] | None = None) -> float:
    """mCE: a model's error averaged over severities, in parts of a baseline's, averaged over corruptions.

    Args:
        errors: by the name of a corruption, the model's errors at each severity: shares or percent, >= 0, as many as
            you measured, at least one.
        baseline_errors: the same of another model, whose errors say how hard each corruption is; of the same names,
            as many severities, in the same unit, not all 0. Or None (default), and errors are averaged as they are,
            as is usual on CIFAR-10-C.

    Returns:
        A float. With a baseline, 1 is as good as the baseline, less is better; the mean of quotients of sums over
        severities. (Papers print it in percent.) Without, it is in the unit of the errors.

    Raises:
        TypeError: unless errors are mappings. ValueError: for other contents.

    Source: Hendrycks and Dietterich 2019, "ImageNet-C Metrics": CE_c = sum_s E_sc / sum_s E'_sc, and the mean over c;
    E' are AlexNet's errors there. On Mixup Regularization, Table 2, has it for ImageNet-C.

    Example:
        >>> from kmix_tf.analysis import mean_corruption_error
        >>> ours, theirs = {"fog": [0.1, 0.3], "jpeg": [0.2, 0.2]}, {"fog": [0.2, 0.6], "jpeg": [0.2, 0.2]}
        >>> round(mean_corruption_error(ours), 6), round(mean_corruption_error(ours, theirs), 6)
        (0.2, 0.75)
    """
    model = _by_name("errors", errors)
    if baseline_errors is None:
        return float(np.mean([values.mean() for values in model.values()]))
    baseline = _by_name("baseline_errors", baseline_errors)
    if {name: len(values) for name, values in model.items()} != {n: len(values) for n, values in baseline.items()}:
        raise _checks.problem(
            "errors and baseline_errors must be of the same corruptions and severities. Received: "
            f"{_described(model)} and {_described(baseline)}."
        )
    never_wrong = [name for name, values in baseline.items() if not values.any()]
    if never_wrong:
        raise _checks.problem(
            f"baseline_errors must not be all 0, for they are divided by. Received: zeros for {never_wrong[0]!r}."
        )
    return float(np.mean([values.sum() / baseline[name].sum() for name, values in model.items()]))


def _by_name(which: str, errors: Any) -> dict[str, np.ndarray]:
    if not isinstance(errors, Mapping):
        _checks.refuse(which, "errors at each severity by name, such as {'fog': [...]}", errors, TypeError)
    if not errors:
        raise _checks.problem(f"{which} must be of one corruption at least. Received: none.")
    return {name: _severities(f"{which}[{name!r}]", values) for name, values in errors.items()}


def _severities(which: str, values: Any) -> np.ndarray:
    values = as_numbers(which, values)
    require_finite(which, values)
    if values.ndim != 1 or not values.size or values.min() < 0:
        raise _checks.problem(
            f"{which} must be a list of numbers >= 0, one for each severity. Received: {values.tolist()}."
        )
    return values


def _described(errors: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{len(values)} of {name}" for name, values in errors.items())
