"""Rules for shares in labels: of one's own, of several targets, and what is refused by name."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    Blended,
    CutMixLayer,
    KMixupLayer,
    LabelShareStrategy,
    MixLayer,
    MixModel,
    MultiMixLayer,
    Pairing,
    RemixShares,
    unpack_targets,
)

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 4, 4, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
HOT = np.eye(3, dtype=np.float32)[LABELS]
WEIGHT = np.array([1.0, 2.0, 3.0, 0.5, 0.0, 4.0], np.float32)
PARTNER = np.roll(np.arange(6), 1)


def shifted(features, seed):
    rows = tf.range(tf.shape(features[0])[0])
    return Pairing(tf.roll(rows, 1, axis=0), rows)


def quarter(group, seed):
    return tf.fill(tf.shape(group), 0.25)


@keras.saving.register_keras_serializable(package="kmix_tf_tests_rules")
def squared(first, second, ratio):
    return ratio**2


def of(**options):
    return MixLayer(shifted, quarter, **options)


def shared(y, share, partner=PARTNER):
    share = np.reshape(share, (-1, *[1] * (y.ndim - 1)))
    return share * y + (1 - share) * y[partner]


def test_a_rule_of_ones_own_is_told_both_targets_and_the_ratio():
    told = []

    def rule(first, second, ratio):
        told.append((first.numpy(), second.numpy(), ratio.numpy()))
        return tf.where(first[:, 0] > 0, 1.0, ratio / 2)

    x, y = of(label_shares=rule)(X, HOT)
    np.testing.assert_array_equal(told[0][0], HOT)
    np.testing.assert_array_equal(told[0][1], HOT[PARTNER])
    np.testing.assert_array_equal(told[0][2], np.full(6, 0.25, np.float32))
    np.testing.assert_allclose(x, shared(X, 0.25), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, shared(HOT, np.where(LABELS == 0, 1, 0.125)), rtol=1e-6)


def test_it_is_told_soft_labels_where_classes_are_counted_and_integers_where_they_are_packed():
    seen = []

    def rule(first, second, ratio):
        seen.append((first.dtype, first.shape))
        return ratio

    of(label_shares=rule, num_classes=3)(X, LABELS)
    of(label_shares=rule, targets="packed")(X, LABELS)
    assert seen == [(tf.float32, (6, 3)), (tf.int64, (6,))]


@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_several_interpolations_are_told_one_after_another(targets):
    plain = MultiMixLayer(3, scope="sample")
    ratio = plain.plan([X], 4).ratio.numpy().ravel()
    partner = np.tile(plain.plan([X], 4).partner.numpy(), 3)
    y = RNG.normal(size=(6, 2)).astype(np.float32)
    _, mixed = MultiMixLayer(3, scope="sample", label_shares=squared, targets=targets)(X, y, seed=4)
    if targets == "packed":
        np.testing.assert_allclose(unpack_targets(mixed).ratio, ratio**2, rtol=1e-5)
        return
    share = (ratio**2)[:, np.newaxis]
    np.testing.assert_allclose(mixed, share * np.tile(y, (3, 1)) + (1 - share) * y[partner], rtol=1e-4, atol=1e-5)


def test_a_rule_sees_the_share_that_a_blend_gives_the_label():
    def styled(first, second, partner, ratio, seed):
        return Blended(first, tf.fill([6], 0.5), label_ratio=tf.fill([6], 0.8))

    _, y = MixLayer(shifted, blend=styled, label_shares=squared)(X, HOT)
    np.testing.assert_allclose(y, shared(HOT, 0.64), rtol=1e-5)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_what_shows_one_sample_keeps_its_label(ratio):
    layer = MixLayer(shifted, lambda group, seed: tf.fill(tf.shape(group), ratio), label_shares=lambda a, b, r: 1 - r)
    np.testing.assert_array_equal(layer(X, HOT)[1], HOT if ratio else HOT[PARTNER])
    seldom = MixLayer(shifted, quarter, probability=0.0, label_shares=lambda a, b, r: 0 * r)
    np.testing.assert_array_equal(seldom(X, HOT)[1], HOT)
    np.testing.assert_array_equal(MixLayer(probability=0.0, label_shares=squared).between((X, HOT), (X, HOT))[1], HOT)


def several():
    return {"digit": LABELS, "angle": RNG.normal(size=(6, 1)).astype(np.float32), "id": np.arange(6)}


RULES = {"digit": RemixShares([90, 10, 1]), "angle": None, "id": None}
OPTIONS = {"num_classes": {"digit": 3, "angle": None, "id": None}, "passthrough": "id", "label_shares": RULES}


def digit_shares():
    counts = np.array([90, 10, 1])
    rates = counts[LABELS] / counts[LABELS[PARTNER]]
    # The ratio is 1/4 everywhere: less than tau, and 3/4 of the partner.
    return np.where(rates >= 3, 0, 0.25)


def test_each_of_several_targets_may_have_a_rule():
    y = several()
    _, mixed = of(**OPTIONS)(X, y)
    np.testing.assert_allclose(mixed["digit"], shared(HOT, digit_shares()), atol=1e-6)
    np.testing.assert_allclose(mixed["angle"], shared(y["angle"], 0.25), rtol=1e-5)
    np.testing.assert_array_equal(mixed["id"], y["id"])


@pytest.mark.parametrize("targets", ["mixed", "packed"])
@pytest.mark.parametrize("kept", [False, True])
def test_one_weight_for_several_targets_counts_in_each_by_its_own_shares(targets, kept):
    y = several()
    options = {**OPTIONS, "targets": targets}
    if not kept:  # What rides along has weights of its own anyway.
        del y["id"]
        options = {
            "num_classes": {"digit": 3, "angle": None},
            "label_shares": {"digit": RULES["digit"], "angle": None},
            "targets": targets,
        }
    _, mixed, weight = of(**options)(X, y, WEIGHT)
    for name, share in (("digit", digit_shares()), ("angle", np.full(6, 0.25))):
        total = share * WEIGHT + (1 - share) * WEIGHT[PARTNER]
        np.testing.assert_allclose(weight[name], total, rtol=1e-5)
        own = np.divide(share * WEIGHT, total, out=np.array(share), where=total > 0)
        if targets == "packed":
            np.testing.assert_allclose(unpack_targets(mixed[name]).ratio, own, rtol=1e-5)
    assert not kept or (weight["id"].numpy() == WEIGHT).all()


def test_targets_in_a_tuple_and_their_rules_in_a_list():
    y = (LABELS, RNG.normal(size=(6,)).astype(np.float32))
    layer = of(num_classes=(3, None), label_shares=[RULES["digit"], squared])
    _, mixed = layer(X, y)
    np.testing.assert_allclose(mixed[0], shared(HOT, digit_shares()), atol=1e-6)
    np.testing.assert_allclose(mixed[1], shared(y[1], 0.0625), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "rules",
    [{"a": RemixShares([3, 2, 1]), "b": squared, "c": None}, [RemixShares([3, 2, 1]), None, squared]],
    ids=["dictionary", "list"],
)
def test_rules_of_several_targets_are_saved(rules):
    layer = KMixupLayer(2, label_shares=rules)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert back.get_config() == layer.get_config()
    assert type(back.label_shares) is type(rules)
    found = back.label_shares["a"] if isinstance(rules, dict) else back.label_shares[0]
    assert found.get_config() == {"counts": [3, 2, 1], "kappa": 3.0, "tau": 0.5}
    rule = back.label_shares["b"] if isinstance(rules, dict) else back.label_shares[2]
    assert rule.function is squared


def test_padded_targets_of_masked_sequences_keep_their_presence():
    there = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0]], bool)
    x = {"steps": RNG.normal(size=(6, 3, 2)).astype(np.float32), "there": there}
    y = RNG.normal(size=(6, 3, 1)).astype(np.float32)
    _, mixed = of(masks="there", label_shares=squared)(x, y)
    ours, theirs = 0.0625 * there, 0.9375 * there[PARTNER]
    total = ours + theirs
    share = np.divide(ours, total, out=np.full((6, 3), 0.0625), where=total > 0)[..., np.newaxis]
    np.testing.assert_allclose(mixed, share * y + (1 - share) * y[PARTNER], rtol=1e-5, atol=1e-6)


def test_maps_that_are_pasted_are_refused_and_may_go_beside():
    maps = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, (6, 4, 4))]
    with pytest.raises(ValueError, match="label_shares is for targets with one share each, not for maps"):
        CutMixLayer(label_shares=squared)(X, maps)
    layer = CutMixLayer(
        scope="sample", num_classes={"map": 3, "label": 3}, label_shares={"map": None, "label": squared}
    )
    plain = CutMixLayer(scope="sample", num_classes={"map": 3, "label": 3})
    y = {"map": maps, "label": LABELS}
    ours, theirs = (each(X, y, seed=1)[1] for each in (layer, plain))
    np.testing.assert_array_equal(ours["map"], theirs["map"])
    assert not np.allclose(ours["label"], theirs["label"])


def crowd(first, second, partner, ratio, seed):
    return Blended(first, ratio, shares=tf.eye(6))


@pytest.mark.parametrize(
    ("layer", "y", "message"),
    [
        (
            lambda: of(label_shares=squared),
            several(),
            "must have the structure of the targets where there are several",
        ),
        (
            lambda: of(label_shares={"digit": squared}),
            HOT,
            "must have the structure of the targets.*digit.*squared.*targets",
        ),
        (lambda: of(label_shares={"no": squared}), {"digit": HOT}, "must have the structure of the targets"),
        (lambda: of(label_shares={"id": squared}, passthrough="id"), {"id": LABELS, "y": HOT}, "which rides along"),
        (lambda: of(label_shares=squared, blend=crowd), HOT, "is for mixtures of two samples. .*squared"),
    ],
    ids=["several targets", "one target", "another name", "kept", "more than two"],
)
def test_rules_that_do_not_fit_the_batch_are_refused(layer, y, message):
    if isinstance(y, dict) and "angle" in y:
        y = {"digit": HOT, "angle": y["angle"]}
    with pytest.raises(ValueError, match=f"MixLayer: label_shares .*{message}"):
        layer()(X, y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda a, b, r: r[:3], "must return ratios, one for each mixture.*Received: float32 of shape"),
        (lambda a, b, r: 0.5, "must return ratios, one for each mixture"),
        (lambda a, b, r: a, "must return ratios, one for each mixture"),
        (lambda a, b, r: r > 0.5, "must return ratios, one for each mixture.*Received: bool"),
        (lambda a, b, r: r + 1, r"must return ratios in \[0, 1\]"),
        (lambda a, b, r: r * np.nan, r"must return ratios in \[0, 1\]"),
    ],
    ids=["too few", "scalar", "targets", "flags", "too large", "NaN"],
)
def test_a_rule_that_gives_something_else_is_refused(given, message):
    def mine(first, second, ratio):
        return given(first, second, ratio)

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"MixLayer: mine {message}"):
        of(label_shares=mine)(X, HOT)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"label_shares must be callable. Received: label_shares=3. Give a LabelShareStrategy, or a function"),
        (RemixShares, r"label_shares must be an object: with brackets, RemixShares\(...\)"),
        (lambda ratio: ratio, r"label_shares must be a callable \(first, second, ratio\) -> ratios"),
        ({"a": "remix"}, r"label_shares must be callable"),
    ],
    ids=["number", "class", "other arguments", "name"],
)
def test_what_is_no_rule_is_refused(value, message):
    with pytest.raises(TypeError, match=f"MixLayer: {message}"):
        MixLayer(label_shares=value)


def test_a_rule_that_needs_the_host_is_refused_under_xla_by_name():
    def hosted(first, second, ratio):
        return tf.ensure_shape(tf.numpy_function(lambda r: r, [ratio], tf.float32, stateful=False), ratio.shape)

    class Declared(LabelShareStrategy):
        runs_on_host = True

        def __call__(self, first, second, ratio):
            return ratio

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    of(label_shares=hosted)(X, HOT)  # Elsewhere it works.
    assert not MixLayer(label_shares=Declared()).supports_jit
    with pytest.raises(ValueError, match="MixModel: jit_compile=True needs a mix that XLA can compile"):
        MixModel(model, MixLayer(label_shares=Declared())).compile("sgd", "mse", jit_compile=True)
    mixing = MixModel(model, of(label_shares=hosted))
    mixing.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(ValueError, match=r"XLA cannot compile what calls back to the host. .*hosted"):
        mixing.fit(X, HOT, batch_size=6, verbose=0)


def test_targets_without_rules_cost_nothing():
    layer = MixLayer(label_shares={"digit": None})
    assert layer._rules is None
    assert layer.label_shares == {"digit": None}
    assert MixLayer().label_shares is None
