"""Distances and conflicts against brute force over all mixtures and samples, and known shares."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from kmix_tf.analysis import conflicts, intrusion, mixtures, nearest
from kmix_tf.analysis.conflicts import label_conflicts
from kmix_tf.analysis.intrusion import intrusion_distances

# The chance that one statistical assertion fails for a right share, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def clusters(size, dimension, classes, seed):
    generator = np.random.default_rng(seed)
    y = np.arange(size) % classes
    return generator.normal(size=(size, dimension)) + 2 * generator.normal(size=(classes, dimension))[y], y


def recorded(monkeypatch):
    """Keeps what is drawn, in order: indices of the first and second, and ratios."""
    drawn = []
    for module, name in ((intrusion, "epoch_of"), (conflicts, "pairs_of")):
        draw = getattr(module, name)

        def drawing(*arguments, draw=draw):
            drawn.append(draw(*arguments))
            return drawn[-1]

        monkeypatch.setattr(module, name, drawing)
    return drawn


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30), st.sampled_from([0.0, 0.2, 1.0, 50.0]), st.booleans(), st.integers(1, 3), st.integers(0, 1000)
)
def test_distances_are_those_of_all_mixtures_of_other_classes(dimension, alpha, same_class, epochs, seed):
    x, y = clusters(60, dimension, 4, seed)
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = intrusion_distances(x, y, alpha, epochs, same_class, offenders=5, seed=seed)
    first, second, ratio = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    assert len(first) == 60 * epochs
    mixtures = ratio[:, np.newaxis] * x[first] + (1 - ratio)[:, np.newaxis] * x[second]
    distances = cdist(x, mixtures)
    distances[(y[:, np.newaxis] == y[first]) | (y[:, np.newaxis] == y[second])] = np.inf
    if not same_class:
        distances[:, y[first] == y[second]] = np.inf
    least = distances.min(axis=1)
    np.testing.assert_allclose(found.distances, least, rtol=1e-12, atol=1e-12)
    assert found.minimum == pytest.approx(least.min()) and found.mean == pytest.approx(least.mean())
    np.testing.assert_allclose(found.class_minimum, [least[y == label].min() for label in range(4)])
    np.testing.assert_allclose(found.class_mean, [least[y == label].mean() for label in range(4)])
    assert [near.index for near in found.nearest] == np.argsort(found.distances, kind="stable")[:5].tolist()
    for near in found.nearest:
        assert y[near.index] not in (y[near.first], y[near.second])
        mixture = near.ratio * x[near.first] + (1 - near.ratio) * x[near.second]
        assert near.distance == pytest.approx(np.linalg.norm(x[near.index] - mixture), abs=1e-12)


def conflicts_by_brute_force(x, y, made):
    """For each mixture, the classes mixed, sorted, and that of the nearest sample but the two."""
    rows = []
    for first, second, ratio in zip(*made, strict=True):
        distances = np.linalg.norm(ratio * x[first] + (1 - ratio) * x[second] - x, axis=1)
        distances[[first, second]] = np.inf
        rows.append((*sorted((y[first], y[second])), y[distances.argmin()]))
    return rows


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(2, 5),
    st.sampled_from([0.0, 0.3, 1.0, 99.0]),
    st.integers(0, 1000),
    st.sampled_from([1, 10**9]),
)
def test_conflicts_are_those_of_all_distances_however_classes_are_numbered(dimension, classes, alpha, seed, gap):
    x, y = clusters(50, dimension, classes, seed)
    y = gap * y + gap - 1
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = label_conflicts(x, y, alpha, mixtures=300, seed=seed)
    rows = conflicts_by_brute_force(x, y, drawn[0])
    wrong = [row for row in rows if row[2] not in row[:2]]
    assert (found.conflicts, found.mixtures, found.share) == (len(wrong), 300, len(wrong) / 300)
    assert {kind[:3]: kind.conflicts for kind in found.triples} == {row: wrong.count(row) for row in wrong}
    for kind in found.triples:
        assert kind.mixtures == sum(row[:2] == kind[:2] for row in rows)
        assert kind.share == kind.conflicts / kind.mixtures
    counts = [kind.conflicts for kind in found.triples]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(("offset", "outlier"), [(0, 0), (1e4, 0), (-1e6, 0), (0, 1e5), (0, 1e9)])
def test_where_float32_does_not_tell_distances_apart_float64_does(offset, outlier):
    x, y = clusters(80, 6, 3, 4)
    x[0, 0] += outlier
    x += offset
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = label_conflicts(x, y, 1.0, mixtures=400)
    wrong = [row for row in conflicts_by_brute_force(x, y, drawn[0]) if row[2] not in row[:2]]
    assert found.conflicts == len(wrong) > 0
    assert {kind[:3]: kind.conflicts for kind in found.triples} == {row: wrong.count(row) for row in wrong}


def test_float32_alone_would_not_do(monkeypatch):
    # The test above must be able to fail: by float32's least score alone, some neighbours are wrong.
    x, y = clusters(80, 6, 3, 4)
    x[0, 0] += 1e5
    right = label_conflicts(x, y, 1.0, mixtures=2000)

    def least(search, points, forbid, dtype):
        columns, halves = search._columns(np.float32)
        scores = halves - search._centred(points, np.float32) @ columns.T
        forbid(scores)
        return np.arange(len(points)), scores.argmin(axis=1)

    monkeypatch.setattr(nearest._Search, "_candidates", least)
    assert label_conflicts(x, y, 1.0, mixtures=2000).triples != right.triples


def test_known_shares_are_in_the_intervals():
    # Classes at 0, 1 and 2 of a line. Mixtures of 0 and 2 are nearest to 1 if within 1/2 of it: ratio in (1/4, 3/4).
    x, y = np.repeat([0.0, 1.0, 2.0], 400)[:, np.newaxis], np.repeat([0, 1, 2], 400)
    x = x + 1e-6 * np.random.default_rng(0).normal(size=x.shape)
    for alpha in (0.3, 1.0, 10.0):
        law = stats.beta(alpha, alpha)
        expected = law.cdf(0.75) - law.cdf(0.25)
        found = label_conflicts(x, y, alpha, mixtures=20000, confidence=1 - FALSE_ALARM, seed=3)
        assert [kind[:3] for kind in found.triples] == [(0, 2, 1)]
        assert found.triples[0].low < expected < found.triples[0].high
        # 2/9 of the pairs are of 0 and 2, but for the sample itself.
        assert found.low < expected * 2 / 9 < found.high


def test_intervals_are_those_of_scipy():
    x, y = clusters(30, 2, 3, 1)
    found = label_conflicts(x, y, 1.0, mixtures=500, confidence=0.9)
    for kind in (found, *found.triples):
        expected = stats.binomtest(kind.conflicts, kind.mixtures).proportion_ci(0.9, "exact")
        np.testing.assert_allclose((kind.low, kind.high), expected, rtol=1e-9)


def test_without_conflicts_the_interval_says_how_few_there_may_be():
    x, y = np.concatenate([np.zeros(10), np.full(10, 50.0)])[:, np.newaxis], np.repeat([0, 1], 10)
    found = label_conflicts(x, y, 1.0, mixtures=100)
    assert found[:5] == (0.0, 0.0, pytest.approx(1 - 0.025**0.01), 0, 100)
    assert found.triples == ()


def test_mixtures_of_one_class_meet_the_other():
    # Two classes: one around the other, whose mixtures fall into it.
    generator = np.random.default_rng(2)
    inner, angle = 0.1 * generator.normal(size=(100, 2)), generator.uniform(0, 2 * np.pi, 100)
    x = np.concatenate([inner, np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    found = label_conflicts(x, np.repeat([0, 1], 100), 1.0, mixtures=2000)
    assert [kind[:3] for kind in found.triples] == [(1, 1, 0)]
    assert found.triples[0].share > 0.2


def test_pairs_are_of_two_different_samples_and_uniform():
    made = mixtures.pairs_of(5, 100_000, 1.0, np.random.default_rng(0))
    counts = np.zeros((5, 5), int)
    np.add.at(counts, (made.first, made.second), 1)
    assert not np.diag(counts).any()
    assert stats.chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 1.0, 1e6])
def test_ratios_have_their_distribution(alpha):
    ratios = mixtures._ratios(50_000, alpha, np.random.default_rng(1))
    # By the smaller of ratio and complement, which tells small alphas apart too; its scale by the cdf itself.
    assert np.isfinite(ratios).all()
    for at in (0.01, 0.3, 0.4995, 0.5):
        hits, expected = int((ratios < at).sum()), stats.beta.cdf(at, alpha, alpha)
        assert stats.binomtest(hits, 50_000, expected).pvalue > FALSE_ALARM


def test_the_seed_decides_and_blocks_do_not_show(monkeypatch):
    x, y = clusters(60, 3, 4, 2)
    conflicts = [label_conflicts(x, y, 1.0, mixtures=500, seed=seed) for seed in (1, 1, 2)]
    distances = [intrusion_distances(x, y, 1.0, seed=seed).distances for seed in (1, 1, 2)]
    assert conflicts[0] == conflicts[1] != conflicts[2]
    assert np.array_equal(distances[0], distances[1]) and not np.array_equal(distances[0], distances[2])
    monkeypatch.setattr(nearest, "_BLOCK", 400)
    assert label_conflicts(x, y, 1.0, mixtures=500, seed=1) == conflicts[0]
    np.testing.assert_array_equal(intrusion_distances(x, y, 1.0, seed=1).distances, distances[0])


def test_progress_is_told():
    x, y = clusters(60, 3, 4, 2)
    told = []
    intrusion_distances(x, y, 1.0, epochs=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    label_conflicts(x, y, 1.0, mixtures=100, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (100, 100)


def test_tensors_images_and_one_hot_labels_are_the_same_data():
    x, y = clusters(40, 6, 4, 3)
    images, one_hot = tf.reshape(tf.constant(x), (40, 3, 2, 1)), tf.one_hot(y, 4)
    assert label_conflicts(images, one_hot, 1.0, 200) == label_conflicts(x, y, 1.0, 200)
    found, expected = intrusion_distances(images, one_hot, 1.0), intrusion_distances(x, y, 1.0)
    np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("scale", [1e-315, 1e-200, 1e200, 1e300])
def test_distances_scale_with_the_data_also_where_their_squares_are_no_floats(scale):
    x, y = clusters(20, 3, 3, 5)
    found, expected = (intrusion_distances(values, y, 1.0, epochs=5) for values in (x * scale, x))
    np.testing.assert_allclose(found.distances / scale, expected.distances, rtol=1e-6)
    assert label_conflicts(x * scale, y, 1.0, 100) == label_conflicts(x, y, 1.0, 100)


def test_a_class_without_samples_has_no_distance():
    x, y = clusters(60, 2, 3, 1)
    found = intrusion_distances(x, y + (y == 2), 1.0)
    assert (
        np.isnan(found.class_minimum).tolist() == np.isnan(found.class_mean).tolist() == [False, False, True, False]
    )
    assert found.minimum == np.nanmin(found.class_minimum)


def test_two_classes_are_compared_with_mixtures_of_one_only_if_asked():
    x, y = np.array([[0.0], [1.0], [2.0], [1.5]]), np.array([0, 1, 0, 1])
    message = (
        "intrusion_distances: y must have samples of at least 3 classes.*same_class=True compares two. Received: 2."
    )
    with pytest.raises(ValueError, match=message):
        intrusion_distances(x, y, 1.0)
    # Mixtures of 0 and 2 pass by 1 and 1.5.
    found = intrusion_distances(x, y, 1.0, epochs=2000, same_class=True)
    assert found.class_minimum[1] < 0.01 and found.class_minimum[0] == pytest.approx(0.5, abs=0.5)


def test_samples_that_met_no_mixture_are_refused():
    # Of three samples, only 1 and 2 can meet 0, and in one epoch not all pairs are drawn.
    with pytest.raises(ValueError, match="epochs must be enough for mixtures of other classes for each sample"):
        intrusion_distances([[0.0], [1.0], [2.0]], [0, 1, 2], 1.0, seed=1)


@pytest.mark.parametrize(
    ("function", "changes", "message"),
    [
        (intrusion_distances, {"alpha": -1}, "alpha must be >= 0 and finite. Received: alpha=-1."),
        (intrusion_distances, {"epochs": 0}, "epochs must be an integer >= 1."),
        (intrusion_distances, {"offenders": -1}, "offenders must be an integer >= 0."),
        (intrusion_distances, {"same_class": 1}, "same_class must be True or False."),
        (intrusion_distances, {"seed": -1}, "seed must be an integer >= 0."),
        (intrusion_distances, {"y": [0, 0, 0, 0]}, "y must have samples of at least 3 classes"),
        (intrusion_distances, {"x": [[0.0], [np.nan], [1.0], [2.0]]}, "x must be finite."),
        (label_conflicts, {"alpha": np.nan}, "alpha must be >= 0 and finite."),
        (label_conflicts, {"mixtures": 0}, "mixtures must be an integer >= 1."),
        (label_conflicts, {"confidence": 1.0}, "confidence must be in (0, 1). Received: confidence=1.0."),
        (label_conflicts, {"confidence": 95}, "confidence must be in [0, 1]. Received: confidence=95."),
        (label_conflicts, {"y": [1, 1, 1, 1]}, "y must have samples of at least 2 classes. Received: 1."),
        (label_conflicts, {"y": [0.0, 1.0, 0.0, 1.0]}, "y must be integer classes (n,), or one-hot or soft labels"),
        (label_conflicts, {"x": [[0.0], [1.0]], "y": [0, 1]}, "x must hold at least 3 samples"),
        (label_conflicts, {"x": np.zeros((0, 1)), "y": []}, "x must be (n, ...) and y (n,)"),
    ],
)
def test_what_does_not_fit_is_refused(function, changes, message):
    arguments = {"x": np.arange(4.0)[:, np.newaxis], "y": [0, 1, 2, 0], "alpha": 1.0, **changes}
    with pytest.raises(ValueError, match=re.escape(f"{function.__name__}: {message}")):
        function(**arguments)


def test_progress_must_be_callable():
    with pytest.raises(TypeError, match=r"label_conflicts: progress must be callable."):
        label_conflicts([[0.0], [1.0], [2.0]], [0, 1, 0], 1.0, progress=3)
