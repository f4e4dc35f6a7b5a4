"""k-mixup's perturbations and penalties against enumerated groups, permutations and quadrature."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import roots_jacobi
from scipy.stats import beta, norm

from kmix_tf.analysis import perturbation_covariance
from kmix_tf.analysis.local_regularization import kmixup_perturbation_covariance, kmixup_regularization

# The chance that one statistical assertion fails for a right estimate, were its seeds chosen anew.
FALSE_ALARM = 1e-5
Z = norm.isf(FALSE_ALARM / 2)


def matching_table(x, k, disjoint=True):
    """P(partner of i is r), row i: all groups, all permutations."""
    x = x.reshape(len(x), -1)
    squares = np.square(x[:, np.newaxis] - x[np.newaxis]).sum(axis=2)
    table = np.zeros((len(x), len(x)))
    for first in itertools.combinations(range(len(x)), k):
        pool = [row for row in range(len(x)) if not (disjoint and row in first)]
        for second in itertools.combinations(pool, k):
            best = min(itertools.permutations(second), key=lambda order: squares[list(first), list(order)].sum())
            table[list(first), list(best)] += 1
    return table / table.sum(axis=1, keepdims=True)


def theta_expectation(function, alpha):
    return quad(lambda theta: 2 * function(theta) * beta.pdf(theta, alpha, alpha), 0.5, 1, limit=200)[0]


def by_enumeration(x, y, alpha, index, probabilities):
    """E[(delta, epsilon)(delta, epsilon)^T] of Theorem I.1 itself: all partners, theta by quadrature."""
    joint = np.concatenate([x, y], axis=1)
    mean, theta_bar = probabilities @ joint, theta_expectation(lambda theta: theta, alpha)
    first, second = (theta_expectation(lambda theta, p=p: theta**p, alpha) for p in (1, 2))
    total = np.zeros((joint.shape[1],) * 2)
    for partner, probability in zip(joint, probabilities, strict=True):
        # delta = theta a + b, so its outer product is a polynomial of theta.
        a, b = joint[index] - partner, partner - theta_bar * joint[index] - (1 - theta_bar) * mean
        outer = second * np.outer(a, a) + first * (np.outer(a, b) + np.outer(b, a)) + np.outer(b, b)
        total += probability * outer
    return total


@pytest.mark.parametrize("disjoint", [True, False])
@pytest.mark.parametrize(("alpha", "k"), [(0.4, 2), (1.0, 3), (5.0, 1)])
def test_covariances_are_those_of_the_perturbations_themselves(alpha, k, disjoint):
    generator = np.random.default_rng(k)
    x, y = generator.normal(size=(7, 2)) + 5, generator.integers(0, 2, 7)
    table = matching_table(x, k, disjoint)
    for index in (0, 6):
        xx, yy, xy = kmixup_perturbation_covariance(x, y, alpha, index, k, None, disjoint=disjoint)
        expected = by_enumeration(x, np.eye(2)[y], alpha, index, table[index])
        np.testing.assert_allclose(np.block([[xx, xy], [xy.T, yy]]), expected, atol=1e-6)


def test_the_lemma_as_printed_is_false():
    x, alpha = np.random.default_rng(0).normal(size=(6, 1)), 1.0
    p = matching_table(x, 2)[3]
    mean, theta_bar = p @ x, theta_expectation(lambda theta: theta, alpha)
    variance = theta_expectation(lambda theta: (theta - theta_bar) ** 2, alpha)
    spread = p @ np.square(x - mean)
    own = np.square(theta_bar * (x[3] - mean)) / theta_bar**2
    nu_squared = variance + (1 - theta_bar) ** 2
    simulated = by_enumeration(x, x, alpha, 3, p)[0, 0]
    right, printed = variance * own + nu_squared * spread, variance * own + nu_squared * spread / theta_bar**2
    assert right[0] == pytest.approx(simulated, rel=1e-6)
    assert printed[0] > 1.2 * simulated
    found = kmixup_perturbation_covariance(x, x, alpha, 3, 2, None)
    assert found.xx[0, 0] == pytest.approx(simulated, rel=1e-6)


@settings(max_examples=20)
@given(st.integers(1, 8), st.floats(0, 1e6), st.integers(0, 2**32 - 1))
def test_with_single_independent_samples_it_is_plain_mixups(size, alpha, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(size, 2, 2)), generator.normal(size=size)
    plain = perturbation_covariance(x, y, alpha, size - 1)
    for found, expected in zip(
        kmixup_perturbation_covariance(x, y, alpha, size - 1, 1, disjoint=False), plain, strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_with_single_samples_of_one_batch_it_is_plain_mixups_but_for_one_over_n():
    gaps = []
    for size in (10, 100, 1000):
        x = np.random.default_rng(size).normal(size=(size, 1))
        x[0] = 1.0
        plain, found = perturbation_covariance(x, x, 1.0, 0), kmixup_perturbation_covariance(x, x, 1.0, 0, 1)
        gaps.append(abs(found.xx - plain.xx)[0, 0] / plain.xx[0, 0] * size)
    assert min(gaps) > 0.05 and max(gaps) < 2


@settings(max_examples=20)
@given(st.integers(1, 3), st.floats(0, 1e3), st.integers(0, 2**32 - 1))
def test_the_joint_covariance_is_positive_semidefinite(k, alpha, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(8, 2)), generator.normal(size=8)
    xx, yy, xy = kmixup_perturbation_covariance(x, y, alpha, 1, k, trials=20, seed=seed)
    assert np.linalg.eigvalsh(np.block([[xx, xy], [xy.T, yy]])).min() >= -1e-12


def ratio_nodes(alpha, nodes=40):
    """Quadrature for Beta(alpha, alpha) by SciPy's Gauss-Jacobi."""
    points, weights = roots_jacobi(nodes, alpha - 1, alpha - 1)
    return (1 + points) / 2, weights / weights.sum()


LOSSES = {
    "categorical_crossentropy": lambda y, u: np.log(np.exp(u).sum(axis=-1)) - (y * u).sum(axis=-1),
    "binary_crossentropy": lambda y, u: (np.log1p(np.exp(u)) - y * u).sum(axis=-1),
    "squared_error": lambda y, u: 0.5 * np.square(y - u).sum(axis=-1),
}


def risk(f, x, y, alpha, table, loss):
    """k-mixup's expected loss: all pairs with their probabilities, ratios from Beta(alpha, alpha) by quadrature."""
    ratios, weights = ratio_nodes(alpha)
    total = 0.0
    for i, r in np.argwhere(table):
        for ratio, weight in zip(ratios, weights, strict=True):
            mixed = ratio * x[i] + (1 - ratio) * x[r]
            target = ratio * y[i] + (1 - ratio) * y[r]
            total += table[i, r] * weight * LOSSES[loss](target, f(mixed[np.newaxis])[0]) / len(x)
    return total


def problem(outputs=1, size=6, seed=0):
    """Points, targets, and a smooth model as a callable of tensors and of arrays."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(size, 2))
    first, second = generator.normal(size=(2, 5)), generator.normal(size=(5, outputs))
    y = np.eye(outputs)[np.arange(size) % outputs] if outputs > 1 else (np.arange(size) % 2.0)[:, np.newaxis]
    return (
        x,
        y,
        lambda v: tf.tanh(v @ tf.constant(first)) @ tf.constant(second),
        lambda v: np.tanh(v @ first) @ second,
    )


@pytest.mark.parametrize("disjoint", [True, False])
@pytest.mark.parametrize("alpha", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("k", [1, 3])
def test_for_linear_models_and_squared_errors_the_total_is_the_risk(k, alpha, disjoint):
    x, _, _, _ = problem()
    y, weights = np.random.default_rng(5).normal(size=(6, 3)), np.random.default_rng(6).normal(size=(2, 3))
    table = matching_table(x, k, disjoint)
    found = kmixup_regularization(
        lambda v: v @ tf.constant(weights) + 1, x, y, alpha, k, "squared_error", None, disjoint=disjoint
    )
    expected = risk(lambda v: v @ weights + 1, x, y, alpha, table, "squared_error")
    assert found.total == pytest.approx(expected, rel=1e-9)
    assert found.r3 == 0 and found.standard_error == 0
    # The mixed targets' squares, which no model changes.
    squares = table * np.square(y[:, np.newaxis] - y).sum(axis=2)
    assert found.r4 == pytest.approx(-alpha / (4 * (2 * alpha + 1)) * squares.sum() / 6)


@pytest.mark.parametrize(
    ("loss", "outputs"), [("categorical_crossentropy", 3), ("binary_crossentropy", 1), ("squared_error", 2)]
)
def test_what_is_left_out_is_of_third_order_in_the_step_to_the_partner(loss, outputs):
    x, y, model, plain = problem(outputs)
    table = matching_table(x, 2)
    left_out = []
    for scale in (1 / 32, 1 / 64, 1 / 128):
        near = 0.3 + scale * x
        found = kmixup_regularization(model, near, y, 0.7, 2, loss, trials=None)
        left_out.append(abs(found.total - risk(plain, near, y, 0.7, table, loss)))
        assert found.base == pytest.approx(LOSSES[loss](y, plain(near)).mean())
    # Halving the steps leaves an eighth; were a term wrong, a half or a quarter.
    ratios = np.divide(left_out[:-1], left_out[1:])
    assert ((ratios > 6) & (ratios < 10)).all(), ratios
    assert min(abs(found.r1), abs(found.r2), abs(found.r3)) > left_out[-1]


def test_a_small_alpha_does_not_make_the_approximation_better():
    # E[(1-l)^m] is alpha / m to first order, for every m.
    x, y, model, plain = problem(3)
    table = matching_table(x, 2)
    shares = []
    for alpha in (1e-2, 1e-3):
        found = kmixup_regularization(model, x, y, alpha, 2, "categorical_crossentropy", trials=None)
        missed = risk(plain, x, y, alpha, table, "categorical_crossentropy") - found.total
        shares.append(missed / (found.total - found.base))
    assert shares[0] == pytest.approx(shares[1], rel=0.05)
    assert abs(shares[0]) > 0.01


def test_the_terms_are_those_of_the_theorem():
    """Binary cross-entropy of one logit, f(x) = sin(w x) + (v x)^2, with derivatives by hand."""
    x, y, w, v, alpha = problem()[0], np.array([0, 1, 1, 0, 1, 0]), np.array([1.0, -0.5]), np.array([0.3, 0.7]), 0.8
    table = matching_table(x, 3)
    # Moments of Beta(alpha + 1, alpha), numerically.
    first, second = (quad(lambda u, m=m: (1 - u) ** m * beta.pdf(u, alpha + 1, alpha), 0, 1)[0] for m in (1, 2))
    r1 = r2 = r3 = 0.0
    for i in range(6):
        f = np.sin(x[i] @ w) + (x[i] @ v) ** 2
        gradient = np.cos(x[i] @ w) * w + 2 * (x[i] @ v) * v
        hessian = -np.sin(x[i] @ w) * np.outer(w, w) + 2 * np.outer(v, v)
        s = 1 / (1 + np.exp(-f))
        step = x - x[i]
        moment = (step.T * table[i]) @ step
        r1 += first / 6 * (s - y[i]) * gradient @ (table[i] @ step)
        r2 += second / 12 * s * (1 - s) * gradient @ moment @ gradient
        r3 += second / 12 * (s - y[i]) * (hessian * moment).sum()

    def model(points):
        along = points @ tf.constant(np.stack([w, v], axis=1))
        return tf.sin(along[:, :1]) + tf.square(along[:, 1:])

    found = kmixup_regularization(model, x, y, alpha, 3, "binary_crossentropy", trials=None)
    np.testing.assert_allclose(found[1:4], (r1, r2, r3), rtol=1e-6)
    assert found.r4 == 0
    assert found.total == pytest.approx(found.base + r1 + r2 + r3)


@pytest.mark.parametrize("disjoint", [True, False])
def test_drawn_terms_are_within_their_standard_error(disjoint):
    x, y, model, _ = problem(3, size=7)
    arguments = (model, x, y, 1.0, 3, "categorical_crossentropy")
    exact = kmixup_regularization(*arguments, trials=None, disjoint=disjoint)
    drawn = kmixup_regularization(*arguments, trials=2000, seed=4, disjoint=disjoint)
    assert abs(drawn.total - exact.total) < Z * drawn.standard_error
    assert drawn.base == exact.base
    # The error is what it says: as large as that of totals of twenty shuffles vary.
    several = [kmixup_regularization(*arguments, trials=20, seed=seed, disjoint=disjoint) for seed in range(60)]
    reported = np.sqrt(np.mean([one.standard_error**2 for one in several]))
    assert reported == pytest.approx(np.std([one.total for one in several]), rel=0.5)
    assert several[0] == kmixup_regularization(*arguments, trials=20, seed=0, disjoint=disjoint)
    assert several[0] != several[1]


def test_keras_models_of_images_are_asked_as_in_inference():
    keras.utils.set_random_seed(0)
    images, y = np.random.default_rng(0).normal(size=(8, 2, 2, 1)), np.arange(8) % 3
    layers = [keras.layers.Flatten(), keras.layers.Dense(6, activation="tanh"), keras.layers.Dropout(0.5)]
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), *layers, keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    )
    first, mean, second = (model.layers[i].get_weights() for i in (1, 3, 4))
    scale = 1 / np.sqrt(mean[3] + model.layers[3].epsilon)

    def by_hand(v):
        hidden = tf.tanh(tf.reshape(v, [-1, 4]) @ tf.cast(first[0], v.dtype) + first[1])
        return (hidden * scale) @ tf.cast(second[0], v.dtype) + second[1]

    arguments = (images, y, 0.5, 2, "categorical_crossentropy", None)
    found, expected = (kmixup_regularization(f, *arguments) for f in (model, by_hand))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert abs(found.r3) > 1e-4


def test_blocks_make_no_difference(monkeypatch):
    x, y, model, _ = problem(2)
    whole = kmixup_regularization(model, x, y, 1.0, 2, "squared_error", trials=5)
    monkeypatch.setattr("kmix_tf.analysis.local_regularization._BLOCK", 8)
    np.testing.assert_allclose(kmixup_regularization(model, x, y, 1.0, 2, "squared_error", trials=5), whole)


def test_no_mixing_adds_nothing_and_relu_has_no_curvature():
    x, y, model, _ = problem(2)
    found = kmixup_regularization(model, x, y, 0, 2, "categorical_crossentropy", trials=3)
    assert found.total == found.base and not any(found[1:5])
    kinked = kmixup_regularization(lambda v: tf.nn.relu(model(v)), x, y, 1, 1, "squared_error", trials=3)
    straight = kmixup_regularization(lambda v: tf.nn.relu(v), x, y, 1, 1, "squared_error", trials=3)
    assert kinked.r3 != 0 and straight.r3 == 0


def test_second_derivatives_that_tensorflow_gets_wrong_are_refused():
    for layer in (keras.layers.LayerNormalization(), keras.layers.GroupNormalization(1)):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), layer])
        with pytest.raises(ValueError, match=rf"kmixup_regularization: second .* {type(layer).__name__}, which"):
            kmixup_regularization(model, np.zeros((4, 2)), [0, 1, 0, 1], 1.0, 2, "categorical_crossentropy")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": -1}, ValueError, "alpha must be >= 0 and finite"),
        ({"k": 4}, ValueError, r"x must hold at least 2 k = 8 samples"),
        ({"loss": "mse"}, ValueError, "loss must be one of"),
        ({"trials": 1}, ValueError, "trials must be an integer >= 2"),
        ({"disjoint": None}, ValueError, "disjoint must be True or False"),
        ({"model": 3}, TypeError, "model must be a Keras model or a callable"),
        ({"y": [0, 1]}, ValueError, "x and y must hold the same number"),
        ({"x": np.full((6, 2), np.nan)}, ValueError, "x must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    x, y, model, _ = problem(2)
    good = {"model": model, "x": x, "y": y, "alpha": 1.0, "k": 2, "loss": "squared_error"}
    with pytest.raises(error, match=f"kmixup_regularization: {message}"):
        kmixup_regularization(**{**good, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": 6}, r"index must be in \[0, 6\). Received: index=6."),
        ({"alpha": None}, "alpha must be >= 0"),
        ({"k": 4}, "x must hold at least 2 k = 8 samples"),
        ({"trials": 0}, "trials must be an integer >= 1"),
        ({"y": [0, 1]}, r"x must be \(n, \.\.\.\) and y"),
    ],
)
def test_covariances_of_what_does_not_fit_are_refused(arguments, message):
    good = {"x": np.zeros((6, 1)), "y": [0, 1] * 3, "alpha": 1.0, "index": 0, "k": 2}
    with pytest.raises(ValueError, match=f"kmixup_perturbation_covariance: {message}"):
        kmixup_perturbation_covariance(**{**good, **arguments})
