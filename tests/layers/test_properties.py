"""Whatever comes in, in whatever combination of options: the right mixture, or an error of the package's own."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    ExponentialWeight,
    LinearBlend,
    MixLayer,
    NearestNeighborPairing,
    NearestNeighborWeight,
    OptimalTransportPairing,
    OtherClassPairing,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
    ThresholdWeight,
    unpack_targets,
)

DTYPES = ["uint8", "int32", "bool", "float16", "bfloat16", "float32", "float64"]
SHAPES = [(), (3,), (4, 5), (4, 5, 2)]
PAIRINGS = [
    RandomPairing(),
    OptimalTransportPairing(3),
    OptimalTransportPairing(2, solver="graph"),
    NearestNeighborPairing(2),
    RepeatedPairing(RandomPairing(), 2),
    SameClassPairing(),
    OtherClassPairing(missing="any"),
]
WEIGHTS = [None, ThresholdWeight("quantile:0.5"), ExponentialWeight(0.5), NearestNeighborWeight(1)]
OURS = re.compile(r"(MixLayer|CutMixBlend|SameClassPairing|OtherClassPairing): .*Received", re.DOTALL)

pytestmark = pytest.mark.usefixtures("plain_functions")


def leaf(shape, dtype):
    return lambda n, rng: tf.cast(
        rng.uniform(0, 5, (n, *shape)) if dtype != "bool" else rng.random((n, *shape)) > 0.5, dtype
    )


leaves = st.builds(leaf, st.sampled_from(SHAPES), st.sampled_from(DTYPES))
features = st.recursive(
    leaves,
    lambda parts: st.lists(parts, min_size=1, max_size=2) | st.dictionaries(st.sampled_from("ab"), parts, min_size=1),
    max_leaves=3,
)


def one_hot(n, rng):
    return np.eye(3, dtype=np.float32)[rng.integers(0, 3, n)]


# What is made for a batch of n, whether it needs num_classes, and whether it says a class.
TARGETS = {
    "classes": (lambda n, rng: rng.integers(0, 3, n).astype(np.int32), True, True),
    "column": (lambda n, rng: rng.integers(0, 3, (n, 1)).astype(np.int64), True, True),
    "one-hot": (one_hot, False, True),
    "regression": (lambda n, rng: rng.normal(size=n), False, False),
    "vectors": (lambda n, rng: rng.normal(size=(n, 2)).astype(np.float16), False, False),
    "map": (lambda n, rng: rng.integers(0, 3, (n, 4, 5)), True, False),
}


def made(structure, n, rng):
    return tf.nest.map_structure(lambda make: make(n, rng), structure)


def flat(structure):
    return [np.asarray(tf.cast(each, tf.float64)) for each in tf.nest.flatten(structure)]


def expected(values, plan, weight=None):
    """By NumPy: the mixtures of a linear blend, an interpolation of the whole batch after another."""
    if weight is not None:
        counts = expected(weight, plan)
        return expected((weight * values.T).T, plan) / counts.reshape(-1, *[1] * (values.ndim - 1))
    ratio, partner = plan.ratio.numpy().astype(np.float64), plan.partner.numpy()
    several = ratio.ndim == 2 or partner.ndim == 2
    partner = np.broadcast_to(partner, ratio.shape)
    share = ratio.reshape(*ratio.shape, *[1] * (values.ndim - 1))
    mixed = share * values + (1 - share) * values[partner]
    return mixed.reshape(-1, *values.shape[1:]) if several else mixed


@settings(max_examples=120)
@given(
    st.integers(0, 7),
    features,
    st.sampled_from(list(TARGETS)),
    st.sampled_from([None, 3]),
    st.booleans(),
    st.sampled_from(PAIRINGS),
    st.sampled_from([None, 2]),
    st.sampled_from(WEIGHTS),
    st.sampled_from(["batch", "group", "sample"]),
    st.sampled_from(["mixed", "packed"]),
    st.integers(0, 2**31 - 1),
)
def test_linear_mixtures_are_right_or_refused_by_name(
    n, structure, kind, num_classes, with_weight, pairing, interpolations, weight, scope, targets, seed
):
    rng = np.random.default_rng(seed)
    make, needs_classes, says_class = TARGETS[kind]
    x, y = made(structure, n, rng), make(n, rng)
    sample_weight = rng.uniform(size=n) if with_weight else None
    times = getattr(pairing, "times", interpolations)
    ratio = BetaRatio(0.8, scope, times or 1)
    layer = MixLayer(pairing, ratio, LinearBlend(), weight, num_classes=num_classes, targets=targets)
    refused = (
        (needs_classes and num_classes is None and targets == "mixed")
        or (num_classes == 3 and kind in ("regression", "vectors"))
        # Vectors are told from soft labels by their sums, of which an empty batch has none.
        or (getattr(pairing, "needs_targets", False) and not says_class and (n > 0 or kind != "vectors"))
    )
    if refused:
        with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError), match=OURS):
            layer(x, y, sample_weight, seed=seed)
        return
    mixed_x, mixed_y, *mixed_weight = layer(x, y, sample_weight, seed=seed)
    soft = y if not needs_classes else (np.eye(3)[y.reshape(n) if kind == "column" else y] if num_classes else y)
    plan = layer.plan([tf.convert_to_tensor(each) for each in tf.nest.flatten(x)], seed, tf.convert_to_tensor(soft))
    tf.nest.assert_same_structure(mixed_x, x)
    for ours, theirs, given_leaf in zip(flat(mixed_x), flat(x), tf.nest.flatten(x), strict=True):
        rounding = {"float16": 2e-3, "bfloat16": 2e-2}.get(given_leaf.dtype.name, 1e-5)
        np.testing.assert_allclose(ours, expected(theirs, plan), rtol=rounding, atol=rounding)
    if targets == "mixed":
        np.testing.assert_allclose(
            mixed_y, expected(np.asarray(soft, np.float64), plan, sample_weight), rtol=1e-5, atol=1e-5
        )
    else:
        packed = tf.squeeze(mixed_y, -2) if needs_classes and not num_classes else mixed_y
        y_a, y_b, ratio, _ = unpack_targets(packed)
        share = ratio[..., np.newaxis]
        plain = np.asarray(soft, np.float64)
        plain = plain[..., np.newaxis] if plain.ndim == 1 or (needs_classes and not num_classes) else plain
        remixed = np.asarray(share * y_a + (1 - share) * y_b)
        np.testing.assert_allclose(remixed, expected(plain, plan, sample_weight), rtol=1e-5, atol=1e-5)
    if with_weight:
        ours = mixed_weight[0].numpy()
        assert ours.shape == (n * (times or 1),)
        if weight is None or targets == "packed":
            np.testing.assert_allclose(ours, expected(sample_weight, plan), rtol=1e-5)
    elif weight is not None and targets == "mixed":
        ours = mixed_weight[0].numpy()
        assert len(ours) == n * (times or 1)
        assert (ours >= 0).all()
        assert not ours.any() or ours.mean() == pytest.approx(1, rel=1e-5)
    else:
        assert mixed_weight == []


@settings(max_examples=80)
@given(
    st.integers(1, 6),
    st.sampled_from(SHAPES),
    st.sampled_from(DTYPES),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**31 - 1),
)
def test_cut_mixtures_are_right_or_refused_by_name(n, shape, dtype, axes, interpolations, seed):
    rng = np.random.default_rng(seed)
    x, y = leaf(shape, dtype)(n, rng), np.arange(n)
    layer = MixLayer(
        RandomPairing(), BetaRatio(1.0, "sample", interpolations), CutMixBlend(axes), num_classes=max(n, 2)
    )
    if len(shape) < axes:
        with pytest.raises(ValueError, match=OURS):
            layer(x, y, seed=seed)
        return
    mixed, labels = (np.asarray(tf.cast(part, tf.float64)) for part in layer(x, y, seed=seed))
    partner = np.tile(layer.plan([x], seed).partner.numpy(), interpolations)
    own = np.tile(np.asarray(tf.cast(x, tf.float64)), (interpolations, *[1] * len(shape)))
    theirs = own[partner]
    # Every entry is one of the two, and the label says how many are the sample's own (they differ almost surely).
    assert ((mixed == own) | (mixed == theirs)).all()
    rows = np.arange(n * interpolations)
    if dtype in ("float32", "float64") and n > 1:
        kept = (mixed == own).reshape(len(rows), -1).mean(axis=1)
        np.testing.assert_allclose(labels[rows, rows % n], kept, atol=1e-6)


POISON = {
    "NaN": (lambda x, y: (x * np.nan, y), "features must be finite"),
    "infinite target": (lambda x, y: (x, y / np.float32(0) + np.inf), "targets must be finite"),
    "length": (lambda x, y: (x, y[:-1]), "equally long"),
    "scalar": (lambda x, y: (x, y[0, 0]), "must have a batch axis"),
    "strings": (lambda x, y: ({"a": x, "b": np.array(["b"] * len(x))}, y), "must be numeric"),
    "ragged": (lambda x, y: (tf.RaggedTensor.from_tensor(x), y), "must be a dense tensor"),
    "boxes": (lambda x, y: ({"image": x, "bboxes": x}, y), "bounding boxes cannot be mixed"),
    "boxes as targets": (lambda x, y: (x, {"label": y, "boxes": x}), "bounding boxes cannot be mixed"),
    "nothing": (lambda x, y: ({}, y), "features must hold at least one tensor"),
    "no targets": (lambda x, y: (x, None), "targets must come with the features"),
}


@settings(max_examples=60)
@given(st.sampled_from(list(POISON)), st.sampled_from(PAIRINGS), st.integers(2, 6))
def test_poison_of_any_kind_is_refused_by_name(kind, pairing, n):
    spoil, message = POISON[kind]
    with np.errstate(all="ignore"):
        x, y = spoil(np.ones((n, 3), np.float32), np.eye(n, dtype=np.float32))
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError), match=f"MixLayer: .*{message}"):
        MixLayer(pairing)(x, y, seed=1)
