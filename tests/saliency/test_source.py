"""What a source gives is checked, whatever it is; and blends ask for it in one way."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kmix_tf import BetaRatio, CutMixBlend, RandomPairing, SaliencyMixLayer
from kmix_tf._images import image_of
from kmix_tf.saliency import (
    SpectralResidualSaliency,
    as_shares,
    ask,
    ask_pair,
    checked,
    unusable,
)

IMAGE = tf.zeros([3, 4, 5, 2])
RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("source", "received"),
    [
        (lambda x, y: tf.abs(x[..., 0]), "list indices must be integers"),
        (lambda x: x[0], "positional argument"),
        (lambda x, y: x.shape, "no attribute 'shape'"),
        (lambda x, y: None, "which returns None"),
    ],
    ids=["one tensor", "one argument", "attribute", "nothing"],
)
def test_functions_that_were_not_made_for_lists_are_told_so(source, received):
    with pytest.raises(TypeError, match=rf"kmix_tf: saliency must be a callable .* of lists of tensors.*{received}"):
        ask(source, [IMAGE], None, 2)


@pytest.mark.parametrize("decision", [BetaRatio(), RandomPairing(), CutMixBlend()], ids=["ratio", "pairing", "blend"])
def test_another_decision_is_no_source(decision):
    with pytest.raises(TypeError, match=rf"saliency must be a callable .*, and no {decision.kind}\. Received"):
        SaliencyMixLayer(saliency=decision)


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
        elements=st.sampled_from([0.0, 1e-30, 0.5, 3.0, 1e30, np.nan, np.inf, 1e-42]) | st.floats(1e-3, 100),
    )
)
def test_whatever_a_source_gives_every_sample_has_a_finite_distribution(values):
    values = values.astype(np.float32)
    saliency = checked(values, tf.zeros(values.shape), 2)
    shares = as_shares(saliency).numpy()
    says_nothing = unusable(tf.constant(values)).numpy()
    assert saliency.dtype == tf.float32
    for row, share, nothing, result in zip(values.astype(np.float64), shares, says_nothing, saliency, strict=True):
        assert nothing == (not np.isfinite(row).all() or row.max() < np.finfo(np.float32).tiny)
        expected = np.ones_like(row) if nothing else row / row.max()
        # Subnormal values may count as zeros: at most 1e-38 of values that are at least 1e-30.
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-11)
        np.testing.assert_allclose(share, expected / expected.sum(), rtol=1e-5, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e300])
def test_the_scale_of_saliency_does_not_matter(scale):
    values = RNG.uniform(size=(3, 4, 5))
    np.testing.assert_allclose(
        checked(values * scale, IMAGE, 2), values / values.max(axis=(1, 2), keepdims=True), rtol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8"])
def test_saliency_of_any_number_becomes_float32(dtype):
    values = tf.cast(RNG.integers(1, 9, size=(3, 4, 5)), dtype)
    saliency = checked(values, IMAGE, 2)
    assert saliency.dtype == tf.float32
    expected = tf.cast(values, tf.float64).numpy()
    np.testing.assert_allclose(saliency, expected / expected.max(axis=(1, 2), keepdims=True), rtol=1e-6)


def test_a_sample_that_is_checked_twice_is_the_same():
    values = np.where(np.arange(3).reshape(3, 1, 1) == 1, np.nan, RNG.uniform(size=(3, 4, 5)))
    once = checked(values, IMAGE, 2)
    assert (checked(once, IMAGE, 2).numpy() == once.numpy()).all()
    assert (once.numpy()[1] == 1).all()


def test_one_sample_of_nan_leaves_the_others_as_they_are():
    values = RNG.uniform(size=(3, 4, 5)).astype(np.float32)
    whole = checked(values, IMAGE, 2).numpy()
    values[1, 2, 3] = np.nan
    one_bad = checked(values, IMAGE, 2).numpy()
    assert (one_bad[[0, 2]] == whole[[0, 2]]).all()
    assert (one_bad[1] == 1).all()


def test_no_gradient_flows_through_saliency():
    values = tf.ones([3, 4, 5])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(checked(values, IMAGE, 2))
    assert tape.gradient(total, values) is None


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 4), (3, 4, 5, 2), (4, 5), (2, 4, 5)], ids=str)
def test_saliency_of_another_shape_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"kmix_tf: saliency must be of shape \(3, 4, 5\).*Received: saliency of shape"
    ):
        checked(np.ones(shape), IMAGE, 2)


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 4, 5), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("signature", [[None] * 3, None], ids=["open", "of any rank"])
def test_a_shape_that_shows_late_is_refused_when_it_does(shape, signature):
    if signature is None and len(shape) == 3:
        shape = shape[:2]
    function = tf.function(
        lambda values, image: checked(values, image, 2),
        input_signature=[tf.TensorSpec(signature), tf.TensorSpec([None] * 4)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="kmix_tf: saliency must be of shape"):
        function(tf.ones(shape), IMAGE)
    assert function(tf.ones([3, 4, 5]), IMAGE).shape == (3, 4, 5)


def test_negative_saliency_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"kmix_tf: saliency must be >= 0. Received: negative"):
        checked(-np.ones((3, 4, 5)), IMAGE, 2)


def test_compiled_negative_saliency_is_clipped_where_no_check_can_be():
    values = tf.where(tf.range(5) == 2, -1.0, 1.0) * tf.ones([3, 4, 1])
    compiled = tf.function(lambda values: checked(values, IMAGE, 2), jit_compile=True)
    assert (compiled(values).numpy() == np.maximum(values, 0)).all()


def test_a_shape_that_shows_late_is_said_in_numbers_and_put_down_to_the_source():
    def half(features, targets):
        return tf.numpy_function(lambda x: x[:, :2, :, 0], features, tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 5, 2])])
    def asked_and_given(x):
        saliency = ask(half, [x], None, 2)
        return ask_pair(None, [x], [x], (saliency, saliency), 2)

    message = r"half: saliency must be of shape\] \[3 4 5\] .* Received: one of\] \[3 2 5\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        asked_and_given(IMAGE)


@pytest.mark.parametrize("values", [np.ones((3, 4, 5), bool), np.ones((3, 4, 5), complex)], ids=["bool", "complex"])
def test_saliency_that_is_no_number_is_refused(values):
    with pytest.raises(
        TypeError, match=r"kmix_tf: saliency must be (of a float dtype|a float tensor, .*)\. Received: "
    ):
        checked(values, IMAGE, 2)


def test_the_image_is_the_first_leaf_with_places():
    table, image, other = tf.zeros([3, 7]), tf.zeros([3, 4, 5]), tf.zeros([3, 8, 8, 1])
    assert image_of([table, image, other], 2) is image
    assert image_of([table, image, other], 1) is table
    assert image_of([table, image, other], 3) is other
    with pytest.raises(
        ValueError, match=r"kmix_tf: features must have 2 axes.*Received: features of shapes \['\(3, 7\)'\]"
    ):
        image_of([table], 2)


def brightness(features, targets):
    return tf.reduce_mean(features[0], axis=-1)


def test_a_blend_without_a_source_gets_the_spectral_residual():
    x = tf.constant(RNG.normal(size=(3, 9, 8, 2)).astype(np.float32))
    expected = SpectralResidualSaliency()([x]).numpy()
    expected /= expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(ask(None, [x], None, 2), expected, rtol=1e-5)


def test_a_source_is_named_when_it_errs():
    with pytest.raises(tf.errors.InvalidArgumentError, match="brightness: saliency must be >= 0"):
        ask(brightness, [-tf.ones([2, 3, 3, 1])], None, 2)
    with pytest.raises(ValueError, match="kmix_tf: features must have 2 axes"):
        ask(brightness, [tf.ones([2, 3])], None, 2)


def test_a_pair_is_asked_for_or_given():
    first, second = tf.constant(RNG.uniform(size=(2, 3, 4, 5, 2)).astype(np.float32))
    asked = ask_pair(brightness, [first], [second], None, 2)
    given_pair = ask_pair(None, [first], [second], tuple(brightness([x], None) for x in (first, second)), 2)
    for ours, theirs, x in zip(asked, given_pair, (first, second), strict=True):
        assert (ours.numpy() == theirs.numpy()).all()
        expected = x.numpy().mean(axis=-1)
        np.testing.assert_allclose(ours, expected / expected.max(axis=(1, 2), keepdims=True), rtol=1e-5)


def test_one_batch_is_asked_for_once():
    asked = []

    def counting(features, targets):
        asked.append(targets)
        return brightness(features, targets)

    features = [tf.ones([2, 3, 3, 1])]
    of_first, of_second = ask_pair(counting, features, features, None, 2)
    assert of_first is of_second
    assert asked == [None]


@pytest.mark.parametrize(
    "given_value", [tf.ones([3, 4, 5]), (tf.ones([3, 4, 5]),), "both"], ids=["one", "single", "text"]
)
def test_anything_but_a_pair_is_refused(given_value):
    with pytest.raises(ValueError, match="kmix_tf: saliency must be a pair of tensors"):
        ask_pair(None, [IMAGE], [IMAGE], given_value, 2)
