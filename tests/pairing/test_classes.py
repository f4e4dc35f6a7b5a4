"""Partners by class: of the same one, or of another, as many as the batch allows, and fair to all rows."""

import itertools
import json
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import MixLayer, OtherClassPairing, SameClassPairing

# The chance that one statistical assertion fails for a right pairing, were its seeds chosen anew.
FALSE_ALARM = 1e-5
PAIRINGS = [SameClassPairing, OtherClassPairing]
each_pairing = pytest.mark.parametrize("kind", PAIRINGS)
# Few classes, so that they meet; negative ones and the ends of the range among them.
LABELS = st.sampled_from([0, 1, 2, -1, -7, 2**31 - 1, 1 - 2**31])
BATCHES = st.one_of(
    st.lists(LABELS, max_size=40),
    st.lists(st.integers(0, 1), max_size=40),
    st.integers(0, 40).map(lambda size: [5] * size),
    st.integers(0, 40).map(lambda size: list(range(-20, size - 20))),
    st.tuples(st.integers(0, 25), st.lists(st.integers(0, 3), max_size=15)).map(lambda two: [9] * two[0] + two[1]),
)
SEEDS = st.integers(0, 2**31 - 1)
MISSING = st.sampled_from(["keep", "any"])


def pair(pairing, targets, seed=1):
    leaf = tf.nest.flatten(targets)[0]
    found = pairing([tf.zeros([len(leaf), 1])], seed, targets)
    assert found.group.numpy().tolist() == list(range(len(leaf)))
    return found.partner.numpy()


def circles(partner, rows):
    """How many circles the rows form, which must be closed."""
    rows, count = set(rows), 0
    while rows:
        start = row = min(rows)
        count += 1
        while row in rows:
            rows.remove(row)
            row = int(partner[row])
        assert row == start
    return count


@pytest.mark.usefixtures("plain_functions")
class TestAnyClasses:
    """Without compilation, because each example has a shape of its own."""

    @given(BATCHES, SEEDS, MISSING)
    def test_partners_of_the_same_class_form_one_circle_of_each_class(self, labels, seed, missing):
        classes = np.array(labels, np.int32)
        partner = pair(SameClassPairing(missing=missing), tf.constant(classes), seed)
        assert partner.dtype == np.int32
        assert sorted(partner) == list(range(len(classes)))
        for one in np.unique(classes):
            rows = np.flatnonzero(classes == one)
            if len(rows) > 1:
                assert circles(partner, rows.tolist()) == 1

    @given(BATCHES, SEEDS)
    def test_those_alone_in_their_class_stay_or_meet_one_another(self, labels, seed):
        classes = np.array(labels, np.int32)
        counts = Counter(labels)
        alone = [row for row, one in enumerate(labels) if counts[one] == 1]
        kept = pair(SameClassPairing(), tf.constant(classes), seed)
        assert kept[alone].tolist() == alone
        joined = pair(SameClassPairing(missing="any"), tf.constant(classes), seed)
        assert circles(joined, alone) == min(len(alone), 1)

    @given(BATCHES, SEEDS, MISSING)
    def test_as_many_as_possible_find_a_partner_of_another_class(self, labels, seed, missing):
        classes = np.array(labels, np.int32)
        partner = pair(OtherClassPairing(missing=missing), tf.constant(classes), seed)
        assert partner.dtype == np.int32
        assert sorted(partner) == list(range(len(classes)))
        largest = max(Counter(labels).values(), default=0)
        # No pairing can do better: of the largest class, each needs one of the others for itself.
        left_over = max(2 * largest - len(labels), 0)
        rest = np.flatnonzero(classes == classes[partner])
        assert len(rest) == left_over
        if left_over:
            assert len(set(classes[rest])) == 1
            assert (classes == classes[rest[0]]).sum() == largest
        if missing == "keep":
            assert partner[rest].tolist() == rest.tolist()
        else:
            assert circles(partner, rest.tolist()) == min(left_over, 1)

    @each_pairing
    @settings(max_examples=20)
    @given(st.lists(st.integers(0, 3), max_size=20), SEEDS)
    def test_all_encodings_of_a_class_are_paired_alike(self, kind, labels, seed):
        classes = np.array(labels, np.int32)
        expected = pair(kind(), tf.constant(classes), seed)
        one_hot = np.eye(4)[classes]
        soft = 0.6 * one_hot + 0.1
        encodings = [classes.astype(np.int64), classes.astype(np.uint8), classes[:, np.newaxis]]
        encodings += [one_hot.astype(np.float32), one_hot, soft.astype(np.float32), soft, soft.astype(np.float16)]
        for encoded in encodings:
            assert (pair(kind(), tf.constant(encoded), seed) == expected).all()

    @each_pairing
    @pytest.mark.parametrize("off", [-0.008, 0.008])
    def test_soft_labels_may_sum_to_1_as_roughly_as_half_precision_does(self, kind, off):
        classes = np.arange(8, dtype=np.int32) % 3
        soft = (0.6 * np.eye(4)[classes] + 0.1).astype(np.float16)
        expected = pair(kind(), tf.constant(classes))
        assert (pair(kind(), tf.constant(soft * np.float16(1 + off))) == expected).all()
        with pytest.raises(tf.errors.InvalidArgumentError, match="sum to 1"):
            pair(kind(), tf.constant(soft * np.float16(1 + 2 * off)))

    def test_soft_labels_count_by_their_likeliest_class(self):
        labels = tf.constant([[0.6, 0.4], [0.3, 0.7], [0.55, 0.45], [0.1, 0.9]])
        assert pair(SameClassPairing(), labels).tolist() == [2, 3, 0, 1]

    @each_pairing
    def test_labels_beyond_32_bits_are_told_apart(self, kind):
        # Such as identities made by hashing: all but the last bits of these differ.
        labels = np.array([1, 2**32 + 1, 1, 2**33 + 1, 2**32 + 1, 2**33 + 1], np.int64)
        for seed in range(5):
            partner = pair(kind(), tf.constant(labels), seed)
            assert ((labels == labels[partner]) == (kind is SameClassPairing)).all()

    def test_those_alone_do_not_join_a_class_at_the_end_of_the_range(self):
        labels = np.array([-(2**31), 2**31 - 1, 2**31 - 1, 5], np.int32)
        for seed in range(5):
            partner = pair(SameClassPairing(missing="any"), tf.constant(labels), seed)
            assert partner.tolist() == [3, 2, 1, 0]

    @each_pairing
    def test_a_name_says_which_of_several_targets_holds_the_class(self, kind):
        first, second = tf.constant([0, 0, 1, 1]), tf.constant([0, 1, 0, 1])
        targets = {"meta": {"first": first, "second": second}, "value": tf.zeros([4, 1])}
        for name, leaf in (("meta/first", first), ("meta/second", second)):
            assert (pair(kind(target=name), targets) == pair(kind(), leaf)).all()
        assert (pair(kind(target=1), (first, second)) == pair(kind(), second)).all()


def draws(pairing, labels, count):
    draw = tf.function(lambda seed: pairing([tf.zeros([len(labels), 1])], seed, tf.constant(labels)).partner)
    return tf.map_fn(draw, tf.range(count)).numpy()


def assert_uniform(outcomes, drawn):
    counts = [sum(outcome == each for each in drawn) for outcome in outcomes]
    assert sum(counts) == len(drawn)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_circles_within_a_class_are_uniform():
    # Four of a class have six circles; uniform circles make partners uniform, too.
    drawn = draws(SameClassPairing(), [3, -1, 3, 3, -1, 3], 600)
    rows = [0, 2, 3, 5]
    tails = itertools.permutations(rows[1:])
    possible = [{rows[0]: a, a: b, b: c, c: rows[0]} for a, b, c in tails]
    assert_uniform(possible, [{row: partner[row] for row in rows} for partner in drawn])


def test_those_alone_meet_uniformly():
    drawn = draws(SameClassPairing(missing="any"), [0, 1, 2, 3, 4, 4], 300)
    assert_uniform([1, 2, 3], drawn[:, 0].tolist())


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [4, 5, 4, 5, 5, 4]], ids=str)
def test_every_row_of_other_classes_is_an_equally_likely_partner(labels):
    # One row of each batch is counted, because the partners of different rows depend on one another.
    drawn = draws(OtherClassPairing(), labels, 400)
    for row in (0, 5):
        others = [other for other in range(6) if labels[other] != labels[row]]
        assert_uniform(others, drawn[:, row].tolist())


def test_which_of_a_majority_stay_is_drawn_anew():
    labels = [1, 0, 0, 2, 0, 0, 0]
    majority = [1, 2, 4, 5, 6]
    drawn = draws(OtherClassPairing(), labels, 600)
    stay = [tuple(row for row in majority if partner[row] == row) for partner in drawn]
    assert_uniform(list(itertools.combinations(majority, 3)), stay)
    # And so is whom the others meet.
    assert_uniform(majority, drawn[:, 0].tolist())
    assert_uniform(majority, drawn[:, 3].tolist())


X = np.random.default_rng(2).normal(size=(10, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 1], np.int32)


def is_one_hot(y):
    return np.isclose(y.max(axis=1), 1, atol=1e-6)


def test_labels_survive_a_mix_within_classes():
    layer = MixLayer(SameClassPairing(), num_classes=3)
    x, y = layer(X, Y, seed=1)
    np.testing.assert_allclose(y, np.eye(3)[Y], atol=1e-6)
    assert (np.abs(x - X).max(axis=1) > 0).all()


def test_every_mixture_across_classes_is_of_two():
    _, y = MixLayer(OtherClassPairing(), num_classes=3)(X, Y, seed=1)
    assert ((y.numpy() > 0).sum(axis=1) == 2).all()


def test_a_sample_without_a_partner_comes_back_exactly():
    labels = np.array([0] * 9 + [1], np.int32)
    x, y = MixLayer(OtherClassPairing(), num_classes=3)(X, labels, seed=1)
    stays = (x.numpy() == X).all(axis=1)
    assert stays.sum() == 8
    assert (y.numpy()[stays] == np.eye(3)[0]).all()


def test_pipelines_pair_the_last_partial_batch_by_class_too():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(6)
    sizes = [6, 4]
    for size, (x, y) in zip(sizes, dataset.map(MixLayer(SameClassPairing(), num_classes=3, seed=1)), strict=True):
        assert x.shape == (size, 3)
        assert is_one_hot(y.numpy()).all()
    for size, (x, y) in zip(sizes, dataset.map(MixLayer(OtherClassPairing(), num_classes=3, seed=1)), strict=True):
        assert x.shape == (size, 3)
        assert not is_one_hot(y.numpy()).any()


@each_pairing
def test_it_compiles_with_the_function_that_calls_it(kind, same):
    layer = MixLayer(kind(missing="any"), num_classes=3)
    assert layer.supports_jit
    compiled = tf.function(lambda x, y: layer(x, y, seed=4), jit_compile=True)
    same(compiled(X, Y), layer(X, Y, seed=4))


def test_a_target_that_rides_along_may_hold_the_class():
    layer = MixLayer(SameClassPairing("identity"), passthrough="identity")
    _, y = layer(X, {"identity": Y, "value": Y.astype(np.float32)}, seed=1)
    assert (y["identity"].numpy() == Y).all()
    np.testing.assert_allclose(y["value"], Y, atol=1e-5)


def test_the_layer_hands_the_named_target_over():
    layer = MixLayer(OtherClassPairing("b"), num_classes={"a": 3, "b": 2})
    _, y = layer(X, {"a": Y, "b": np.arange(10) % 2}, seed=1)
    assert not is_one_hot(y["b"].numpy()).any()


@each_pairing
def test_soft_labels_that_do_not_sum_to_one_are_refused(kind):
    multi_hot = np.array([[1, 1], [0, 1], [1, 0], [0, 0]], np.float32)
    message = rf"{kind.__name__}: soft labels must sum to 1.*multi-hot"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        pair(kind(), tf.constant(multi_hot))
    dataset = tf.data.Dataset.from_tensors((X[:4], multi_hot)).map(MixLayer(kind()))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(dataset))


@each_pairing
@pytest.mark.parametrize(
    "targets",
    [np.zeros(4, np.float32), np.zeros((4, 1), np.float32), np.zeros((4, 2, 2), np.float32), np.zeros((4, 2), int)],
    ids=["regression", "one column", "map", "integer rows"],
)
def test_targets_that_are_no_classes_are_refused(kind, targets):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: .* needs class labels.*Received: targets of dtype"):
        pair(kind(), tf.constant(targets))


@each_pairing
def test_features_alone_are_refused(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: pairing by class needs targets"):
        MixLayer(kind(), features_only=True)(X, seed=1)


@each_pairing
def test_which_of_several_targets_must_be_said(kind):
    several = {"a": tf.constant([0, 1]), "b": tf.constant([0, 1])}
    with pytest.raises(ValueError, match=rf"{kind.__name__}: target must name one of several targets.*2 of them"):
        pair(kind(), several)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: target must name leaves.*'c'; there are \['a', 'b'\]"):
        pair(kind(target="c"), several)


@each_pairing
@pytest.mark.parametrize("missing", ["Keep", None, True, "drop"])
def test_other_ways_with_missing_partners_are_refused(kind, missing):
    message = rf"{kind.__name__}: missing must be one of 'keep', 'any'. Received: missing="
    with pytest.raises(ValueError, match=message):
        kind(missing=missing)


@each_pairing
@pytest.mark.parametrize("target", [1.5, True, {"a": 1}])
def test_other_names_are_refused(kind, target):
    with pytest.raises(TypeError, match=rf"{kind.__name__}: target must be"):
        kind(target=target)


@each_pairing
def test_two_loaders_are_refused(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: two loaders cannot be paired by class"):
        MixLayer(kind(), num_classes=3).between((X, Y), (X, Y), seed=1)


@each_pairing
def test_the_configuration_makes_an_equal_strategy(kind):
    pairing = kind(target="b", missing="any")
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(pairing))))
    assert type(back) is kind
    assert back.get_config() == pairing.get_config() == {"target": "b", "missing": "any"}
    targets = {"a": tf.constant([0, 1, 2, 3]), "b": tf.constant([1, 0, 1, 0])}
    assert (pair(back, targets) == pair(pairing, targets)).all()


@each_pairing
def test_partners_are_what_the_seed_says(kind):
    labels = tf.constant(Y)
    assert (pair(kind(), labels, 1) == pair(kind(), labels, 1)).all()
    assert any((pair(kind(), labels, 1) != pair(kind(), labels, seed)).any() for seed in (2, 3))
