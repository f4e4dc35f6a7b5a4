import mpmath
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from scipy.stats import entropy

from kmix_tf.analysis import theta_moments
from kmix_tf.analysis.entropy import entropy_bound, prediction_entropy


def fitted(x, y):
    """Logits of the linear model that minimises the cross-entropy, (23) or (24), to a gradient of 1e-9."""
    n, d, c = len(x), x.shape[1], y.shape[1]

    def risk(w):
        u = x @ w.reshape(d, c)
        gradient = x.T @ (softmax(u, axis=1) - y) / n
        return (logsumexp(u, axis=1) - (y * u).sum(axis=1)).mean(), gradient.ravel()

    w = minimize(risk, np.zeros(d * c), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}).x
    assert np.abs(risk(w)[1]).max() < 1e-6, "the optimum must have been found"
    return x @ w.reshape(d, c)


def noisy_classes(seed, intercept, classes=3, size=60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 2)) + (0 if intercept else 0.7)
    y = (2 * x @ rng.normal(size=(2, classes)) + rng.gumbel(size=(size, classes))).argmax(axis=1)
    return np.c_[x, np.ones(size)] if intercept else x, y


@pytest.mark.parametrize("intercept", (True, False))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpha", (0.2, 1.0, 8.0))
def test_proposition_1_holds_of_optimal_linear_models(seed, alpha, intercept):
    x, y = noisy_classes(seed, intercept)
    theta, one_hot = theta_moments(alpha).mean, np.eye(3)[y]
    plain, smoothed = fitted(x, one_hot), fitted(x, one_hot.mean(axis=0) + theta * (one_hot - one_hot.mean(axis=0)))
    bound = entropy_bound(y, plain, theta, logits=True)
    after = prediction_entropy(smoothed, logits=True)
    assert bound.bound <= bound.sharper <= after + 1e-8
    assert bound.bound < bound.sharper - 1e-4, "the case must tell the two apart"
    if intercept:
        assert bound.predictions <= bound.labels and bound.predictions < after


def test_the_bound_is_reached_where_the_model_knows_nothing_but_the_classes():
    y = np.array([0, 0, 0, 1])
    plain = fitted(np.ones((4, 1)), np.eye(2)[y])
    bound = entropy_bound(y, plain, 0.75, logits=True)
    assert bound == pytest.approx([entropy([0.75, 0.25])] * 4, abs=1e-9)


def test_shrinking_the_inputs_too_changes_nothing_with_an_intercept():
    # Mixup's modified data pose the same linear problem.
    x, y = noisy_classes(5, True)
    theta, one_hot = 0.75, np.eye(3)[y]
    smoothed = one_hot.mean(axis=0) + theta * (one_hot - one_hot.mean(axis=0))
    shrunk = x.mean(axis=0) + theta * (x - x.mean(axis=0))
    np.testing.assert_allclose(softmax(fitted(shrunk, smoothed), 1), softmax(fitted(x, smoothed), 1), atol=1e-5)


def test_the_terms_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(4), 20), rng.integers(0, 4, 20)
    mean = np.eye(4)[y].mean(axis=0)
    bound = entropy_bound(y, p, 0.6)
    predictions, labels = np.mean([entropy(row) for row in p]), entropy(mean)
    sharper = np.mean([entropy(0.6 * row + 0.4 * mean) for row in p])
    assert bound == pytest.approx([predictions, labels, 0.6 * predictions + 0.4 * labels, sharper], rel=1e-12)
    assert entropy_bound(np.eye(4)[y], tf.constant(np.log(p)), 0.6, logits=True) == pytest.approx(bound, rel=1e-12)


@given(st.lists(st.lists(st.floats(-800, 800), min_size=3, max_size=3), min_size=1, max_size=4))
def test_entropies_of_logits_have_full_relative_precision(rows):
    with mpmath.workdps(800):
        expected = 0
        for row in rows:
            weights = [mpmath.exp(mpmath.mpf(u)) for u in row]
            p = [weight / sum(weights) for weight in weights]
            expected -= sum(q * mpmath.log(q) for q in p) / len(rows)
        expected = float(expected)
    assert prediction_entropy(rows, logits=True) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("make", (list, np.array, tf.constant), ids=("list", "numpy", "tensor"))
def test_certainty_has_no_entropy_and_the_uniform_distribution_most(make):
    assert prediction_entropy(make([[1.0, 0.0, 0.0]])) == 0
    assert prediction_entropy(make([[1 / 3, 1 / 3, 1 / 3]])) == pytest.approx(np.log(3))
    assert prediction_entropy(make([[7.0, 7.0, 7.0]]), logits=True) == pytest.approx(np.log(3))
    assert prediction_entropy(make([[1e4, -1e4]]), logits=True) == 0


def test_a_single_unit_stands_for_two_classes():
    expected = entropy([0.2, 0.8])
    assert prediction_entropy([[0.8]]) == pytest.approx(expected)
    assert prediction_entropy([[np.log(4)]], logits=True) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prediction_entropy([[2.0, 1.0]]), "prediction_entropy: rows of probabilities must be >= 0"),
        (lambda: prediction_entropy([0.5, 0.5]), r"prediction_entropy: probabilities must be \(n, classes\)"),
        (lambda: prediction_entropy([[np.nan, 1.0]], logits=True), "prediction_entropy: logits must be .* with NaN"),
        (lambda: prediction_entropy([[1.0]], logits=1), "prediction_entropy: logits must be True or False"),
        (lambda: entropy_bound([0], [[0.5, 0.5]], 1.2), r"entropy_bound: theta must be in \[0, 1\]"),
        (lambda: entropy_bound([0], [[0.5]], 0.75), r"entropy_bound: probabilities must be \(n, classes\), at least"),
        (lambda: entropy_bound([2], [[0.5, 0.5]], 0.75), r"entropy_bound: labels must be in \[0, 2\)"),
        (lambda: entropy_bound([0, 1], [[0.5, 0.5]], 0.75), r"entropy_bound: y must be \(1,\)"),
    ],
)
def test_what_has_no_entropy_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
