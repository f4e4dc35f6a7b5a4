import numpy as np
import pytest
from scipy.stats import beta, chisquare, kstest

from kmix_tf.analysis.perturbation import modified_data, perturbation_covariance
from kmix_tf.analysis.sampled_perturbations import sample_perturbations

X, Y = np.random.default_rng(0).normal(size=(5, 2)) + 3, np.array([0, 1, 1, 0, 2])


@pytest.mark.parametrize("alpha", (0, 0.2, 1.0, 50.0))
def test_shrunk_data_with_the_perturbation_are_mixtures(alpha):
    drawn, shrunk = sample_perturbations(X, Y, alpha, draws=20, seed=3), modified_data(X, Y, alpha)
    labels = np.eye(3)[Y]
    for t in range(20):
        for i in range(5):
            theta, j = drawn.theta[t, i], drawn.partner[t, i]
            np.testing.assert_allclose(shrunk.x[i] + drawn.delta[t, i], theta * X[i] + (1 - theta) * X[j], atol=1e-12)
            mixed = theta * labels[i] + (1 - theta) * labels[j]
            np.testing.assert_allclose(shrunk.y[i] + drawn.epsilon[t, i], mixed, atol=1e-12)


@pytest.mark.parametrize("alpha", (0.3, 2.0))
def test_theta_and_partners_follow_their_distributions_apart_from_one_another(alpha):
    drawn = sample_perturbations(X, Y, alpha, draws=4000, seed=1)
    # Each of the four fails for one seed in 10^4.
    assert kstest(drawn.theta.ravel(), lambda theta: 2 * beta.cdf(theta, alpha, alpha) - 1).pvalue > 1e-4
    own = np.arange(5)
    pairs = np.bincount((5 * own + drawn.partner).ravel(), minlength=25)
    assert chisquare(pairs).pvalue > 1e-4
    cells = np.bincount((5 * (drawn.theta > np.median(drawn.theta)) + drawn.partner).ravel(), minlength=10)
    assert chisquare(cells).pvalue > 1e-4
    neighbours = np.bincount((5 * drawn.partner[:, 1:] + drawn.partner[:, :-1]).ravel(), minlength=25)
    assert chisquare(neighbours).pvalue > 1e-4


def errors_in_standard_errors(values, expected):
    """Of means over the first axis."""
    return (values.mean(axis=0) - expected) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)) + 1e-15)


@pytest.mark.parametrize("alpha", (0.3, 1.0, 6.0))
def test_mean_and_covariances_are_those_of_lemma_1(alpha):
    drawn = sample_perturbations(X, Y, alpha, draws=40_000, seed=2)
    joint = np.concatenate([drawn.delta, drawn.epsilon], axis=2)
    # 25 means, and 75 different products: a normal mean is 5 standard errors off once in 1.7 * 10^6, one of these 100
    # for one seed in 17,000. Their standard errors are about 1 % of what they estimate.
    assert np.abs(errors_in_standard_errors(joint, 0)).max() < 5
    for index in range(5):
        xx, yy, xy = perturbation_covariance(X, Y, alpha, index)
        products = joint[:, index, :, np.newaxis] * joint[:, index, np.newaxis, :]
        assert np.abs(errors_in_standard_errors(products, np.block([[xx, xy], [xy.T, yy]]))).max() < 5


def test_shapes_are_kept_and_the_seed_decides():
    x, y = np.random.default_rng(0).random((4, 2, 3, 1)), np.random.default_rng(1).random((4, 2, 2))
    first, again, other = (sample_perturbations(x, y, 1.0, draws=3, seed=seed) for seed in (1, 1, 2))
    assert first.delta.shape == (3, 4, 2, 3, 1) and first.epsilon.shape == (3, 4, 2, 2)
    assert sample_perturbations(x, y[:, 0, 0], 1.0).epsilon.shape == (1, 4)
    for ours, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, same)
    assert not np.isin(first.theta, other.theta).any()


def test_alpha_0_and_a_single_sample_perturb_nothing():
    assert not sample_perturbations(X, Y, 0, draws=3).delta.any()
    assert not sample_perturbations(X[:1], Y[:1], 1.0, draws=3).delta.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": 0}, "sample_perturbations: draws must be an integer >= 1. Received: draws=0."),
        ({"alpha": -1}, "sample_perturbations: alpha must be >= 0"),
        ({"seed": 2**31}, r"seed must be an integer in \[0, 2\^31\)"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"x": X[:3]}, r"x must be \(n, \.\.\.\) and y"),
        (
            {"draws": 2**26},
            "67108864 draws of 5 samples, of 2 features and 3 targets each, would take 12.5 GiB, more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_perturbations(**{"x": X, "y": Y, "alpha": 1.0, **arguments})
