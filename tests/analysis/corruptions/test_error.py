import numpy as np
import pytest

from kmix_tf.analysis.corruptions import corrupt, corruptions, mean_corruption_error


def test_it_is_the_mean_over_corruptions_of_quotients_of_sums_over_severities():
    errors = {"fog": [0.1, 0.2, 0.6], "jpeg": np.array([0.3, 0.3, 0.3])}
    baseline = {"jpeg": [0.2, 0.4, 0.3], "fog": [0.5, 0.5, 0.8]}
    # (0.9 / 1.8 + 0.9 / 0.9) / 2. Quotients at each severity would give (1.35 / 3 + 3.25 / 3) / 2 = 0.77.
    assert mean_corruption_error(errors, baseline) == pytest.approx(0.75)
    assert mean_corruption_error(errors) == pytest.approx(0.3)
    assert mean_corruption_error(baseline, baseline) == pytest.approx(1)


def test_percent_are_as_good_as_shares_with_a_baseline():
    errors, baseline = {"fog": [0.1, 0.3]}, {"fog": [0.3, 0.5]}
    percent = [{"fog": [100 * value for value in each["fog"]]} for each in (errors, baseline)]
    assert mean_corruption_error(*percent) == pytest.approx(mean_corruption_error(errors, baseline))


def test_corruptions_of_different_numbers_of_severities_weigh_alike():
    assert mean_corruption_error({"fog": [0.1] * 5, "jpeg": [0.5]}) == pytest.approx(0.3)


def test_a_classifier_is_asked_as_the_docstring_says(photographs):
    images = photographs(16)
    classes = images.mean(axis=(1, 2, 3)) > 0.5

    def error(images):
        return ((images.mean(axis=(1, 2, 3)) > 0.5) != classes).mean()

    errors = {name: [error(corrupt(images, name, s)) for s in range(1, 6)] for name in corruptions()}
    # By its mean, light tells it nothing any more, and blur does not confuse it.
    assert max(errors, key=lambda name: sum(errors[name])) in ("brightness", "fog")
    assert sum(errors["contrast"]) == 0
    assert 0 < mean_corruption_error(errors) < np.mean(errors["brightness"])


FOG = {"fog": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("errors", "baseline", "error", "message"),
    [
        (
            [0.1],
            None,
            TypeError,
            r"mean_corruption_error: errors must be errors at each .*\. Received: errors=\[0.1\]",
        ),
        ({}, None, ValueError, "errors must be of one corruption at least. Received: none."),
        ({"fog": 0.3}, None, ValueError, r"errors\['fog'\] must be a list of numbers >= 0, .* Received: 0.3."),
        ({"fog": []}, None, ValueError, r"errors\['fog'\] must be a list of numbers >= 0"),
        ({"fog": [-0.1]}, None, ValueError, r"Received: \[-0.1\]"),
        ({"fog": [np.nan]}, None, ValueError, r"errors\['fog'\] must be finite"),
        (FOG, {"jpeg": [0.1, 0.2]}, ValueError, "same corruptions .* Received: 2 of fog and 2 of jpeg."),
        (FOG, {"fog": [0.1]}, ValueError, "Received: 2 of fog and 1 of fog."),
        (FOG, {"fog": [0, 0]}, ValueError, "baseline_errors must not be all 0, .* Received: zeros for 'fog'."),
        (FOG, {"fog": [0.1, "a"]}, ValueError, r"baseline_errors\['fog'\] must be real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(errors, baseline, error, message):
    with pytest.raises(error, match=message):
        mean_corruption_error(errors, baseline)
