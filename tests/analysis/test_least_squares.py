import keras
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression

from kmix_tf.analysis.least_squares import linear_mixup_risk, mols
from kmix_tf.analysis.risk import mixup_risk
from kmix_tf.maths.theta import theta_moments

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(9, 3)) + 2, GENERATOR.normal(size=(9, 2)) - 1


def models(count=4):
    """Any kernels and biases; the last one the best bias of its kernel."""
    generator = np.random.default_rng(1)
    drawn = [(generator.normal(size=(3, 2)), generator.normal(size=2)) for _ in range(count)]
    kernel = generator.normal(size=(3, 2))
    return [*drawn, (kernel, Y.mean(axis=0) - X.mean(axis=0) @ kernel)]


def brute_force(kernel, bias, alpha):
    return mixup_risk(lambda x: x @ kernel + bias, X, Y, alpha, "squared_error")


@pytest.mark.parametrize("alpha", (0, 1e-3, 0.3, 1.0, 8.0, 1e5))
def test_the_closed_form_is_the_risk_over_all_mixtures(alpha):
    for kernel, bias in models():
        expected = brute_force(kernel, bias, alpha)
        assert linear_mixup_risk(kernel, bias, X, Y, alpha) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("half", (0.5, 1.0))
def test_the_printed_equation_is_not(half):
    """(19) as printed, whatever its constant and scale, with l_SE halved as in (3) or not as in (37)."""
    theta, variance, _ = theta_moments(1.0)

    def printed(kernel, bias):
        best = Y.mean(axis=0) - X.mean(axis=0) @ kernel
        losses = half * np.square(X @ kernel + best - Y).sum()
        factor = (2 * variance + 2 * theta**2 + (1 - theta) ** 2) / (2 * len(X))
        return factor * losses + np.square(bias - best).sum()

    def rises(risk):
        values = [risk(*model) for model in models()]
        return np.diff(values)

    truth = rises(lambda kernel, bias: brute_force(kernel, bias, 1.0))
    ours = rises(lambda kernel, bias: linear_mixup_risk(kernel, bias, X, Y, 1.0))
    np.testing.assert_allclose(ours, truth, rtol=1e-9)
    assert np.ptp(rises(printed) / truth) > 0.01


@pytest.mark.parametrize("alpha", (0, 0.5, 3.0))
def test_least_squares_minimise_the_mixup_risk_for_every_alpha(alpha):
    def risk(weights):
        return brute_force(weights[:6].reshape(3, 2), weights[6:], alpha)

    best = minimize(risk, np.zeros(8), method="BFGS", options={"gtol": 1e-7})
    kernel, bias = mols(X, Y)
    np.testing.assert_allclose(kernel.ravel(), best.x[:6], atol=1e-5)
    np.testing.assert_allclose(bias, best.x[6:], atol=1e-5)


def test_least_squares_are_those_of_scikit_learn_also_of_images_and_of_dependent_features():
    images, labels = GENERATOR.random((20, 4, 4, 1)), np.arange(20) % 3
    kernel, bias = mols(images, labels)
    theirs = LinearRegression().fit(images.reshape(20, 16), np.eye(3)[labels])
    np.testing.assert_allclose(kernel, theirs.coef_.T, atol=1e-10)
    np.testing.assert_allclose(bias, theirs.intercept_, atol=1e-10)
    kernel, _ = mols(np.concatenate([X, X], axis=1), Y)
    np.testing.assert_allclose(kernel, np.tile(mols(X, Y).kernel / 2, (2, 1)), atol=1e-12)


def test_a_dense_layer_takes_them():
    dense = keras.layers.Dense(2)
    dense.build((None, 3))
    dense.set_weights(list(mols(X, Y)))
    np.testing.assert_allclose(dense(X.astype("float32")), X @ mols(X, Y).kernel + mols(X, Y).bias, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernel": np.zeros((2, 3))},
            r"linear_mixup_risk: kernel and bias must be of shapes \(3, 2\) and \(2,\), for 3 features and 2 "
            r"targets. Received: shapes \(2, 3\) and \(2,\).",
        ),
        ({"bias": 0.0}, r"Received: shapes \(3, 2\) and \(\)."),
        ({"bias": [np.nan, 0.0]}, "linear_mixup_risk: bias must be finite"),
        ({"alpha": -0.1}, "alpha must be >= 0 and finite"),
        ({"y": Y[:4]}, r"x must be \(n, \.\.\.\) and y"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    given = {"kernel": np.zeros((3, 2)), "bias": np.zeros(2), "x": X, "y": Y, "alpha": 1.0}
    with pytest.raises(ValueError, match=message):
        linear_mixup_risk(**{**given, **arguments})
