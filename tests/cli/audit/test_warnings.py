"""When warnings are given, and that their numbers are those of the measures."""

import numpy as np
import pytest

from kmix_tf.cli.audit.cautions import cautions
from kmix_tf.cli.reading.sample import Sample
from kmix_tf.cli.reading.source import Source


def sample_of(counts=(50, 50), measured=None, shape=(4,), constant=(), contradictions=(), names=None):
    y = np.repeat(np.arange(len(counts)), counts if measured is None else measured)
    return Sample(
        source=Source("data", "arrays", iter(()), names=names),
        x=np.zeros((len(y), *shape)),
        y=y,
        index=np.arange(len(y)),
        classes=[f"kind {i}" for i in range(len(counts))],
        counts=np.array(counts),
        total=sum(counts),
        constant=list(constant),
        contradictions=[[names[i] if names else i for i in group] for group in contradictions],
        searched=sum(counts),
        scanned=sum(counts),
        notes=[],
    )


def measures_of(worst=(), nearest_is_other=0.0, q=(1.0, 1.0, 1.0), scales=None):
    return {
        "conflicts": {"by_alpha": [{"alpha": 0.2, "worst": []}, {"alpha": 1.0, "worst": list(worst)}]},
        "closeness": {"nearest_is_other": nearest_is_other},
        "steepness": {"epsilon": 2.5, **dict(zip(("vanilla", "local", "full"), q, strict=True))},
        "scales": scales,
    }


def told(sample=None, standardized=False, **measures):
    found = cautions(sample or sample_of(), measures_of(**measures), standardized)
    return {warning["about"]: warning["text"] for warning in found}


def test_of_data_without_fault_there_is_no_warning():
    assert told() == {}


def pair(share, low=0.2, classes=(0, 1), third=2, baseline=0.0):
    return {"classes": list(classes), "third": third, "share": share, "low": low, "baseline": baseline}


@pytest.mark.parametrize(
    ("share", "low", "warned"), [(0.05, 0.025, True), (0.049, 0.04, False), (0.3, 0.024, False), (1.0, 0.9, True)]
)
def test_mixtures_that_fall_to_a_third_class_are_named_if_they_are_many_and_surely_so(share, low, warned):
    found = told(sample_of((40, 40, 40)), worst=[pair(share, low)])
    assert ("mixtures that fall to another class" in found) is warned


@pytest.mark.parametrize(("baseline", "warned"), [(0.24, True), (0.255, False), (0.3, False)])
def test_what_the_same_samples_do_unmixed_is_no_reason_for_a_warning(baseline, warned):
    found = told(sample_of((40, 40, 40)), worst=[pair(0.3, 0.275, baseline=baseline)])
    assert ("mixtures that fall to another class" in found) is warned


def test_mixtures_are_warned_of_at_the_alpha_asked_for():
    measures = measures_of()
    measures["conflicts"]["by_alpha"][0]["worst"] = [pair(0.3)]
    assert cautions(sample_of((40, 40, 40)), measures, False) == []
    (found,) = cautions(sample_of((40, 40, 40)), measures, False, alpha=0.2)
    assert found["text"].startswith("At alpha = 0.2, 30.0 %")


def test_the_worst_mixtures_are_named_with_their_classes_and_share():
    found = cautions(
        sample_of((40, 40, 40)),
        measures_of([pair(0.123), pair(0.1, classes=(1, 1), third=0), *[pair(0.08)] * 5]),
        False,
    )
    assert found[0]["text"] == (
        "At alpha = 1, 12.3 % of the mixtures of classes kind 0 and kind 1 are nearer to a sample of class kind 2 "
        "than to any other sample of kind 0 or kind 1; of the same samples unmixed, 0 % are."
    )
    assert "10.0 % of the mixtures within class kind 1 are nearer to a sample of class kind 0" in found[1]["text"]
    assert len(found) == 4


@pytest.mark.parametrize(("share", "warned"), [(0.199, False), (0.2, True), (1.0, True)])
def test_classes_overlap_where_a_fifth_of_nearest_neighbours_are_of_another(share, warned):
    assert ("classes that overlap" in told(nearest_is_other=share)) is warned


@pytest.mark.parametrize(
    ("q", "ending"),
    [
        ((1.0, 2.0, np.inf), "epsilon = 2.5 apart, they do not."),
        ((1.0, np.inf, np.inf), "epsilon = 2.5 apart, they still do."),
        ((1.0, 2.0, 3.0), None),
        # Samples themselves coincide: mixing is not to blame.
        ((np.inf, np.inf, np.inf), None),
        ((None, None, None), None),
    ],
)
def test_mixtures_that_touch_are_told_from_samples_that_do(q, ending):
    found = told(q=q).get("mixtures that touch")
    assert found is None if ending is None else found.endswith(ending)


@pytest.mark.parametrize(
    ("features", "share", "standardized", "warned"),
    [(3, 0.51, False, True), (3, 0.5, False, False), (2, 0.9, False, False), (3, 0.9, True, False)],
)
def test_a_feature_that_outweighs_all_others_is_named_unless_it_was_scaled(features, share, standardized, warned):
    found = told(standardized=standardized, scales={"features": features, "widest": "income", "share": share})
    assert ("features of different scales" in found) is warned
    if warned:
        assert f"Feature income alone makes up {100 * share:.1f} %" in found["features of different scales"]


@pytest.mark.parametrize(("counts", "warned"), [((99, 10), False), ((100, 10), True)])
def test_classes_are_unbalanced_from_ten_to_one(counts, warned):
    found = told(sample_of(counts))
    assert ("unbalanced classes" in found) is warned
    if warned:
        # Of pairs, 100 / 110 squared are within the large class.
        assert "82.6 % of random pairs lie within the largest class" in found["unbalanced classes"]
        assert "Class kind 0 has 100 samples, class kind 1 has 10." in found["unbalanced classes"]


def test_classes_of_one_sample_and_classes_that_the_draw_missed_are_named():
    found = told(sample_of((9, 1, 5), measured=(9, 1, 0)))
    assert found["classes of one sample"] == "Of 1 class there is one sample only: kind 1."
    assert found["classes not measured"].startswith("The sample drawn holds none of 1 class: kind 2.")
    assert "Raise --max-samples" in found["classes not measured"]


def test_copies_with_other_labels_are_counted_and_some_named_by_place_or_file():
    groups = [[0, 4], [1, 5, 6], [2, 7], [3, 8]]
    found = told(sample_of(contradictions=groups))["equal samples with different labels"]
    assert found.startswith(
        "Of 100 samples searched, 9 have an exact copy with another label, such as 0 and 4; 1 and 5 and 6; 2 and 7."
    )
    names = [f"a/{i}.png" for i in range(9)]
    by_name = told(sample_of(contradictions=groups, names=names))["equal samples with different labels"]
    assert "such as a/0.png and a/4.png;" in by_name


def test_constant_features_of_vectors_are_named_and_edges_of_images_are_not():
    found = told(sample_of(constant=[str(i) for i in range(12)], shape=(20,)))["constant features"]
    assert found.startswith("12 features of 20 never change: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more.")
    assert told(sample_of(constant=["(0, 0)"], shape=(8, 8))) == {}
