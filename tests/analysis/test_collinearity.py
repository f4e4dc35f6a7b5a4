"""Samples on segments of other classes, against the enumeration of all triples."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf.analysis import chords
from kmix_tf.analysis.collinearity import collinear_samples


def enumerated(x, y, tolerance):
    """All triples: the sample, two of other classes outside its ball whose segment meets it; and coincidences."""
    found = {}
    for i, point in enumerate(x):
        others = [s for s in range(len(x)) if y[s] != y[i]]
        for s in others:
            if np.linalg.norm(x[s] - point) < tolerance:
                found[i, s, s] = (1.0, np.linalg.norm(x[s] - point))
        for s, t in itertools.combinations(others, 2):
            chord = x[s] - x[t]
            if not chord.any() or min(np.linalg.norm(x[end] - point) for end in (s, t)) < tolerance:
                continue
            ratio = np.clip((point - x[t]) @ chord / (chord @ chord), 0, 1)
            distance = np.linalg.norm(ratio * x[s] + (1 - ratio) * x[t] - point)
            if distance < tolerance:
                found[i, s, t] = (ratio, distance)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.floats(0.01, 1), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_they_are_all_triples_there_are(dimension, tolerance, classes, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(14, dimension)), generator.integers(0, classes, 14)
    y[:2] = [0, 1]
    expected = enumerated(x, y, tolerance)
    found = collinear_samples(x, y, tolerance)
    assert sorted(map(tuple, found.triples.tolist())) == sorted(expected)
    for triple, ratio, distance in zip(found.triples.tolist(), found.ratio, found.distance, strict=True):
        np.testing.assert_allclose((ratio, distance), expected[tuple(triple)], atol=1e-9)
    assert (np.diff(found.triples[:, 0]) >= 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.floats(0.02, 0.98), st.floats(-1e6, 1e6), st.integers(0, 1000))
def test_by_default_only_what_is_on_the_segment_counts(dimension, ratio, offset, seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(12, dimension))
    y = np.array([0, 1, 0] + [2] * 9)
    x[1] = ratio * x[0] + (1 - ratio) * x[2]
    x += offset * (1 if abs(offset) > 1 else 0)
    found = collinear_samples(x, y)
    if abs(offset) < 1e5:
        assert found.triples.tolist() == [[1, 0, 2]]
        assert found.ratio[0] == pytest.approx(ratio, abs=1e-5)
    # A millionth of the segment's length beside it, it counts no more.
    normal = np.linalg.svd((x[2] - x[0])[np.newaxis])[2][-1]
    x[1] += 1e-6 * np.linalg.norm(x[2] - x[0]) * normal
    assert len(collinear_samples(x, y).triples) == 0


def test_the_ends_may_share_a_class_or_not_but_not_the_samples():
    x = np.arange(3.0)[:, np.newaxis]
    assert collinear_samples(x, [0, 1, 0]).triples.tolist() == [[1, 0, 2]]
    assert collinear_samples(x, [0, 1, 2]).triples.tolist() == [[1, 0, 2]]
    assert collinear_samples(x, [0, 0, 1]).triples.shape == (0, 3)
    # On the line but beyond the segment: mixtures don't come there.
    assert collinear_samples(x, [1, 0, 0]).triples.shape == (0, 3)


def test_of_the_alternating_line_all_between_two_others_count():
    x, y = np.arange(6.0)[:, np.newaxis], np.arange(6) % 2
    expected = [
        [i, s, t]
        for i in range(6)
        for s, t in itertools.combinations(range(6), 2)
        if s < i < t and y[s] == y[t] != y[i]
    ]
    assert collinear_samples(x, y).triples.tolist() == expected


def test_samples_at_one_place_come_once_each():
    x, y = np.array([[0.0, 0], [0, 0], [3, 1], [5, -2]]), np.array([0, 1, 0, 1])
    found = collinear_samples(x, y)
    assert found.triples.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert found.ratio.tolist() == [1, 1] and found.distance.tolist() == [0, 0]
    # Of one class, they are no contradiction.
    assert len(collinear_samples(x, [0, 0, 1, 1]).triples) == 0
    assert collinear_samples(np.zeros((3, 2)), [0, 1, 0]).triples.tolist() == [
        [0, 1, 1],
        [1, 0, 0],
        [1, 2, 2],
        [2, 1, 1],
    ]


def test_blocks_do_not_show(monkeypatch):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(40, 2)), generator.integers(0, 3, 40)
    expected = collinear_samples(x, y, 0.05)
    assert len(expected.triples) > 100
    monkeypatch.setattr(chords, "_PAIRS", 64)
    for one, other in zip(collinear_samples(x, y, 0.05), expected, strict=True):
        np.testing.assert_allclose(one, other)


def test_images_and_one_hot_labels_are_the_same_data():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(12, 2)), generator.integers(0, 3, 12)
    expected = collinear_samples(x, y, 0.3)
    found = collinear_samples(x.reshape(12, 1, 2, 1), np.eye(3)[y], 0.3)
    np.testing.assert_array_equal(found.triples, expected.triples)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_same_triples_are_found_where_squares_are_no_floats(scale):
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(12, 2)), np.arange(12) % 3
    x[4] = (x[0] + x[2]) / 2
    found, expected = collinear_samples(x * scale, y), collinear_samples(x, y)
    assert [4, 0, 2] in expected.triples.tolist()
    np.testing.assert_array_equal(found.triples, expected.triples)
    tolerant, wide = collinear_samples(x * scale, y, 0.3 * scale), collinear_samples(x, y, 0.3)
    np.testing.assert_allclose(tolerant.distance / scale, wide.distance, rtol=1e-6, atol=1e-12)
    assert len(wide.distance) > 5


def test_too_many_samples_are_refused_with_what_to_do():
    x = np.zeros((2001, 1))
    message = (
        r"collinear_samples: x must hold at most 2000 samples.*Received: 2001. Take a random subset of that size."
    )
    with pytest.raises(ValueError, match=message):
        collinear_samples(x, np.arange(2001) % 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerance": 0}, "tolerance must be > 0 and finite. Received: tolerance=0."),
        ({"tolerance": -1.0}, "tolerance must be > 0 and finite."),
        ({"y": [0, 0, 0]}, "y must have samples of at least 2 classes. Received: 1."),
        ({"y": [0.5, 0.0, 1.0]}, "y must be integer classes (n,), or one-hot or soft labels"),
        ({"y": [0, 1]}, "x must be (n, ...) and y (n,)"),
        ({"x": [[0.0], [np.nan], [1.0]]}, "x must be finite."),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    arguments = {"x": np.arange(3.0)[:, np.newaxis], "y": [0, 1, 0], **changes}
    with pytest.raises(ValueError, match=re.escape(f"collinear_samples: {message}")):
        collinear_samples(**arguments)
