"""The parts of the gradient's variance, against exact values: all pairs enumerated, ratios by quadrature."""

import importlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import roots_jacobi

from kmix_tf import MultiMixLayer
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


def parts_of(g, weights):
    """v, v1, v2, c and h of gradients of all pairs `(n * n, ratios, d)`, by their definitions."""

    def square(values):
        return np.square(values).sum(axis=-1)

    of_pairs, of_ratios = np.einsum("prd,r->pd", g, weights), g.mean(axis=0)
    mean = of_pairs.mean(axis=0)
    v = square(g - mean).mean(axis=0) @ weights
    size = round(len(g) ** 0.5)
    square_of_pairs = g.reshape(size, size, *g.shape[1:])
    # What a sample does as itself and as a partner, `(n, ratios, d)`.
    itself, partner = (square_of_pairs.mean(axis=axis) - of_ratios for axis in (1, 0))
    c = (itself * partner).sum(axis=-1).mean(axis=0) @ weights
    h = square(np.einsum("nrd,r->nd", itself, weights)).mean()
    return v, square(of_pairs - mean).mean(), square(of_ratios - mean) @ weights, c, h


def exact(alpha):
    return parts_of(*every_gradient(alpha))


def simulated(alpha, size, count, repetitions, seed=0):
    """Gradients of whole batches `(repetitions, 6)`, each of `size` pairs mixed by the same `count` ratios."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 5, (2, repetitions, size, 1))
    ratios = rng.beta(alpha, alpha, (repetitions, 1, count))
    first, second, ratios = np.broadcast_arrays(first, second, ratios)
    return gradients(first, second, ratios).mean(axis=(1, 2))


def values_of(result):
    return np.array([result.v, result.v1, result.v2, result.c, result.h])


@pytest.fixture(scope="module")
def result():
    return gradient_variance(linear(), X, Y, "squared_error", alpha=0.7, batch_size=16, batches=128, seed=1)


def test_the_parts_are_those_of_enumeration_within_their_standard_errors(result):
    values, errors = values_of(result), result.standard_error()
    z = (values - exact(0.7)) / errors
    # Five tests of 128 batches: beyond 4.5, by Student's distribution, less than once in 10^4 seeds.
    assert (np.abs(z) < 4.5).all(), z
    assert (errors[:2] < 0.15 * values[:2]).all()
    # An estimate of v2 may be negative; then no batch is large enough.
    expected = (result.v1 + 2 * result.h) / result.v2 if result.v2 > 0 else np.inf
    assert result.threshold == pytest.approx(expected)


def test_the_estimates_are_unbiased_even_of_four_pairs_and_two_ratios():
    least = gradient_variance(linear(), X, Y, "squared_error", 0.7, 2, 4, batches=400, seed=2)
    z = (values_of(least) - exact(0.7)) / least.standard_error()
    # Beyond 4.5 standard errors five times in 10^5 seeds. A divisor n for n - 1 would halve v and v1.
    assert (np.abs(z) < 4.5).all(), z


def test_the_square_of_the_mean_norm_in_eq_8_as_printed_is_far_off(result):
    g, weights = every_gradient(0.7)
    norms = np.sqrt(np.square(g).sum(axis=-1))
    printed = (norms**2).mean(axis=0) @ weights - (norms.mean(axis=0) @ weights) ** 2
    assert abs(printed - result.v) > 4.5 * result.standard_error()[0]


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1, 4), (6, 1), (6, 4), (30, 3)])
def test_of_two_loaders_it_is_the_variance_of_independent_pairs_drawn_one_by_one(size, count):
    parts = exact(0.7)
    truth = GradientVariance(*parts[:3], np.nan, np.tile(parts, (2, 1)), *parts[3:]).of_two_loaders()
    whole = simulated(0.7, size, count, 20_000)
    squares = np.square(whole - whole.mean(axis=0)).sum(axis=1) * 20_000 / 19_999
    # Beyond 4.5 standard errors in 10^-5 of seeds, for each of the five.
    assert abs(squares.mean() - truth.variance(size, count)) < 4.5 * squares.std() / np.sqrt(20_000)


TOY = np.random.default_rng(158)
TOY_X, TOY_Y = TOY.normal(size=(2, 6)).astype(np.float32)


def toy_gradients(mixed, targets):
    """Of 1/2 (u - y)^2 with u = w x + b, at w = 1, b = 0."""
    residual = mixed - targets
    return np.stack([mixed * residual, residual], axis=-1)


@pytest.fixture(scope="module")
def toy():
    """All of it exactly: the six samples' pairs enumerated, uniform ratios by Gauss and Legendre."""
    points, weights = np.polynomial.legendre.leggauss(8)
    ratio, first, second = (1 + points) / 2, np.repeat(np.arange(6), 6)[:, np.newaxis], np.tile(np.arange(6), 6)
    mixed, targets = (ratio * v[first] + (1 - ratio) * v[second[:, np.newaxis]] for v in (TOY_X, TOY_Y))
    parts = parts_of(toy_gradients(mixed, targets), weights / 2)
    estimates = np.tile(parts, (2, 1))
    return GradientVariance(*parts[:3], (parts[1] + 2 * parts[4]) / parts[2], estimates, *parts[3:])


BATCHES = 6000


def layers_gradients(size, count):
    """Gradients of whole batches as the layer makes them, `(BATCHES, 2)`, of samples drawn independently."""
    layer = MultiMixLayer(count)
    rows = np.random.default_rng([size, count]).integers(0, 6, (BATCHES, size))

    @tf.function
    def mixed(batch):
        number, rows = batch
        return layer(tf.gather(TOY_X, rows)[:, tf.newaxis], tf.gather(TOY_Y, rows), seed=tf.stack([1, number]))

    specs = (tf.TensorSpec([size * count, 1]), tf.TensorSpec([size * count]))
    x, y = tf.map_fn(mixed, (tf.range(BATCHES), tf.constant(rows)), fn_output_signature=specs)
    return toy_gradients(x.numpy()[..., 0].astype(np.float64), y.numpy().astype(np.float64)).mean(axis=1)


@pytest.mark.parametrize(("size", "count"), [(3, 1), (3, 4), (16, 1), (16, 5)])
def test_the_prediction_is_the_variance_of_batches_that_the_layer_makes(toy, size, count):
    whole = layers_gradients(size, count)
    squares = np.square(whole - whole.mean(axis=0)).sum(axis=1) * BATCHES / (BATCHES - 1)
    error = squares.std() / np.sqrt(BATCHES)
    # Beyond 4.5 standard errors in 10^-5 of seeds, for each of the four.
    assert abs(squares.mean() - toy.variance(size, count)) < 4.5 * error
    # That of independent pairs is far off, the more so the more interpolations.
    assert squares.mean() - toy.of_two_loaders().variance(size, count) > 4.5 * error


def test_the_threshold_of_the_layers_batches_is_nearly_twice_that_of_independent_pairs(toy):
    assert toy.of_two_loaders().threshold == pytest.approx(27.7, abs=0.05)
    assert toy.threshold == pytest.approx(48.9, abs=0.05)


@pytest.mark.parametrize("count", (2, 5))
def test_multi_mix_is_better_than_mixup_at_the_same_cost_from_the_threshold_on(count):
    # Proposition III.2; (V1 + 2 H) / V2 is 64.
    parts = GradientVariance(80.0, 40.0, 1.0, 64.0, np.ones((2, 5)), c=5.0, h=12.0)
    gains = [parts.variance(size * count) - parts.variance(size, count) for size in (63, 64, 65)]
    assert gains[0] < 0 < gains[2] and gains[1] == pytest.approx(0, abs=1e-12)


def test_more_interpolations_lower_the_variance_down_to_that_of_the_pairs(result):
    values = result.variance(32, np.arange(1, 200))
    assert (np.diff(values) < 0).all()
    assert result.variance(32, 10**9) == pytest.approx((result.v1 + 2 * result.h) / 32)
    assert result.of_two_loaders().variance(32, 10**9) == pytest.approx(result.v1 / 32)
    assert result.variance(1, 1) == pytest.approx(result.v)


def test_predictions_broadcast_and_have_standard_errors(result):
    sizes, counts = np.array([[4], [8]]), np.array([1, 2, 3])
    values, errors = result.variance(sizes, counts), result.standard_error(sizes, counts)
    assert values.shape == errors.shape == (2, 3)
    one = [GradientVariance(*row[:3], 0, None, *row[3:]).variance(8, 3) for row in result.estimates]
    assert errors[1, 2] == pytest.approx(np.std(one, ddof=1) / 128**0.5)
    assert values[1, 2] == pytest.approx(np.mean(one)) == pytest.approx(result.variance(8, 3))


def test_without_mixing_all_variance_is_that_of_samples():
    plain = gradient_variance(linear(), X, Y, "squared_error", alpha=0, batches=60, seed=3)
    g = gradients(np.arange(5), np.arange(5), 1.0)
    expected = np.square(g - g.mean(axis=0)).sum(axis=1).mean()
    assert abs(plain.v - expected) < 4.5 * plain.standard_error()[0]
    assert (plain.v1, plain.v2, plain.c, plain.h, plain.threshold) == (plain.v, 0, 0, 0, np.inf)


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

    sample_seed, ratio_seed = split(split(as_seed(seed), 2)[0], 2)
    first = random_bits([5], sample_seed).numpy().astype(int) % len(x)
    ratios = sample_beta([2], 1.0, ratio_seed).numpy()
    g = {}
    for p, r in itertools.product(range(5), range(2)):
        with tf.GradientTape() as tape:
            mix = [ratios[r] * v[first[p]] + (1 - ratios[r]) * v[first[(p + 1) % 5]] for v in (x, y)]
            value = tf.reduce_mean(loss(mix[1][np.newaxis].astype("f4"), model(mix[0][np.newaxis], training=False)))
        parts = tape.gradient(value, model.trainable_variables)
        g[p, r] = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    products = {}
    for (p, r), (q, s) in itertools.product(g, repeat=2):
        # Of five on a circle, 1 and 4 steps lead to a neighbour.
        distance = {0: "same", 1: "beside", 4: "beside"}.get((p - q) % 5, "apart")
        products.setdefault((distance, r == s), []).append(g[p, r] @ g[q, s])
    means = {kind: np.mean(values) for kind, values in products.items()}
    apart = means["apart", False]
    parts = [means["same", True], means["same", False], means["apart", True]]
    c = means["beside", True] - means["apart", True]
    return [*(part - apart for part in parts), c, means["beside", False] - apart]


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
    ours = gradient_variance(model, x, y, "categorical_crossentropy", 1.0, 2, 5, batches=2, seed=7)
    theirs = gradient_variance(model, x, y, loss, 1.0, 2, 5, batches=2, seed=7)
    oracle = parts_by_loops(model, loss, x, np.eye(3)[y], 7)
    np.testing.assert_allclose(ours.estimates[0], oracle, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(theirs.estimates, ours.estimates, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"alpha": -1}, ValueError, "gradient_variance: alpha must be >= 0 and finite. Received: alpha=-1."),
        ({"interpolations": 1}, ValueError, "interpolations must be an integer >= 2. Received: interpolations=1."),
        ({"batch_size": 3}, ValueError, "batch_size must be an integer >= 4"),
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
