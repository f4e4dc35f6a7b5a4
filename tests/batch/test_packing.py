"""Packed targets come apart into what went in, and are never mistaken for plain ones."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import LocalMixupLayer, pack_targets, unpack_targets
from kmix_tf.batch.packing import unpack_for

RNG = np.random.default_rng(1)


def spread(share, shape):
    """A share of each sample at all its places."""
    share = np.asarray(share, np.float64)
    return np.broadcast_to(share.reshape(share.shape + (1,) * (len(shape) - share.ndim)), shape)


@st.composite
def dense(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    share = draw(st.sampled_from([(), (shape[0],), tuple(shape[:-1])]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return (*rng.normal(size=(2, *shape)).astype(dtype), rng.uniform(size=share).astype(np.float32))


@given(dense())
def test_dense_targets_come_apart_into_what_went_in(drawn):
    y_a, y_b, ratio = drawn
    packed = pack_targets(y_a, y_b, ratio, weight=2.0)
    assert packed.dtype == (tf.float64 if y_a.dtype == np.float64 else tf.float32)
    assert packed.shape == (*y_a.shape[:-1], 2 * y_a.shape[-1] + 2)
    parts = unpack_targets(packed)
    np.testing.assert_array_equal(parts.y_a, y_a)
    np.testing.assert_array_equal(parts.y_b, y_b)
    np.testing.assert_array_equal(parts.ratio, spread(ratio, y_a.shape[:-1]))
    np.testing.assert_array_equal(parts.weight, np.full(y_a.shape[:-1], 2.0))


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 3)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_classes_come_apart_into_what_went_in(shape, dtype):
    y_a, y_b = RNG.integers(0, 200, (2, *shape)).astype(dtype)
    ratio, weight = RNG.uniform(size=(2, 5)).astype(np.float32)
    packed = pack_targets(y_a, y_b, ratio, weight)
    assert packed.shape == (*shape, 1, 4)
    parts = unpack_targets(packed)
    np.testing.assert_array_equal(parts.y_a[..., 0, 0], y_a)
    np.testing.assert_array_equal(parts.y_b[..., 0, 0], y_b)
    np.testing.assert_array_equal(parts.ratio[..., 0], spread(ratio, shape))
    np.testing.assert_array_equal(parts.weight[..., 0], spread(weight, shape))


def test_classes_are_exact_up_to_two_to_the_24():
    y = np.array([2**24 - 1, 2**24])
    np.testing.assert_array_equal(unpack_targets(pack_targets(y, y, 1.0)).y_a[:, 0, 0], y)


def test_regression_targets_without_an_axis_get_one():
    packed = pack_targets([1.0, 2.0], [3.0, 4.0], [0.25, 0.5], [1.0, 0.0])
    assert packed.numpy().tolist() == [[1, 3, 0.25, 1], [2, 4, 0.5, 0]]


def test_empty_batches_and_open_shapes_are_packed():
    signature = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None])]
    pack = tf.function(lambda y, ratio: pack_targets(y, y, ratio), input_signature=signature)
    assert pack(np.zeros((0, 4, 3), np.float32), np.zeros(0, np.float32)).shape == (0, 4, 8)
    assert pack(np.zeros((2, 4, 3), np.float32), np.zeros(2, np.float32)).shape == (2, 4, 8)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (2, 2), (2, 3), (2, 5)])
def test_what_was_not_packed_does_not_come_apart(shape):
    with pytest.raises(ValueError, match=r"unpack_targets: packed must be \(batch, ..., 2 d \+ 2\).*Received"):
        unpack_targets(tf.zeros(shape))


PLAIN, DENSE, SPARSE = "plain", "dense", "sparse"


@pytest.mark.parametrize("classes", range(1, 12))
@pytest.mark.parametrize("inner", [(), (3,), (5, 4)], ids=str)
def test_packed_and_plain_targets_are_told_apart_for_any_number_of_classes(classes, inner):
    predictions = tf.zeros((6, *inner, classes))
    one_hot, labels = np.zeros((6, *inner, classes), np.float32), np.zeros((6, *inner), np.int32)
    for plain in (one_hot, labels, labels[..., np.newaxis]):
        assert unpack_for(tf.constant(plain), predictions) is None
    parts = unpack_for(pack_targets(one_hot, one_hot, 0.5), predictions)
    assert parts.y_a.shape == (6, *inner, classes)
    assert parts.ratio.shape == (6, *inner)
    parts = unpack_for(pack_targets(labels, labels, 0.5), predictions)
    assert parts.y_a.shape == (6, *inner, 1)
    assert parts.ratio.shape == (6, *inner)


def test_packed_and_plain_targets_are_told_apart_where_the_batch_is_open():
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, 1, 4]), tf.TensorSpec([None, 4]), tf.TensorSpec([None, 4])])
    def trace(sparse, plain, predictions):
        seen.extend(unpack_for(y, predictions) is None for y in (sparse, plain))
        return predictions

    trace(tf.zeros([1, 1, 4]), tf.zeros([1, 4]), tf.zeros([1, 4]))
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("targets", "predictions"),
    [((6, 5), (6, 3)), ((6, 3), (6, 4)), ((6, 1, 4), (6, 5, 3)), ((6, 2, 4), (6, 3))],
    ids=str,
)
def test_targets_that_fit_neither_form_are_refused(targets, predictions):
    with pytest.raises(ValueError, match=r"kmix_tf: targets must be plain, or packed.*Received: targets of shape"):
        unpack_for(tf.zeros(targets), tf.zeros(predictions))


@pytest.mark.parametrize(
    ("targets", "predictions"), [((6, 5), (6, 5, 1)), ((6, 1), (6, 1, 1)), ((6, 4, 5), (6, 4, 5, 1))]
)
def test_packed_sequences_whose_predictions_have_one_more_axis_are_not_taken_for_plain_ones(targets, predictions):
    # Their last axis is packed: a loss of these would compare numbers with ratios and weights.
    packed = pack_targets(tf.zeros(targets), tf.zeros(targets), 0.5)
    with pytest.raises(ValueError, match="kmix_tf: targets must be plain, or packed"):
        unpack_for(packed, tf.zeros(predictions))


@pytest.mark.parametrize("scope", ["batch", "sample"])
@pytest.mark.parametrize("labels", [True, False], ids=["classes", "soft labels"])
def test_a_layer_packs_what_its_plan_says(scope, labels):
    x = RNG.normal(size=(7, 3)).astype(np.float32)
    y = RNG.integers(0, 5, 7) if labels else RNG.uniform(size=(7, 5)).astype(np.float32)
    layer = LocalMixupLayer(0.7, scope=scope, targets="packed")
    _, packed = layer(x, y, seed=3)
    plan = layer.plan([x], 3)
    partner = plan.partner.numpy()
    parts = unpack_targets(packed)
    np.testing.assert_array_equal(np.squeeze(parts.y_a), y)
    np.testing.assert_array_equal(np.squeeze(parts.y_b), y[partner])
    np.testing.assert_array_equal(np.squeeze(parts.ratio), plan.ratio)
    apart = np.sqrt(np.square(x - x[partner]).astype(np.float64).sum(axis=1))
    raw = np.exp(-apart / np.median(apart))
    np.testing.assert_allclose(np.squeeze(parts.weight), raw / raw.mean(), rtol=1e-5)


def test_without_training_a_sample_is_packed_with_itself():
    _, packed = LocalMixupLayer(targets="packed")(np.zeros((3, 2), np.float32), np.array([2, 0, 1]), training=False)
    assert packed.numpy().tolist() == [[[2, 2, 1, 1]], [[0, 0, 1, 1]], [[1, 1, 1, 1]]]


def test_a_layer_that_makes_soft_labels_packs_these():
    _, packed = LocalMixupLayer(targets="packed", num_classes=3)(np.zeros((4, 2), np.float32), np.array([2, 0, 1, 1]))
    assert packed.shape == [4, 8]
    np.testing.assert_array_equal(unpack_targets(packed).y_a, np.eye(3)[[2, 0, 1, 1]])
