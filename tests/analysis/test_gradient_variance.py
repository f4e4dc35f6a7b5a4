"""The parts of the gradient's variance, against exact values: all pairs enumerated, ratios by quadrature."""

import importlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import roots_jacobi

from kmix_tf.analysis.gradient_variance import GradientVariance, gradient_variance

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(5, 2)) + 1.5
Y = GENERATOR.normal(size=(5, 2))
WEIGHTS = GENERATOR.normal(size=(2, 2))


def linear():
    model = keras.Sequential([keras.layers.Input((2,), dtype="float64"), keras.layers.Dense(2, dtype="float64")])
    model.layers[-1].set_weights([WEIGHTS, np.array([0.3, -0.2])])
    return model


def gradients(first, second, ratio):
    """Of 1/2 |y - u|^2, by hand, `(..., 6)`: those of the bias beside those of the kernel."""
    ratio = np.asarray(ratio)[..., np.newaxis]
    x, y = (ratio * v[first] + (1 - ratio) * v[second] for v in (X, Y))
    residual = x @ WEIGHTS + [0.3, -0.2] - y
    kernel = x[..., :, np.newaxis] * residual[..., np.newaxis, :]
    return np.concatenate([kernel.reshape(*kernel.shape[:-2], 4), residual], axis=-1)


def every_gradient(alpha):
    """`(25 pairs, 16 ratios, 6)`, and the ratios' weights. Exact, for the gradients are quadratic in the ratio."""
    points, weights = roots_jacobi(16, alpha - 1, alpha - 1)
    pairs = np.array(list(itertools.product(range(5), repeat=2)))
    ratios = np.broadcast_to((1 + points) / 2, (25, 16))
    return gradients(pairs[:, :1], pairs[:, 1:], ratios), weights / weights.sum()


def exact(alpha):
    g, weights = every_gradient(alpha)

    def square(values):
        return np.square(values).sum(axis=-1)

    of_pairs, of_ratios = np.einsum("prd,r->pd", g, weights), g.mean(axis=0)
    mean = of_pairs.mean(axis=0)
    v = square(g - mean).mean(axis=0) @ weights
    return v, square(of_pairs - mean).mean(), square(of_ratios - mean) @ weights


def simulated(alpha, size, count, repetitions, seed=0):
    """Gradients of whole batches `(repetitions, 6)`, each of `size` pairs mixed by the same `count` ratios."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 5, (2, repetitions, size, 1))
    ratios = rng.beta(alpha, alpha, (repetitions, 1, count))
    first, second, ratios = np.broadcast_arrays(first, second, ratios)
    return gradients(first, second, ratios).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def result():
    return gradient_variance(linear(), X, Y, "squared_error", alpha=0.7, batch_size=16, batches=64, seed=1)


def test_the_parts_are_those_of_enumeration_within_their_standard_errors(result):
    values, errors = np.array([result.v, result.v1, result.v2]), result.standard_error()
    z = (values - exact(0.7)) / errors
    # Three tests of 64 batches: beyond 4.5, by Student's distribution, once in 10^4 seeds.
    assert (np.abs(z) < 4.5).all(), z
    assert (errors[:2] < 0.15 * values[:2]).all()
    # An estimate of v2 may be negative; then no batch is large enough.
    assert result.threshold == (pytest.approx(result.v1 / result.v2) if result.v2 > 0 else np.inf)


def test_the_estimates_are_unbiased_even_of_two_pairs_and_two_ratios():
    least = gradient_variance(linear(), X, Y, "squared_error", 0.7, 2, 2, batches=400, seed=2)
    z = (np.array([least.v, least.v1, least.v2]) - exact(0.7)) / least.standard_error()
    # Beyond 4.5 standard errors three times in 10^5 seeds. A divisor n for n - 1 would halve v and v1.
    assert (np.abs(z) < 4.5).all(), z


def test_the_square_of_the_mean_norm_in_eq_8_as_printed_is_far_off(result):
    g, weights = every_gradient(0.7)
    norms = np.sqrt(np.square(g).sum(axis=-1))
    printed = (norms**2).mean(axis=0) @ weights - (norms.mean(axis=0) @ weights) ** 2
    assert abs(printed - result.v) > 4.5 * result.standard_error()[0]


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1, 4), (6, 1), (6, 4), (30, 3)])
def test_the_prediction_is_the_variance_of_batches_drawn_one_by_one(size, count):
    truth = GradientVariance(*exact(0.7), np.nan, np.tile(exact(0.7), (2, 1)))
    whole = simulated(0.7, size, count, 20_000)
    squares = np.square(whole - whole.mean(axis=0)).sum(axis=1) * 20_000 / 19_999
    # Beyond 4.5 standard errors in 10^-5 of seeds, for each of the five.
    assert abs(squares.mean() - truth.variance(size, count)) < 4.5 * squares.std() / np.sqrt(20_000)


@pytest.mark.parametrize("count", (2, 5))
def test_multi_mix_is_better_than_mixup_at_the_same_cost_from_the_threshold_on(count):
    # Proposition III.2; V1 / V2 is 64.
    parts = GradientVariance(v=80.0, v1=64.0, v2=1.0, threshold=64.0, estimates=np.ones((2, 3)))
    gains = [parts.variance(size * count) - parts.variance(size, count) for size in (63, 64, 65)]
    assert gains[0] < 0 < gains[2] and gains[1] == pytest.approx(0, abs=1e-12)


def test_more_interpolations_lower_the_variance_down_to_that_of_the_pairs(result):
    values = result.variance(32, np.arange(1, 200))
    assert (np.diff(values) < 0).all()
    assert result.variance(32, 10**9) == pytest.approx(result.v1 / 32)
    assert result.variance(1, 1) == pytest.approx(result.v)


def test_predictions_broadcast_and_have_standard_errors(result):
    sizes, counts = np.array([[4], [8]]), np.array([1, 2, 3])
    values, errors = result.variance(sizes, counts), result.standard_error(sizes, counts)
    assert values.shape == errors.shape == (2, 3)
    one = [GradientVariance(*row, 0, None).variance(8, 3) for row in result.estimates]
    assert errors[1, 2] == pytest.approx(np.std(one, ddof=1) / 8)
    assert values[1, 2] == pytest.approx(np.mean(one)) == pytest.approx(result.variance(8, 3))


def test_without_mixing_all_variance_is_that_of_samples():
    plain = gradient_variance(linear(), X, Y, "squared_error", alpha=0, batches=60, seed=3)
    g = gradients(np.arange(5), np.arange(5), 1.0)
    expected = np.square(g - g.mean(axis=0)).sum(axis=1).mean()
    assert abs(plain.v - expected) < 4.5 * plain.standard_error()[0]
    assert (plain.v1, plain.v2, plain.threshold) == (plain.v, 0, np.inf)


def test_the_seed_decides_the_draws_and_blocks_do_not(monkeypatch, result):
    again = gradient_variance(linear(), X, Y, "squared_error", alpha=0.7, batch_size=16, batches=2, seed=1)
    other = gradient_variance(linear(), X, Y, "squared_error", alpha=0.7, batch_size=16, batches=2, seed=4)
    np.testing.assert_array_equal(again.estimates, result.estimates[:2])
    assert not np.isclose(again.estimates, other.estimates).any()
    # The package's attribute of this name is the function.
    module = importlib.import_module("kmix_tf.analysis.gradient_variance")
    monkeypatch.setattr(module, "_BLOCK", 100)
    blocks = gradient_variance(linear(), X, Y, "squared_error", alpha=0.7, batch_size=16, batches=2, seed=1)
    np.testing.assert_allclose(blocks.estimates, again.estimates, rtol=1e-9)


def parts_by_loops(model, loss, x, y, seed):
    """The estimate of one batch from its gradients one by one, product by product."""
    from kmix_tf.ratio import sample_beta
    from kmix_tf.seeding import as_seed, random_bits, split

    pair_seed, ratio_seed = split(split(as_seed(seed), 2)[0], 2)
    first, second = random_bits([2, 3], pair_seed).numpy().astype(int) % len(x)
    ratios = sample_beta([2], 1.0, ratio_seed).numpy()
    g = {}
    for p, r in itertools.product(range(3), range(2)):
        with tf.GradientTape() as tape:
            mix = [ratios[r] * v[first[p]] + (1 - ratios[r]) * v[second[p]] for v in (x, y)]
            value = tf.reduce_mean(loss(mix[1][np.newaxis].astype("f4"), model(mix[0][np.newaxis], training=False)))
        parts = tape.gradient(value, model.trainable_variables)
        g[p, r] = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    products = {(True, True): [], (True, False): [], (False, True): [], (False, False): []}
    for (p, r), (q, s) in itertools.product(g, repeat=2):
        products[p == q, r == s].append(g[p, r] @ g[q, s])
    means = {kind: np.mean(values) for kind, values in products.items()}
    return [means[kind] - means[False, False] for kind in ((True, True), (True, False), (False, True))]


@pytest.mark.parametrize("kind", ["dropout and batch normalisation", "convolution", "recurrent"])
def test_any_model_is_asked_as_in_inference_one_mixture_at_a_time(kind):
    layers, shape = keras.layers, {"convolution": (6, 6, 2), "recurrent": (4, 3)}.get(kind, (3,))
    between = {
        "dropout and batch normalisation": [
            layers.Dense(4, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
        ],
        "convolution": [layers.Conv2D(3, 3, activation="relu"), layers.GlobalMaxPooling2D()],
        "recurrent": [layers.GRU(4)],
    }[kind]
    model = keras.Sequential([layers.Input(shape), *between, layers.Dense(3)])
    x = np.random.default_rng(1).normal(size=(6, *shape)).astype(np.float32)
    y = np.arange(6) % 3
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    ours = gradient_variance(model, x, y, "categorical_crossentropy", 1.0, 2, 3, batches=2, seed=7)
    theirs = gradient_variance(model, x, y, loss, 1.0, 2, 3, batches=2, seed=7)
    oracle = parts_by_loops(model, loss, x, np.eye(3)[y], 7)
    np.testing.assert_allclose(ours.estimates[0], oracle, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(theirs.estimates, ours.estimates, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"alpha": -1}, ValueError, "gradient_variance: alpha must be >= 0 and finite. Received: alpha=-1."),
        ({"interpolations": 1}, ValueError, "interpolations must be an integer >= 2. Received: interpolations=1."),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer >= 2"),
        ({"batches": 1.5}, ValueError, "batches must be an integer >= 2"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0"),
        ({"loss": "mse"}, ValueError, "loss must be one of"),
        ({"loss": 3}, TypeError, "loss must be one of"),
        ({"loss": keras.losses.SparseCategoricalCrossentropy()}, ValueError, "loss must take soft labels"),
        ({"loss": keras.losses.sparse_categorical_crossentropy}, ValueError, "loss must take soft labels"),
        ({"loss": lambda y, u: tf.reduce_mean(u)}, ValueError, "must not reduce over the batch"),
        ({"x": X[:3]}, ValueError, "same number of samples"),
        ({"x": X * np.nan}, ValueError, "x must be finite"),
        ({"y": Y[:, :1]}, ValueError, r"y must be \(n, 2\)"),
        ({"model": lambda x: x}, ValueError, "must have trainable_variables"),
        ({"model": 3}, TypeError, "model must be a Keras model or a callable"),
        ({"loss": lambda y, u: tf.reduce_sum(u, axis=1) / 0.0}, ValueError, "gradients must be finite"),
    ],
    ids=lambda value: None,
)
def test_other_arguments_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        gradient_variance(**{"model": linear(), "x": X, "y": Y, "loss": "squared_error", "batches": 2, **change})


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (1.5, 1), ([], 1)])
def test_only_batches_of_whole_numbers_have_a_variance(result, size, count):
    with pytest.raises(ValueError, match=r"GradientVariance: .* must be integers >= 1"):
        result.variance(size, count)
