"""The rules of the verdict, from measures made by hand, and the sentences that carry their numbers."""

import re

import pytest

from kmix_tf.cli.audit import geometry
from kmix_tf.cli.audit.geometry import CARE_DUE, CONTRADICTORY, FAILING, SAFE, UNKNOWN, verdict
from kmix_tf.cli.audit.reasons import reasons, steepness


@pytest.mark.parametrize("alpha", [0.2, 1.0, 32.0])
@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, SAFE), (0.019, SAFE), (0.02, CARE_DUE), (0.049, CARE_DUE), (0.05, FAILING)]
)
def test_the_share_contradicted_at_the_alpha_asked_for_decides_and_no_other(made, alpha, share, expected):
    # At all others everything is contradicted, or nothing.
    for others in (0.0, 1.0):
        shares = [share if other == alpha else others for other in (0.2, 1.0, 32.0)]
        assert verdict(made(shares), alpha)["level"] == expected


@pytest.mark.parametrize(("excess", "expected"), [(-0.2, SAFE), (0.049, SAFE), (0.05, CARE_DUE), (0.75, CARE_DUE)])
def test_conflicts_count_by_what_mixing_adds(made, excess, expected):
    # However many, only contradictions fail; and those at other alphas do not count.
    assert verdict(made(conflict=(0.7, excess, 0.7)), 1.0)["level"] == expected


def test_what_could_not_be_asked_is_not_called_safe(made):
    found = verdict(made(contradicted=(None, None, None)), 1.0)
    assert found["level"] == UNKNOWN and found["rule"] is None
    assert found["why"] == "No sample could be asked whether mixing contradicts its label: all are of one class"


@pytest.mark.parametrize(
    ("changes", "level", "name", "number", "threshold"),
    [
        ({"contradicted": (0.0, 0.123, 0.0)}, FAILING, "labels contradicted", 0.123, geometry.FAILS),
        ({"contradicted": (0.0, 0.03, 0.0)}, CARE_DUE, "labels contradicted", 0.03, geometry.CARE),
        ({"conflict": (0.0, 0.08, 0.0)}, CARE_DUE, "mixtures in conflict", 0.08, geometry.CONFLICTS),
        ({"copies": 700}, CONTRADICTORY, "equal samples", 0.7, geometry.COPIES),
        ({"found": 2400}, CONTRADICTORY, "equal samples", 0.6, geometry.COPIES),
        # Where none holds, the one that is nearest to it.
        ({"conflict": (0.0, 0.04, 0.0), "contradicted": (0.0, 0.01, 0.0)}, SAFE, "mixtures in conflict", 0.04, 0.05),
        ({"conflict": (0.0, 0.01, 0.0), "contradicted": (0.0, 0.015, 0.0)}, SAFE, "labels contradicted", 0.015, 0.02),
        # Labels that contradict one another are told elsewhere: of mixing they say nothing.
        ({"found": 1900, "conflict": (0.0, 0.01, 0.0)}, SAFE, "mixtures in conflict", 0.01, 0.05),
        # The first that holds decides.
        ({"copies": 500, "contradicted": (1.0, 1.0, 1.0)}, CONTRADICTORY, "equal samples", 0.5, geometry.COPIES),
    ],
)
def test_the_rule_that_held_is_told_with_its_number_and_threshold(made, changes, level, name, number, threshold):
    found = verdict(made(**changes), 1.0)
    assert found["level"] == level
    assert (found["rule"]["name"], found["rule"]["threshold"]) == (name, threshold)
    assert found["rule"]["number"] == pytest.approx(number)
    unit = "points" if name == "mixtures in conflict" else "%"
    assert f"{100 * number:.1f} {unit}" in found["why"] and f"from {100 * threshold:.1f} {unit}" in found["why"]


@pytest.mark.parametrize(
    ("changes", "alpha", "expected"),
    [
        ({}, 1.0, "5.0 points or more would make it 'mix locally / with care'"),
        ({"contradicted": (0.0, 0.3, 0.3)}, 1.0, "Below 5.0 % it would be 'mix locally / with care'; at alpha = 0.2"),
        ({"contradicted": (0.3, 0.3, 0.3)}, 1.0, "Below 5.0 % it would be 'mix locally / with care'"),
        ({"contradicted": (0.0, 0.03, 0.0)}, 1.0, "Below 2.0 % it would be 'safe'; at alpha = 0.2 it is 'safe'"),
        # Another rule would still hold.
        ({"contradicted": (0.0, 0.03, 0.0), "conflict": (0.1, 0.1, 0.1)}, 1.0, "Below 2.0 % it would be 'mix loc"),
        ({"contradicted": (0.0, 0.01, 0.1)}, 32.0, "at alpha = 1 it is 'safe'"),
        ({"copies": 600}, 1.0, "Below 50.0 % it would be 'safe'"),
    ],
)
def test_what_would_change_the_verdict_is_true_by_the_rules(made, changes, alpha, expected):
    assert expected in verdict(made(**changes), alpha)["would_change"]


def test_stronger_mixing_that_would_fail_is_only_a_remark(made):
    found = verdict(made((0.0, 0.013, 0.287)), 1.0)
    assert found["level"] == SAFE
    assert found["remarks"] == ["At alpha = 32 it would fail: labels contradicted 28.7 %, limit 5.0 %"]
    assert verdict(made((0.5, 0.0, 0.0)), 1.0)["remarks"] == []  # weaker is not stronger
    assert verdict(made((0.0, 0.1, 0.4)), 1.0)["remarks"] == []  # and fails alike
    assert "care would be due" in verdict(made(conflict=(0, 0, 0.06)), 1.0)["remarks"][0]


def test_nothing_found_is_said_as_nothing(made):
    assert verdict(made(conflict=(0, -0.1, 0)), 1.0)["why"].startswith("None of the training labels asked are")
    assert verdict(made(conflict=(0, 0, 0)), 1.0)["why"].startswith("No more of the mixtures than of the same")


def numbers(sentence):
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", sentence)]


def test_reasons_carry_the_numbers_measured(made):
    measures = made((0.011, 0.123, 0.456), (0.0, 0.217, 0.0), q=(1.25, 7.5, float("inf")), epsilon=4.5, median=4.0)
    found = reasons(measures, 1.0)
    assert numbers(found[0]) == [150, 1.1, 0.2, 12.3, 1, 45.6, 32]
    assert numbers(found[1]) == [1, 46.7, 25, 21.7, 95, 20.7, 22.7]
    # In slopes of 1 / 4 per unit of distance: four times as many.
    assert numbers(steepness(measures)) == [0.25, 5, 30, 4.5, 300] and "infinite mixing all" in steepness(measures)


def test_reasons_of_nothing_found_say_so(made):
    assert "agrees with all 150 labels asked, at alpha = 0.2, 1, 32" in reasons(made(), 1.0)[0]
    none = made(contradicted=(None, None, None), q=(None, None, None))
    assert reasons(none, 1.0)[0] == (
        "No sample could be asked whether mixing contradicts its label: all are of one class."
    )
    assert steepness(none) is None and steepness(made(median=0.0)) is None


@pytest.mark.parametrize(
    ("copies", "found", "expected"),
    [(500, 0, CONTRADICTORY), (499, 0, SAFE), (0, 2000, CONTRADICTORY), (0, 1999, SAFE), (1000, 4000, CONTRADICTORY)],
)
def test_where_half_of_the_labels_contradict_one_another_that_is_the_verdict(made, copies, found, expected):
    measures = made(copies=copies, found=found)
    assert verdict(measures, 1.0)["level"] == expected
    share, (first, _) = max(copies / 10, found / 40), reasons(measures, 1.0)
    assert f"{share:.1f} % of the samples have an equal one" in first.replace("100 %", "100.0 %")
    assert "mixing cannot mend" in first


def test_contradictory_labels_are_to_be_mended_before_any_mixing_and_nothing_is_called_safe(made):
    measures = made(contradicted=(None, None, None), copies=1000, epsilon=0.0)
    found = verdict(measures, 1.0)
    assert found["level"] == CONTRADICTORY and found["to_do"].startswith("Mend the labels first")
    assert reasons(measures, 1.0)[0] == (
        "No sample could be asked whether mixing contradicts its label: 100 % of the samples have an equal one with "
        "another label. Mixing cannot mend that."
    )
