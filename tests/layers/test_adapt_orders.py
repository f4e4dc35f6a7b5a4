"""`adapt(match_alpha=True)`: data in any order, a stated precision, and what it reaches."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, optimize, stats
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris, load_wine

from kmix_tf import BetaRatio, KMixupLayer, MixLayer, OptimalTransportPairing, OtherClassPairing
from kmix_tf.layers.adaptation import ClassesOfBatches


def gamma_squared(alpha):
    """E[min(l, 1 - l)^2] by quadrature."""
    return 2 * integrate.quad(lambda x: x**2 * stats.beta.pdf(x, alpha, alpha), 0, 0.5)[0]


def oracle(x, k, alpha, trials=4000):
    """By SciPy, on random groups of all data, columns at standard deviation 1; with the cost of each."""
    points = (x - x.mean(axis=0)) / x.std(axis=0)
    rng, costs = np.random.default_rng(5), []
    for _ in range(trials):
        rows = rng.permutation(len(points))[: 2 * k]
        squares = cdist(points[rows[:k]], points[rows[k:]], "sqeuclidean")
        costs.append(squares[optimize.linear_sum_assignment(squares)].mean())
    # Of two different ones of n rows.
    plain = 2 * points.var(axis=0).sum() * len(x) / (len(x) - 1)
    wanted = gamma_squared(alpha) * plain / np.mean(costs)
    return optimize.brentq(lambda other: gamma_squared(other) - wanted, 0.05, 500), plain, np.mean(costs)


# Batches that k divides, so that all groups are of k.
SORTED = {"iris": (load_iris, 5, 0.6, 50), "wine": (load_wine, 8, 0.8, 32)}


@pytest.mark.parametrize("name", SORTED)
def test_arrays_sorted_by_class_give_the_alpha_of_shuffled_ones(name):
    load, k, alpha, size = SORTED[name]
    x, y = load(return_X_y=True)
    x = x[: len(x) // size * size] if name == "iris" else x[np.r_[0:59, 59:130, 130:160]]
    assert (np.diff(y[: len(x)]) >= 0).all()
    truth, plain, _ = oracle(x, k, alpha)
    layer = KMixupLayer(k, alpha, num_classes=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        layer.adapt((x, y[: len(x)]), batch_size=size, match_alpha=True)
    # Two standard errors of each are 3 % and about 5 %; class by class it is half of that, or a fifth more.
    assert layer.matched_alpha == pytest.approx(truth, rel=0.1)
    assert 2 * layer.matched_alpha_error <= 0.03 * layer.matched_alpha
    # What is reached is what was asked for.
    assert layer.plain_perturbation == pytest.approx(np.sqrt(gamma_squared(alpha) * plain), rel=0.02)
    assert layer.matched_perturbation == pytest.approx(layer.plain_perturbation, rel=1e-6)
    assert 0 < layer.matched_perturbation_error < 0.02 * layer.matched_perturbation


def test_alphas_of_many_orders_lie_within_the_precision():
    x = np.random.default_rng(2).normal(size=(96, 3)) * [1, 1, 2]
    found = []
    for seed in range(8):
        layer = KMixupLayer(8, 0.2)
        layer.adapt(np.random.default_rng(seed).permutation(x), batch_size=32, match_alpha=True)
        found.append(layer.matched_alpha)
    # A standard error of 1.5 %: by the chi square distribution, 3.2 % are seen once in 10^5 runs.
    assert np.std(found, ddof=1) < 0.032 * np.mean(found)
    assert len(set(found)) == 8


def batches_of(x, y, size):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


@pytest.mark.parametrize("form", ["classes", "one-hot", "packed"])
def test_datasets_sorted_by_class_are_warned_of(form):
    x, y = load_iris(return_X_y=True)
    targets = np.eye(3, dtype=np.float32)[y] if form == "one-hot" else y
    layer = KMixupLayer(4, 0.3, num_classes=3, targets="packed" if form == "packed" else "mixed")
    with pytest.warns(UserWarning, match=r"KMixupLayer: data seem to come sorted by class: .* in 60% .* in 33%"):
        layer.adapt(batches_of(x, targets, 64), match_alpha=True)
    # Not where only scales are learnt, nor of data that come shuffled.
    order = np.random.default_rng(0).permutation(150)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        layer.adapt(batches_of(x, targets, 64))
        layer.adapt(batches_of(x[order], targets[order], 64), match_alpha=True)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.98, 0.02), (0.9, 0.05, 0.05), (0.1,) * 10], ids=str)
@pytest.mark.parametrize("size", [8, 64])
def test_shuffled_labels_do_not_look_sorted(shares, size):
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for _ in range(200):
            classes, labels = ClassesOfBatches(), rng.choice(len(shares), 4 * size, p=shares)
            for part in np.split(labels, 4):
                classes.add(part)
            classes.warn()


def test_of_a_dataset_all_passes_count():
    # Shuffled anew in each pass, as in training, it gives what arrays give.
    x = np.random.default_rng(2).normal(size=(96, 3))
    dataset = tf.data.Dataset.from_tensor_slices((x, x[:, 0])).shuffle(96, seed=1).batch(32)
    layer, other = KMixupLayer(8, 0.5), KMixupLayer(8, 0.5)
    layer.adapt(dataset, match_alpha=True)
    other.adapt(x, batch_size=32, match_alpha=True)
    assert layer.matched_alpha == pytest.approx(other.matched_alpha, rel=0.06)
    assert 2 * layer.matched_alpha_error <= 0.03 * layer.matched_alpha


def test_the_last_class_counts_even_where_data_are_sorted():
    # The pairs of different classes are found in a map; labels of arrays are shuffled along.
    x = np.repeat([[0.0], [1.0], [10.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(60, 1)) / 10
    layer = MixLayer(OtherClassPairing(), num_classes=3)
    layer.adapt((x, np.repeat([0, 1, 2], 20)), batch_size=30, match_alpha=True)
    assert 0.1 < layer.matched_alpha < 1


def test_out_of_reach_the_largest_is_taken_and_what_it_reaches_is_told():
    x = np.random.default_rng(1).normal(size=(60, 1))
    layer = KMixupLayer(30, 1.0)
    layer.adapt(x, batch_size=60, match_alpha=True, largest=8.0)
    assert (layer.matched_alpha, layer.matched_alpha_error) == (8.0, 0.0)
    z = (x - x.mean()) / x.std()
    rng, costs = np.random.default_rng(0), []
    for _ in range(400):
        rows = rng.permutation(60)
        costs.append(np.square(np.sort(z[rows[:30], 0]) - np.sort(z[rows[30:], 0])).mean())
    reached = np.sqrt(gamma_squared(8) * np.mean(costs))
    error = reached / 2 * np.std(costs) / np.mean(costs) / 20
    apart = abs(layer.matched_perturbation - reached)
    assert apart < 5 * np.hypot(error, layer.matched_perturbation_error)
    assert layer.plain_perturbation > 2 * layer.matched_perturbation
    # It is saved, and what an older version saved is read.
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    for name in ("matched_alpha_error", "matched_perturbation", "matched_perturbation_error", "plain_perturbation"):
        assert getattr(back, name) == getattr(layer, name) is not None
    old = KMixupLayer(4, adapted={"scales": None, "alpha": 2.0})
    assert (old.matched_alpha, old.matched_perturbation) == (2.0, None)
    assert old.adapted == {"scales": None, "alpha": 2.0}


def test_a_largest_alpha_beyond_the_one_found_changes_nothing():
    x = np.random.default_rng(2).normal(size=(96, 3))
    found = []
    for largest in (None, 50.0):
        layer = MixLayer(OptimalTransportPairing(8), BetaRatio(0.5))
        layer.adapt(x, batch_size=32, match_alpha=True, largest=largest)
        found.append(layer.matched_alpha)
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_what_falls_short_of_the_precision_is_warned_of(monkeypatch):
    monkeypatch.setattr("kmix_tf.layers.adaptation._MOST_BATCHES", 20)
    x = np.random.default_rng(2).normal(size=(96, 2))
    layer = KMixupLayer(8, 0.5)
    message = r"KMixupLayer: the alpha .* within 0\.\d+ of itself, after 2\d batches. Received: precision=0.001"
    with pytest.warns(UserWarning, match=message):
        layer.adapt(x, batch_size=32, match_alpha=True, precision=0.001)
    assert layer.matched_alpha_error > 0.0005 * layer.matched_alpha


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest": 0.3, "match_alpha": True}, "largest must be >= alpha, which is 0.5. Received: largest=0.3"),
        ({"largest": -1, "match_alpha": True}, "largest must be > 0 and finite"),
        ({"largest": 3.0}, "largest must be None where match_alpha=False"),
        ({"precision": 0, "match_alpha": True}, "precision must be > 0 and finite"),
    ],
    ids=str,
)
def test_other_bounds_and_precisions_are_refused(options, message):
    with pytest.raises(ValueError, match=f"KMixupLayer: {message}"):
        KMixupLayer(4, 0.5).adapt(np.zeros((20, 2)), **options)
