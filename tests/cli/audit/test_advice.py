"""The rules of advice, from measures made by hand."""

import re

import pytest

from kmix_tf.cli.audit.advice import CARE_DUE, CONTRADICTORY, FAILING, SAFE, suggestion, verdict

INF = float("inf")


def made(
    contradicted=(0.0, 0.0, 0.0),
    conflict=(0.0, 0.0, 0.0),
    nearest_is_other=0.0,
    cross=None,
    alpha_k=None,
    samples=1000,
    q=(1.0, 2.0, 3.0),
    epsilon=2.0,
    copies=0,
    found=0,
):
    """Measures in which only what is given speaks. cross: the share across classes by k, alpha_k: for alpha = 1.

    copies: of 1,000 samples about to be asked, found: of 4,000 searched.
    """
    cross = {1: 0.9, 2: 0.9, 4: 0.9, 8: 0.9, 16: 0.9, 32: 0.9, 64: 0.9} if cross is None else cross
    alphas = (0.2, 1.0, 32.0)
    return {
        "contradictions": {
            "samples": 1000,
            "copies": copies,
            "asked": 0 if contradicted[0] is None else 150,
            "by_alpha": [
                {"alpha": a, "share": share} | ({"reason": "all are of one class"} if share is None else {})
                for a, share in zip(alphas, contradicted, strict=True)
            ],
        },
        "copies": {"found": found, "searched": 4000},
        "conflicts": {"by_alpha": [{"alpha": a, "share": share} for a, share in zip(alphas, conflict, strict=True)]},
        "closeness": {"nearest_is_other": nearest_is_other, "samples": samples},
        "matching": {
            "by_k": [
                {"k": k, "cross_share": share}
                | {"alphas": [{"alpha": a, "alpha_k": a if k == 1 else alpha_k} for a in alphas]}
                for k, share in cross.items()
            ]
        },
        "locality": {
            "epsilon": epsilon,
            "rate": 0.35 if epsilon else INF,
            "batch_size": 128,
            "effective_batch": 12.5,
        },
        "steepness": {"samples": 300, "epsilon": epsilon} | dict(zip(("vanilla", "local", "full"), q, strict=True)),
    }


def level(**changes):
    return verdict(made(**changes))["level"]


@pytest.mark.parametrize(
    ("contradicted", "expected"),
    [
        ((0.0, 0.0, 0.0), SAFE),
        ((0.0, 0.019, 0.049), SAFE),
        ((0.0, 0.02, 0.0), CARE_DUE),
        ((0.02, 0.0, 0.0), CARE_DUE),
        ((0.0, 0.0, 0.05), CARE_DUE),
        ((0.0, 0.049, 0.249), CARE_DUE),
        ((0.0, 0.05, 0.0), FAILING),
        ((0.05, 0.0, 0.0), FAILING),
        ((0.0, 0.0, 0.25), FAILING),
        # What could not be asked is not called safe.
        ((None, None, None), CARE_DUE),
    ],
)
def test_the_verdict_follows_the_shares_contradicted(contradicted, expected):
    assert level(contradicted=contradicted) == expected


@pytest.mark.parametrize(
    ("conflict", "nearest_is_other", "expected"),
    [
        ((0.0, 0.049, 0.9), 0.0, SAFE),
        ((0.9, 0.05, 0.0), 0.0, CARE_DUE),
        # What the samples do unmixed is no fault of mixing.
        ((0.5, 0.5, 0.5), 0.5, SAFE),
        ((0.5, 0.56, 0.5), 0.5, CARE_DUE),
        # However many conflicts, only contradictions fail.
        ((1.0, 1.0, 1.0), 0.0, CARE_DUE),
    ],
)
def test_the_verdict_follows_conflicts_beyond_those_of_unmixed_samples(conflict, nearest_is_other, expected):
    assert level(conflict=conflict, nearest_is_other=nearest_is_other) == expected


def numbers(sentence):
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", sentence)]


def test_reasons_carry_the_numbers_measured():
    reasons = verdict(
        made((0.011, 0.123, 0.456), (0.0, 0.217, 0.0), nearest_is_other=0.034, q=(1.25, 7.5, INF), epsilon=4.5)
    )["reasons"]
    assert numbers(reasons[0]) == [150, 1.1, 0.2, 12.3, 1, 45.6, 32]
    assert numbers(reasons[1]) == [1, 21.7, 3.4]
    assert numbers(reasons[2]) == [1.25, 7.5, 4.5, 300] and "infinite" in reasons[2]


def test_reasons_of_nothing_found_say_so():
    agrees = verdict(made())["reasons"]
    assert "agrees with all 150 labels asked, at alpha = 0.2, 1, 32" in agrees[0]
    none = verdict(made(contradicted=(None, None, None), q=(None, None, None)))["reasons"]
    assert none[0] == "No sample could be asked whether mixing contradicts its label: all are of one class."
    assert len(none) == len(agrees) - 1


@pytest.mark.parametrize(
    ("copies", "found", "expected"),
    [(500, 0, CONTRADICTORY), (499, 0, SAFE), (0, 2000, CONTRADICTORY), (0, 1999, SAFE), (1000, 4000, CONTRADICTORY)],
)
def test_where_half_of_the_labels_contradict_one_another_that_is_the_verdict(copies, found, expected):
    judged = verdict(made(copies=copies, found=found))
    assert judged["level"] == expected
    share = max(copies / 10, found / 40)
    assert f"{share:.1f} % of the samples have an equal one" in judged["reasons"][0].replace("100 %", "100.0 %")
    assert "mixing cannot mend" in judged["reasons"][0]


def test_contradictory_labels_are_to_be_mended_before_any_mixing_and_nothing_is_called_safe():
    measures = made(contradicted=(None, None, None), nearest_is_other=1.0, copies=1000, epsilon=0.0)
    judged = verdict(measures)
    assert judged["level"] == CONTRADICTORY
    assert judged["reasons"][0] == (
        "No sample could be asked whether mixing contradicts its label: 100 % of the samples have an equal one with "
        "another label. Mixing cannot mend that."
    )
    found = suggestion(measures, CONTRADICTORY, 3, False)
    assert found["notes"][0].startswith("Mend the labels first") and found["alpha"] == 0.2


def test_how_labels_are_encoded_comes_with_the_suggestion():
    assert suggestion(made(), SAFE, 3, False)["prepare"] is None
    assert suggestion(made(), SAFE, 3, False, "y = y + 1")["prepare"] == "y = y + 1"


def test_where_it_is_safe_alpha_matches_plain_mixup_at_1():
    found = suggestion(made(alpha_k=2.345), SAFE, 10, False)
    assert (found["k"], found["alpha"], found["code"]) == (16, 2.3, "KMixupLayer(16, alpha=2.3, num_classes=10)")
    assert "perturbs as much as plain mixup at alpha = 1" in found["why"] and "90.0 %" in found["why"]


@pytest.mark.parametrize(("alpha_k", "alpha"), [(4.0, 4.0), (4.01, 1.0), (None, 1.0)])
def test_an_alpha_too_large_to_draw_anything_but_halves_is_not_suggested(alpha_k, alpha):
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
def test_k_is_the_largest_that_still_mixes_labels(changes, level, k):
    assert suggestion(made(**changes), level, 3, False)["k"] == k


def test_plain_mixup_is_called_so():
    found = suggestion(made(cross={1: 0.8, 2: 0.1}), SAFE, 3, False)
    assert found["code"] == "KMixupLayer(1, alpha=1, num_classes=3)" and found["why"].startswith("plain mixup")


@pytest.mark.parametrize(
    ("contradicted", "conflict", "alpha"),
    [
        # Nothing at 0.2 and too much at 1: the smaller.
        ((0.0, 0.03, 0.0), (0.0, 0.0, 0.0), 0.2),
        ((0.0, 0.0, 0.0), (0.0, 0.2, 0.2), 0.2),
        # Nothing up to 1: care is due for strong mixing only.
        ((0.0, 0.0, 0.1), (0.0, 0.0, 0.0), 1.0),
        # Too much everywhere: the smallest measured.
        ((0.03, 0.03, 0.1), (0.0, 0.0, 0.0), 0.2),
    ],
)
def test_with_care_alpha_is_the_largest_that_gives_no_cause_for_it(contradicted, conflict, alpha):
    measures = made(contradicted, conflict, alpha_k=3.0)
    assert verdict(measures)["level"] == CARE_DUE
    # And it is not raised to match plain mixup.
    assert suggestion(measures, CARE_DUE, 3, False)["alpha"] == alpha


def test_where_mixup_fails_local_mixup_comes_first_and_no_mixing_is_compared():
    found = suggestion(made((0.0, 0.4, 0.4)), FAILING, 2, False)
    assert found["code"] == "LocalMixupLayer(alpha=0.2, weight=ThresholdWeight(2), num_classes=2)"
    codes = [other["code"] for other in found["alternatives"]]
    assert codes == [
        "LocalMixupLayer(alpha=0.2, weight=ExponentialWeight(0.35), num_classes=2)",
        "KMixupLayer(64, alpha=0.2, num_classes=2)",
    ]
    assert found["notes"][1:] == ["Train without mixing, too, and compare."]
    assert found["notes"][0].startswith(
        "Import ExponentialWeight, KMixupLayer, LocalMixupLayer, ThresholdWeight from kmix_tf, and"
    )
    assert "at most 2 apart" in found["why"] and "12.5 of a batch of 128; the others stay unmixed" in found["why"]


def test_where_samples_of_two_classes_coincide_no_distance_can_be_a_threshold():
    found = suggestion(made((0.0, 0.4, 0.4), epsilon=0.0), FAILING, 2, False)
    assert found["code"].startswith("KMixupLayer(") and found["alternatives"] == []


def test_with_care_local_mixup_comes_first():
    assert suggestion(made(), CARE_DUE, 2, False)["code"].startswith("LocalMixupLayer(")
    assert suggestion(made(), SAFE, 2, False)["code"].startswith("KMixupLayer(")


@pytest.mark.parametrize(("effective", "is_offered"), [(8.0, True), (7.9, False)])
def test_a_threshold_that_leaves_little_of_a_batch_is_not_suggested(effective, is_offered):
    measures = made()
    measures["locality"]["effective_batch"] = effective
    assert measures["locality"]["batch_size"] == 128
    found = suggestion(measures, CARE_DUE, 2, False)
    codes = " ".join([found["code"], *(other["code"] for other in found["alternatives"])])
    assert ("ThresholdWeight" in codes) is is_offered
    assert "ExponentialWeight" in codes


def test_after_standardizing_the_note_says_that_the_layer_needs_it_too():
    assert len(suggestion(made(), SAFE, 2, False)["notes"]) == 1
    _, note = suggestion(made(), SAFE, 2, True)["notes"]
    assert "Bring features to one scale before the layer" in note
