"""What the experiments of On Mixup Regularization compute on their way, against other ways to it."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from experiments.regularization import common, corollary_3, corruptions, figure_1, proposition_1, theorem_1
from kmix_tf.analysis import mixup_risk, modified_data


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_quadrature_of_theta_is_that_of_a_beta_distribution_cut_at_a_half(alpha):
    theta, weights = theorem_1.folded(alpha, 40)
    for power in (0, 1, 2):
        # The lower half mirrored has the density twice, without the singularity that quad fears at 1.
        expected = beta(alpha, alpha).expect(lambda u, power=power: 2 * (1 - u) ** power, lb=0, ub=0.5)
        np.testing.assert_allclose(weights @ theta**power, expected, rtol=1e-6)


def test_bayes_classifier_of_half_circles_is_the_ratio_of_their_densities():
    x, noise = np.array([[0.5, 0.3], [1.2, 0.1], [-0.5, 0.4]]), 0.3

    def density(point, curve):
        squares = lambda t: sum((a - b) ** 2 for a, b in zip(point, curve(t), strict=True))  # noqa: E731
        return quad(lambda t: np.exp(-squares(t) / (2 * noise**2)), 0, np.pi)[0]

    for point, found in zip(x, figure_1.bayes(x, noise), strict=True):
        upper = density(point, lambda t: (np.cos(t), np.sin(t)))
        lower = density(point, lambda t: (1 - np.cos(t), 0.5 - np.sin(t)))
        assert found == pytest.approx(lower / (upper + lower), abs=1e-5)


def test_all_mixtures_have_the_risk_of_many_random_ones():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(6, 2)), generator.normal(size=(6, 3))
    w, b = generator.normal(size=(2, 3)), generator.normal(size=3)
    ratio, pairs = generator.beta(0.5, 0.5, (400_000, 1)), generator.integers(6, size=(2, 400_000))
    mixed = [ratio * v[pairs[0]] + (1 - ratio) * v[pairs[1]] for v in (x, y)]
    sampled = np.square(mixed[0] @ w + b - mixed[1]).sum(axis=1).mean() / 2
    assert corollary_3.risk(*corollary_3.all_mixtures(x, y, 0.5), w, b) == pytest.approx(sampled, rel=0.01)


def test_fitted_probabilities_have_the_means_that_a_minimum_has():
    x, y = theorem_1.a_few(0, 200, 5)
    np.testing.assert_allclose(x.T @ (proposition_1.fitted(x, y) - y), 0, atol=1e-3)


def test_label_smoothing_has_the_targets_of_modified_data_and_the_features_of_the_data():
    data = common.digits(0, 50)
    x, y, layer = common.trained_on(common.SMOOTHED, data, 0.7)
    np.testing.assert_allclose(y, modified_data(data.x, data.y, 0.7).y, atol=1e-6)
    assert x is data.x and layer is None


def test_risk_of_sampled_mixtures_is_mixups_risk():
    data = common.noisy_moons(0)
    data = data._replace(x=data.x[:20], y=data.y[:20], classes=data.classes[:20])
    network = common.random_features(30, 2.0)
    network.layers[-1].set_weights([np.random.default_rng(0).normal(size=(30, 1)) * 5])
    found = common.of_risk(network, data, 1.0, "binary_crossentropy", 200_000, 0)
    exact = mixup_risk(network, data.x, data.y, 1.0, "binary_crossentropy")
    assert found["mixup's risk"] == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_corruptions_stay_images_and_grow_with_their_intensity(kind):
    x = common.digits(0, 10).x
    found = [corruptions.corrupted(x, kind, intensity, seed=3) for intensity in range(1, 6)]
    distances = [float(np.square(each - x).mean()) for each in found]
    assert distances == sorted(distances) and distances[0] > 0
    assert all(each.min() >= 0 and each.max() <= 1 and each.dtype == np.float32 for each in found)
    np.testing.assert_array_equal(found[2], corruptions.corrupted(x, kind, 3, seed=3))
