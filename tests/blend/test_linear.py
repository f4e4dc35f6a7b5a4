"""The linear blend against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import LinearBlend
from kmix_tf.blend import interpolate

PARTNER = np.array([2, 0, 3, 1], np.int32)
RATIO = np.array([0.0, 0.25, 0.8, 1.0], np.float32)


def by_numpy(first, second, partner, ratio):
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)[partner]
    ratio = ratio.astype(np.float64).reshape(-1, *[1] * (first.ndim - 1))
    return ratio * first + (1 - ratio) * second


def batches(shape, dtype=tf.float32, seed=0):
    rng = np.random.default_rng(seed)
    return [tf.cast(rng.uniform(0, 200, size=(4, *shape)), dtype) for _ in range(2)]


@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (2, 2, 3), (1, 2, 2, 2)], ids=str)
def test_rows_are_weighed_by_their_ratio_and_partners_by_the_rest(shape):
    first, second = batches(shape)
    mixed = interpolate(first, second, PARTNER, RATIO)
    np.testing.assert_allclose(mixed, by_numpy(first, second, PARTNER, RATIO), rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "result", "rtol"),
    [
        (tf.float16, tf.float16, 1e-3),
        (tf.bfloat16, tf.bfloat16, 1e-2),
        (tf.float32, tf.float32, 1e-6),
        (tf.float64, tf.float64, 1e-15),
        (tf.uint8, tf.float32, 1e-6),
        (tf.int64, tf.float32, 1e-6),
        (tf.bool, tf.float32, 1e-6),
    ],
    ids=str,
)
def test_floats_keep_their_dtype_and_others_become_float32(dtype, result, rtol):
    first, second = batches((3,), dtype)
    mixed = interpolate(first, second, PARTNER, RATIO)
    assert mixed.dtype == result
    wide = [tf.cast(side, tf.float64) for side in (first, second)]
    np.testing.assert_allclose(tf.cast(mixed, tf.float64), by_numpy(*wide, PARTNER, RATIO), rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.uint8], ids=str)
def test_ratios_of_one_and_zero_give_a_row_or_its_partner_exactly(dtype):
    first, second = batches((3,), dtype)
    own = interpolate(first, second, PARTNER, tf.ones([4]))
    other = interpolate(first, second, PARTNER, tf.zeros([4]))
    assert tf.reduce_all(own == tf.cast(first, own.dtype))
    assert tf.reduce_all(other == tf.cast(tf.gather(second, PARTNER), other.dtype))


def test_bytes_are_not_rounded():
    x = np.array([[0], [255]], np.uint8)
    mixed = interpolate(x, x, np.array([1, 0], np.int32), np.array([0.5, 0.5], np.float32))
    assert mixed.numpy().ravel().tolist() == [127.5, 127.5]


finite = st.floats(-1e6, 1e6, width=32)


@pytest.mark.usefixtures("plain_functions")
@given(st.lists(st.tuples(finite, finite, st.floats(0, 1, width=32)), min_size=1, max_size=8))
def test_mixtures_lie_between_their_ends(rows):
    first, second, ratio = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    mixed = interpolate(first, second, np.arange(len(rows), dtype=np.int32), ratio).numpy()
    slack = 1e-6 * (np.abs(first) + np.abs(second))
    assert (mixed >= np.minimum(first, second) - slack).all()
    assert (mixed <= np.maximum(first, second) + slack).all()


def test_all_features_are_mixed_alike_and_the_ratio_realised_is_the_one_drawn():
    table, images = batches((2,)), batches((3, 1), tf.float64, seed=1)
    first, second = [table[0], images[0]], [table[1], images[1]]
    mixed, realised, mask, places, *_ = LinearBlend()(first, second, tf.constant(PARTNER), tf.constant(RATIO))
    assert realised.numpy().tolist() == RATIO.tolist()
    assert mask is None and places == ()
    for ours, mine, theirs in zip(mixed, first, second, strict=True):
        assert ours.dtype == mine.dtype
        np.testing.assert_allclose(ours, by_numpy(mine, theirs, PARTNER, RATIO), rtol=1e-5)


def test_the_configuration_makes_an_equal_blend():
    assert isinstance(LinearBlend.from_config(LinearBlend().get_config()), LinearBlend)
