"""What the functions of the package say of samples and labels that are no numbers, or name too many classes."""

import re

import matplotlib
import numpy as np
import pytest
import tensorflow as tf

matplotlib.use("Agg")

from kmix_tf import analysis, plot
from kmix_tf.analysis.collinearity import collinear_samples
from kmix_tf.analysis.conflicts import label_conflicts
from kmix_tf.analysis.flip import flip_threshold
from kmix_tf.analysis.intrusion import intrusion_distances
from kmix_tf.analysis.optimal_classifier import mixup_optimal_classifier
from kmix_tf.maths import samples

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12) % 3
NAMES = np.array(["cat", "dog", "emu"])[Y]

ONE_HOT = {
    "intrusion_distances": lambda x, y: intrusion_distances(x, y, 1.0, epochs=9),
    "mixup_optimal_classifier": lambda x, y: mixup_optimal_classifier(x, y, X[:1], 1.0, 0.5),
    "flip_threshold": lambda x, y: flip_threshold(x, y, 0.1, max_points=1),
    "collinear_samples": collinear_samples,
    "perturbation_covariance": lambda x, y: analysis.perturbation_covariance(x, y, 1.0, 0),
    "modified_data": lambda x, y: analysis.modified_data(x, y, 1.0),
    "kmixup_perturbation_covariance": lambda x, y: analysis.kmixup_perturbation_covariance(x, y, 1.0, 0, 2, 5),
    "plot_vicinal": lambda x, y: plot.plot_vicinal(x, y, 2, samples=5),
}
ANY_CLASSES = {
    "distance_profile": analysis.distance_profile,
    "lipschitz_lower_bound": lambda x, y: analysis.lipschitz_lower_bound(x, y, 0.1),
}
LABELLED = {**ONE_HOT, **ANY_CLASSES, "label_conflicts": lambda x, y: label_conflicts(x, y, 1.0, 20)}
FEATURES = {
    **LABELLED,
    "mean_matching_cost": lambda x, y: analysis.mean_matching_cost(x, 2),
    "match_alpha": lambda x, y: analysis.match_alpha(x, 2, 1.0),
    "gradient_variance": lambda x, y: analysis.gradient_variance(len, x, y, "squared_error"),
    "mixup_risk": lambda x, y: analysis.mixup_risk(len, x, y, 1.0, "squared_error"),
}
COLUMNED = {
    "expected_calibration_error": lambda y: analysis.expected_calibration_error(y, np.eye(3)[Y]),
    "reliability_curve": lambda y: analysis.reliability_curve(y, np.eye(3)[Y]),
    "plot_reliability": lambda y: plot.plot_reliability(y, {"a model": np.eye(3)[Y]}),
    "entropy_bound": lambda y: analysis.entropy_bound(y, np.eye(3)[Y], 0.5),
    "gradient_variance": lambda y: analysis.gradient_variance(len, X, y, "squared_error"),
    "fgsm": lambda y: analysis.fgsm(lambda x: x, X, y, 0.1, "squared_error"),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("labels", [NAMES, NAMES.astype(object), NAMES.tolist()], ids=["text", "objects", "a list"])
def test_names_for_labels_are_refused_with_what_makes_classes_of_them(name, labels):
    message = (
        re.escape(f"{name}: y must be real numbers. Received: y of dtype ") + ".*, such as 'cat'. Take np.unique"
    )
    with pytest.raises(ValueError, match=message):
        LABELLED[name](X, labels)


@pytest.mark.parametrize("name", COLUMNED)
def test_names_for_labels_are_refused_with_the_columns_that_they_should_be(name):
    with pytest.raises(ValueError, match=f"{name}: y must be real numbers.*Take the column of each sample's class"):
        COLUMNED[name](NAMES)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("text", ["?", "1"])
def test_text_for_features_is_refused_even_where_it_spells_numbers(name, text):
    message = f"{name}: x must be real numbers. Received: x of dtype <U1, such as {text!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        FEATURES[name](np.full(X.shape, text), Y)


def test_signals_and_probabilities_of_text_are_refused():
    for call, message in (
        (lambda: analysis.local_mixup_interpolant(NAMES, 2), "local_mixup_interpolant: y must be real numbers"),
        (lambda: plot.plot_interpolants(NAMES, 2), "plot_interpolants: y must be real numbers"),
        (lambda: analysis.expected_calibration_error(Y, [["a"] * 3] * 12), "probabilities must be real numbers"),
        (lambda: mixup_optimal_classifier(X, Y, [["a", "b"]], 1.0, 0.5), "points must be real numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([[1.0], [1.0, 2.0]], "x with rows of several lengths."),
        (X + 1j, "x of dtype complex128, such as ("),
        (np.array(["2020-01-01"] * 3, "M8[D]"), "x of dtype datetime64[D], such as "),
        ([1.0, "2"], "x of dtype <U"),
        (np.array([1.0, "2"], object), "x of dtype object, such as 1.0."),
        ([1.0, object()], "x of dtype object, such as 1.0."),
    ],
    ids=["ragged", "complex", "dates", "mixed", "mixed objects", "an object"],
)
def test_what_is_no_array_of_real_numbers_is_said_to_be_what_it_is(values, problem):
    with pytest.raises(ValueError, match=re.escape(f"kmix_tf: x must be real numbers. Received: {problem}")):
        samples.as_numbers("x", values)


def test_numbers_of_any_dtype_are_taken():
    for values in ([1, 2], np.array([1, 2.0], object), tf.constant([1.0, 2.0], tf.bfloat16), np.array([1, 2], "u8")):
        numbers = samples.as_numbers("x", values)
        assert numbers.dtype == np.float64 and numbers.tolist() == [1.0, 2.0]
    assert samples.real_array("x", tf.constant([1.0], tf.bfloat16)).dtype == tf.bfloat16.as_numpy_dtype


@pytest.mark.parametrize("name", ONE_HOT)
def test_labels_too_large_for_a_column_each_are_refused_with_what_makes_small_ones_of_them(name):
    message = (
        rf"{name}: integer classes must be < 16384, since there are max\(y\) \+ 1 of them. "
        r"Received: classes up to 1000000000. Take np.unique\(y, return_inverse=True\)\[1\] for y."
    )
    with pytest.raises(ValueError, match=message):
        ONE_HOT[name](X, np.array([0, 1, 10**9])[Y])


@pytest.mark.parametrize("labels", [np.array([0, 2**63], np.uint64), np.array([3, 16384])], ids=["2^63", "16384"])
def test_the_first_label_too_large_is_16384_and_no_larger_one_wraps(labels):
    with pytest.raises(ValueError, match=f"kmix_tf: integer classes must be < 16384.* up to {labels.max()}"):
        samples.samples_of([0.0, 1.0], labels)


def test_labels_below_the_limit_are_one_hot_with_a_column_for_each_up_to_the_largest():
    x, y = samples.samples_of([0.0, 1.0, 2.0], [3, 16383, 0])
    assert y.shape == (3, 16384) and y.dtype == np.float64
    np.testing.assert_array_equal(np.argwhere(y), [[0, 3], [1, 16383], [2, 0]])
    assert y.max() == 1
    np.testing.assert_array_equal(samples.samples_of(x, [True, False, True])[1], [[0, 1], [1, 0], [0, 1]])


def test_conflicts_of_booleans_are_those_of_the_classes_0_and_1():
    found = label_conflicts(X, Y > 0, 1.0, 200)
    assert found == label_conflicts(X, (Y > 0).astype(int), 1.0, 200)
    assert {type(label) for one in found.triples for label in one[:3]} == {int}


def test_conflicts_of_far_labels_are_those_of_near_ones():
    near, far = (label_conflicts(X, np.array(names)[Y], 1.0, 200) for names in ([0, 1, 2], [5, 700, 10**18]))
    assert near[:5] == far[:5] and len(near.triples) == len(far.triples) > 1
    renamed = {0: 5, 1: 700, 2: 10**18}
    assert [tuple(renamed[c] for c in one[:3]) + one[3:] for one in near.triples] == [tuple(t) for t in far.triples]


@pytest.mark.parametrize("name", ANY_CLASSES)
def test_where_no_result_has_a_column_for_each_any_integers_name_classes(name):
    far, near = (ANY_CLASSES[name](X, labels) for labels in (np.array([7, 10**9, 10**18])[Y], Y))
    np.testing.assert_equal(far, near)
