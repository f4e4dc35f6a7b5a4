"""What to start with, from measures made by hand."""

import pytest

from kmix_tf.cli.audit.advice import suggestion as advised
from kmix_tf.cli.audit.geometry import CARE_DUE, CONTRADICTORY, FAILING, SAFE, verdict


def suggestion(measures, level, classes, standardized, prepare=None, alpha=1.0):
    return advised(measures, {"level": level, "alpha": alpha}, classes, standardized, prepare)


def test_how_labels_are_encoded_comes_with_the_suggestion(made):
    assert suggestion(made(), SAFE, 3, False)["prepare"] is None
    assert suggestion(made(), SAFE, 3, False, "y = y + 1")["prepare"] == "y = y + 1"


def test_where_it_is_safe_alpha_matches_plain_mixup_at_1(made):
    found = suggestion(made(alpha_k=2.345), SAFE, 10, False)
    assert (found["k"], found["alpha"], found["code"]) == (16, 2.3, "KMixupLayer(16, alpha=2.3, num_classes=10)")
    assert "perturbs as much as plain mixup at alpha = 1" in found["why"] and "90.0 %" in found["why"]


@pytest.mark.parametrize("alpha", [0.2, 32.0])
def test_where_it_is_safe_alpha_is_the_one_asked_for(made, alpha):
    found = suggestion(made(alpha_k=None), SAFE, 10, False, alpha=alpha)
    assert found["alpha"] == alpha and f"alpha={alpha:g}" in found["code"]


def test_where_strong_mixing_gives_cause_for_care_the_largest_alpha_that_does_not_is_taken(made):
    measures = made((0.0, 0.0, 0.03))
    assert verdict(measures, 32.0)["level"] == CARE_DUE
    assert suggestion(measures, CARE_DUE, 3, False, alpha=32.0)["alpha"] == 1.0


def test_with_contradictory_labels_mixing_is_as_weak_as_measured(made):
    measures = made(contradicted=(None, None, None), copies=1000, epsilon=0.0)
    found = suggestion(measures, CONTRADICTORY, 3, False)
    assert found["alpha"] == 0.2 and found["alternatives"] == []


@pytest.mark.parametrize(("alpha_k", "alpha"), [(4.0, 4.0), (4.01, 1.0), (None, 1.0)])
def test_an_alpha_too_large_to_draw_anything_but_halves_is_not_suggested(made, alpha_k, alpha):
    assert suggestion(made(alpha_k=alpha_k), SAFE, 3, False)["alpha"] == alpha


@pytest.mark.parametrize(
    ("changes", "level", "k"),
    [
        ({}, SAFE, 16),
        ({}, CARE_DUE, 64),
        ({}, FAILING, 64),
        # Two groups are at most a quarter of the samples.
        ({"samples": 64}, SAFE, 8),
        ({"samples": 63}, SAFE, 4),
        ({"samples": 15}, SAFE, 1),
        # A quarter of what random pairs have must be left.
        ({"cross": {1: 0.8, 2: 0.5, 4: 0.2, 8: 0.199}}, SAFE, 4),
        ({"cross": {1: 0.8, 2: 0.1}}, SAFE, 1),
    ],
)
def test_k_is_the_largest_that_still_mixes_labels(made, changes, level, k):
    assert suggestion(made(**changes), level, 3, False)["k"] == k


def test_plain_mixup_is_called_so(made):
    found = suggestion(made(cross={1: 0.8, 2: 0.1}), SAFE, 3, False)
    assert found["code"] == "KMixupLayer(1, alpha=1, num_classes=3)" and found["why"].startswith("plain mixup")


@pytest.mark.parametrize(
    ("contradicted", "conflict", "alpha"),
    [
        # Nothing at 0.2 and too much at 1: the smaller.
        ((0.0, 0.03, 0.0), (0.0, 0.0, 0.0), 0.2),
        ((0.0, 0.0, 0.0), (0.0, 0.2, 0.2), 0.2),
        # Too much everywhere: the smallest measured.
        ((0.03, 0.03, 0.1), (0.0, 0.0, 0.0), 0.2),
    ],
)
def test_with_care_alpha_is_the_largest_that_gives_no_cause_for_it(made, contradicted, conflict, alpha):
    measures = made(contradicted, conflict, alpha_k=3.0)
    assert verdict(measures, 1.0)["level"] == CARE_DUE
    # And it is not raised to match plain mixup.
    assert suggestion(measures, CARE_DUE, 3, False)["alpha"] == alpha


def test_where_mixup_fails_local_mixup_comes_first(made):
    found = suggestion(made((0.0, 0.4, 0.4)), FAILING, 2, False)
    assert found["code"] == "LocalMixupLayer(alpha=0.2, weight=ThresholdWeight(2), num_classes=2)"
    codes = [other["code"] for other in found["alternatives"]]
    assert codes == [
        "LocalMixupLayer(alpha=0.2, weight=ExponentialWeight(0.35), num_classes=2)",
        "KMixupLayer(64, alpha=0.2, num_classes=2)",
    ]
    (note,) = found["notes"]
    assert note.startswith(
        "Import ExponentialWeight, KMixupLayer, LocalMixupLayer, ThresholdWeight from kmix_tf, and"
    )
    assert "at most 2 apart" in found["why"] and "12.5 of a batch of 128; the others stay unmixed" in found["why"]


def test_where_samples_of_two_classes_coincide_no_distance_can_be_a_threshold(made):
    found = suggestion(made((0.0, 0.4, 0.4), epsilon=0.0), FAILING, 2, False)
    assert found["code"].startswith("KMixupLayer(") and found["alternatives"] == []


def test_with_care_local_mixup_comes_first(made):
    assert suggestion(made(), CARE_DUE, 2, False)["code"].startswith("LocalMixupLayer(")
    assert suggestion(made(), SAFE, 2, False)["code"].startswith("KMixupLayer(")


@pytest.mark.parametrize(("effective", "is_offered"), [(8.0, True), (7.9, False)])
def test_a_threshold_that_leaves_little_of_a_batch_is_not_suggested(made, effective, is_offered):
    measures = made()
    measures["locality"]["effective_batch"] = effective
    assert measures["locality"]["batch_size"] == 128
    found = suggestion(measures, CARE_DUE, 2, False)
    codes = " ".join([found["code"], *(other["code"] for other in found["alternatives"])])
    assert ("ThresholdWeight" in codes) is is_offered
    assert "ExponentialWeight" in codes


def test_after_standardizing_the_note_says_that_the_layer_needs_it_too(made):
    assert len(suggestion(made(), SAFE, 2, False)["notes"]) == 1
    _, note = suggestion(made(), SAFE, 2, True)["notes"]
    assert "Bring features to one scale before the layer" in note
