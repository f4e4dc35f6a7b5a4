import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import quad
from scipy.special import expit, logsumexp, softmax
from scipy.stats import beta

from kmix_tf.analysis.perturbation import modified_data, perturbation_covariance
from kmix_tf.analysis.risk import approximate_mixup_risk, beta_quadrature, mixup_risk
from kmix_tf.maths.theta import theta_moments

LOSSES = {
    "categorical_crossentropy": lambda y, u: logsumexp(u, axis=-1) - (y * u).sum(axis=-1),
    "binary_crossentropy": lambda y, u: (np.logaddexp(0, u) - y * u).sum(axis=-1),
    "squared_error": lambda y, u: 0.5 * np.square(y - u).sum(axis=-1),
}
OUTPUTS = {"categorical_crossentropy": 3, "binary_crossentropy": 1, "squared_error": 2}
GENERATOR = np.random.default_rng(0)
FIRST, SECOND = GENERATOR.normal(size=(2, 5)), {k: GENERATOR.normal(size=(5, v)) for k, v in OUTPUTS.items()}


def network(loss):
    """A smooth network twice: for TensorFlow, and for NumPy."""
    second = SECOND[loss]
    return lambda x: tf.tanh(x @ FIRST) @ second, lambda x: np.tanh(x @ FIRST) @ second


def samples(loss, size=6):
    generator = np.random.default_rng(1)
    x, outputs = generator.normal(size=(size, 2)) + 1, OUTPUTS[loss]
    if loss == "squared_error":
        return x, generator.normal(size=(size, outputs))
    return x, np.eye(3)[np.arange(size) % 3] if outputs == 3 else (np.arange(size) % 2)[:, np.newaxis].astype(float)


def exact(function, loss, x, y, alpha):
    """Eq. (4), one pair at a time, by adaptive quadrature; Beta's singularities at both ends as SciPy's weight."""
    total = 0.0
    norm = beta.pdf(0.5, alpha, alpha) * 4 ** (alpha - 1)
    for xi, yi in zip(x, y, strict=True):
        for xj, yj in zip(x, y, strict=True):

            def value(ratio, xi=xi, xj=xj, yi=yi, yj=yj):
                return LOSSES[loss](ratio * yi + (1 - ratio) * yj, function(ratio * xi + (1 - ratio) * xj))

            total += norm * quad(value, 0, 1, weight="alg", wvar=(alpha - 1, alpha - 1))[0]
    return total / len(x) ** 2


@pytest.mark.parametrize("alpha", (0.2, 1.0, 3.0))
@pytest.mark.parametrize("loss", LOSSES)
def test_the_exact_risk_is_that_of_adaptive_quadrature(loss, alpha):
    model, oracle = network(loss)
    x, y = samples(loss, 4)
    assert mixup_risk(model, x, y, alpha, loss) == pytest.approx(exact(oracle, loss, x, y, alpha), rel=1e-7)


@pytest.mark.parametrize("alpha", (1e-3, 0.3, 1.0, 20.0, 1e6))
def test_the_quadrature_has_the_moments_of_the_beta_distribution(alpha):
    ratios, weights = beta_quadrature(alpha, 8)
    assert ((ratios >= 0) & (ratios <= 1)).all() and weights.min() > 0
    moment = 1.0
    for k in range(16):
        assert weights @ ratios**k == pytest.approx(moment, rel=1e-9)
        moment *= (alpha + k) / (2 * alpha + k)


def test_no_mixing_is_the_plain_risk_and_little_mixing_nearly_is():
    model, oracle = network("categorical_crossentropy")
    x, y = samples("categorical_crossentropy")
    plain = LOSSES["categorical_crossentropy"](y, oracle(x)).mean()
    assert mixup_risk(model, x, y, 0, "categorical_crossentropy") == pytest.approx(plain, rel=1e-12)
    assert mixup_risk(model, x, y, 1e-5, "categorical_crossentropy") == pytest.approx(plain, rel=1e-3)
    approximate = approximate_mixup_risk(model, x, y, 0, "categorical_crossentropy")
    assert approximate == pytest.approx((plain, 0, 0, 0, 0, plain), abs=1e-12)


def test_blocks_do_not_change_the_risk(monkeypatch):
    model, _ = network("squared_error")
    x, y = samples("squared_error")
    whole = mixup_risk(model, x, y, 0.5, "squared_error"), *approximate_mixup_risk(model, x, y, 0.5, "squared_error")
    monkeypatch.setattr("kmix_tf.analysis.risk._BLOCK", 14)
    parts = mixup_risk(model, x, y, 0.5, "squared_error"), *approximate_mixup_risk(model, x, y, 0.5, "squared_error")
    assert parts == pytest.approx(whole, rel=1e-12)


def derivatives(function, point, step=1e-4):
    """Jacobian (c, d) and Hessians (c, d, d) by central differences."""
    d = len(point)
    moves = step * np.eye(d)
    jacobian = np.stack([(function(point + m) - function(point - m)) / (2 * step) for m in moves], axis=-1)
    hessian = np.empty((len(jacobian), d, d))
    for a in range(d):
        for b in range(d):
            corners = [function(point + s * moves[a] + t * moves[b]) * s * t for s in (1, -1) for t in (1, -1)]
            hessian[:, a, b] = sum(corners) / (4 * step**2)
    return jacobian, hessian


def loss_derivatives(loss, y, u):
    """Gradient and Hessian in u, and Hessian in y."""
    c = len(u)
    if loss == "categorical_crossentropy":
        p = softmax(u)
        return p - y, np.diag(p) - np.outer(p, p), np.zeros((c, c))
    if loss == "binary_crossentropy":
        return expit(u) - y, np.diag(expit(u) * expit(-u)), np.zeros((c, c))
    return u - y, np.eye(c), np.eye(c)


def theorem_2(function, loss, x, y, alpha):
    """base, R1 to R4 as Theorem 2 prints them, with pseudo-inverses, and R1 + R3 as eq. (33) has it."""
    shrunk = modified_data(x, y, alpha)
    terms = np.zeros(6)
    for i, (xi, yi) in enumerate(zip(*shrunk, strict=True)):
        u = function(xi)
        jacobian, hessian = derivatives(function, xi)
        gradient, loss_hessian, target_hessian = loss_derivatives(loss, yi, u)
        sigma = perturbation_covariance(x, y, alpha, i)
        inverse_h, inverse_x = np.linalg.pinv(loss_hessian, rcond=1e-9), np.linalg.pinv(sigma.xx, rcond=1e-9)
        target = inverse_h @ sigma.xy.T @ inverse_x
        gap = jacobian - target
        terms += [
            LOSSES[loss](yi, u),
            0.5 * np.trace(sigma.xx @ gap.T @ loss_hessian @ gap),
            0.5 * np.sum(sigma.xx * np.einsum("c,cde->de", gradient, hessian)),
            -0.5 * np.trace(inverse_x @ sigma.xy @ inverse_h @ sigma.xy.T),
            0.5 * np.sum(sigma.yy * target_hessian),
            0.5 * np.trace(sigma.xx @ jacobian.T @ loss_hessian @ jacobian) - np.sum(sigma.xy.T * jacobian),
        ]
    return terms / len(x)


@pytest.mark.parametrize("size", (2, 6))  # two points on a plane: Sigma_xx is singular
@pytest.mark.parametrize("loss", LOSSES)
def test_the_approximation_is_theorem_2(loss, size):
    model, oracle = network(loss)
    x, y = samples(loss, size)
    risk = approximate_mixup_risk(model, x, y, 0.8, loss)
    *printed, un_completed = theorem_2(oracle, loss, x, y, 0.8)
    assert risk[:5] == pytest.approx(tuple(printed), abs=2e-6)
    assert risk.r1 + risk.r3 == pytest.approx(un_completed, abs=2e-6)
    assert risk.total == pytest.approx(sum(printed), abs=4e-6)
    assert risk.total == pytest.approx(sum(risk[:5]), rel=1e-12)


def test_the_sum_survives_confident_predictions_where_the_parts_are_huge():
    model, oracle = network("categorical_crossentropy")
    x, y = samples("categorical_crossentropy")
    risk = approximate_mixup_risk(lambda x: 8 * model(x), x, y, 1.0, "categorical_crossentropy")
    expected = theorem_2(lambda x: 8 * oracle(x), "categorical_crossentropy", x, y, 1.0)
    assert -risk.r3 > 100, "the case must be a hard one"
    assert risk.total == pytest.approx(expected[[0, 2, 4, 5]].sum(), rel=1e-5)


@pytest.mark.parametrize("alpha", (0.3, 1.0, 7.0))
def test_a_linear_least_squares_model_has_the_risk_of_the_corrected_equation_19(alpha):
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(8, 3)) + 2, generator.normal(size=(8, 2))
    weight, bias = generator.normal(size=(2, 3)), generator.normal(size=2)
    fitted = y.mean(axis=0) - weight @ x.mean(axis=0)
    errors = 0.5 * np.square(y - x @ weight.T - fitted).sum()
    moments = theta_moments(alpha)
    bracket = 2 * moments.variance + moments.mean**2 + (1 - moments.mean) ** 2
    assert bracket == pytest.approx((alpha + 1) / (2 * alpha + 1), rel=1e-9)
    expected = bracket / len(x) * errors + 0.5 * np.square(bias - fitted).sum()

    def model(x):
        return x @ weight.T + bias

    risk = mixup_risk(model, x, y, alpha, "squared_error", nodes=4)
    assert risk == pytest.approx(expected, rel=1e-9)
    # Quadratic in the perturbation, so the approximation is exact, and r2 is 0.
    approximate = approximate_mixup_risk(model, x, y, alpha, "squared_error")
    assert approximate.total == pytest.approx(expected, rel=1e-9) and approximate.r2 == pytest.approx(0, abs=1e-12)
    # As it is printed, eq. (19) differs by more than a constant: neither its factor nor its last term is right.
    printed = (2 * moments.variance + 2 * moments.mean**2 + (1 - moments.mean) ** 2) / (2 * len(x)) * errors
    assert abs(printed + np.square(bias - fitted).sum() - risk) > 0.01


@pytest.mark.parametrize("loss", LOSSES)
def test_the_error_is_of_third_order_in_the_spread_of_the_data(loss):
    # The third moments of the perturbations do not vanish, so halving the spread divides the error by about 8.
    model, _ = network(loss)
    x, y = samples(loss)
    errors = []
    for scale in (1 / 32, 1 / 64, 1 / 128):
        near, towards = 1 + scale * (x - 1), y.mean(axis=0) + scale * (y - y.mean(axis=0))
        gap = mixup_risk(model, near, towards, 1.0, loss)
        errors.append(abs(gap - approximate_mixup_risk(model, near, towards, 1.0, loss).total))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 2.7).all() and (orders < 4.3).all(), (errors, orders)


@pytest.mark.parametrize("loss", ("categorical_crossentropy", "binary_crossentropy"))
def test_the_error_vanishes_in_proportion_to_alpha(loss):
    # As the probability of a ratio away from 0 and 1 does.
    model, _ = network(loss)
    x, y = samples(loss)
    errors = [
        abs(mixup_risk(model, x, y, alpha, loss) - approximate_mixup_risk(model, x, y, alpha, loss).total)
        for alpha in (0.5, 0.01, 0.001)
    ]
    assert errors[0] > errors[1] and 9 < errors[1] / errors[2] < 11, errors


def test_keras_models_are_asked_as_in_inference_on_images_with_integer_labels():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4, 4, 1)), keras.layers.Conv2D(2, 3, activation="tanh"), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    x, y = np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype(np.float32), np.arange(6) % 3
    for risk in (mixup_risk, lambda *a: approximate_mixup_risk(*a).total):
        value = risk(model, x, y, 0.5, "categorical_crossentropy")
        assert value == risk(model, x, np.eye(3)[y], 0.5, "categorical_crossentropy")
        assert isinstance(value, float) and np.isfinite(value)
    exact, approximate = (
        mixup_risk(model, x, y, 0.5, "categorical_crossentropy"),
        approximate_mixup_risk(model, x, y, 0.5, "categorical_crossentropy").total,
    )
    assert approximate == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("risk", (mixup_risk, approximate_mixup_risk))
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -1}, r"alpha must be >= 0 and finite. Received: alpha=-1."),
        ({"loss": "mse"}, r"loss must be one of 'categorical_crossentropy', 'binary_crossentropy', 'squared_error'"),
        ({"model": "model"}, "model must be a Keras model or a callable"),
        ({"model": lambda x: x[:, 0]}, r"the model must return one tensor \(batch, outputs\)"),
        ({"x": np.full((3, 2), np.nan)}, "x must be finite"),
        ({"x": np.zeros((2, 2))}, "same number of samples"),
        ({"y": [0, 1, 2]}, r"labels must be in \[0, 2\).*labels from 0 to 2"),
        ({"y": np.full((3, 2), 0.7)}, "soft labels must sum to 1"),
        ({"y": np.array([[2.0, -1.0]] * 3)}, r"soft labels must be in \[0, 1\]"),
        ({"y": np.zeros((3, 4))}, r"y must be \(n, 2\)"),
        ({"y": [0.0, 1.0, 0.0]}, r"y must be \(n, 2\)"),
        ({"model": lambda x: x[:, :1]}, "needs a model of at least two outputs"),
    ],
)
def test_what_does_not_fit_is_refused(risk, arguments, message):
    default = {"model": lambda x: x, "x": np.zeros((3, 2)), "y": [0, 1, 0], "alpha": 1.0}
    with pytest.raises((TypeError, ValueError), match=f"{risk.__name__}: .*{message}"):
        risk(**{**default, "loss": "categorical_crossentropy", **arguments})


def test_an_odd_number_of_nodes_is_refused():
    with pytest.raises(ValueError, match="nodes must be even"):
        mixup_risk(lambda x: x, np.zeros((3, 2)), [0, 1, 0], 1.0, "squared_error", nodes=3)
