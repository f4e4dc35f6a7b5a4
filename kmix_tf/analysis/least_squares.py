"""Linear least squares, on which mixup has no effect but to weigh its risk."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import as_numbers, require_finite, samples_of


class LinearModel(NamedTuple):
    """x -> x @ kernel + bias, of flattened features. kernel: `(d, c)`, bias: `(c,)`, float64, as a Dense layer's."""

    kernel: np.ndarray
    bias: np.ndarray


@_checks.speaks
def mols(x: Any, y: Any) -> LinearModel:
    """Multivariate ordinary least squares: the linear model that minimises the squared error, with mixup or without.

    Args:
        x, y: as in `perturbation_covariance`; both are flattened.

    Returns:
        `LinearModel(kernel, bias)`, of all that are best the one of least norm of the kernel, where features are
        linearly dependent. `keras.layers.Dense(c)` takes it by `set_weights`.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, Corollary 3: the mixup risk (19) is least where the plain one is.

    Example:
        >>> from kmix_tf.analysis import mols
        >>> kernel, bias = mols([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> kernel.round(6).tolist(), bias.round(6).tolist()
        ([[2.0]], [1.0])
    """
    x, y = _flat(x, y)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    kernel = np.linalg.lstsq(x - x_mean, y - y_mean, rcond=None)[0]
    return LinearModel(kernel, y_mean - x_mean @ kernel)


@_checks.speaks
def linear_mixup_risk(kernel: Any, bias: Any, x: Any, y: Any, alpha: float) -> float:
    """The exact mixup risk of a linear model under the squared error 1/2 |y - u|^2, in closed form.

    It is (alpha + 1) / (2 alpha + 1) times the plain risk that the model has with its best bias,
    b_bar = y_bar - x_bar @ kernel, and 1/2 |bias - b_bar|^2: mixup changes neither the best kernel nor the best bias.

    Args:
        kernel: `(d, c)`, finite. bias: `(c,)`, finite. As a Dense layer has them, or `mols` gives them.
        x, y: as in `perturbation_covariance`, of d features and c targets, which are flattened.
        alpha: finite and >= 0. 0 gives the plain risk.

    Returns:
        A float: what `mixup_risk` of the model is, loss "squared_error".

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, eq. (19), corrected: it has lost a factor 1/2 between (36) and (37). Right is
    2 sigma^2 + theta_bar^2 + (1 - theta_bar)^2 = (alpha + 1) / (2 alpha + 1) in front of the mean loss, and no
    constant beside.

    Example:
        >>> from kmix_tf.analysis import linear_mixup_risk
        >>> round(linear_mixup_risk([[0.0]], [0.0], [[0.0], [1.0]], [0.0, 1.0], alpha=1.0), 6)
        0.208333
    """
    x, y = _flat(x, y)
    alpha = _checks.number("alpha", alpha)
    kernel, bias = (_weights(name, value) for name, value in (("kernel", kernel), ("bias", bias)))
    expected = (x.shape[1], y.shape[1]), (y.shape[1],)
    if (kernel.shape, bias.shape) != expected:
        raise _checks.problem(
            f"kernel and bias must be of shapes {expected[0]} and {expected[1]}, for {x.shape[1]} features and "
            f"{y.shape[1]} targets. Received: shapes {kernel.shape} and {bias.shape}."
        )
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    residuals = (x - x_mean) @ kernel - (y - y_mean)
    spread = 0.5 * np.square(residuals).sum() / len(x)
    return float((alpha + 1) / (2 * alpha + 1) * spread + 0.5 * np.square(bias - y_mean + x_mean @ kernel).sum())


def _flat(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = (values.reshape(len(values), -1) for values in samples_of(x, y))
    return x, y


def _weights(name: str, value: Any) -> np.ndarray:
    value = as_numbers(name, value)
    require_finite(name, value)
    return value
