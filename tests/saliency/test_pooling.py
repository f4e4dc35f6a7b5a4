"""Smoothing against matrices in float64, pooling against loops over blocks."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.saliency import pooled, smooth

RNG = np.random.default_rng(5)


def gaussian(count, size):
    """Row by row, what a place is made of: a Gaussian that ends at three standard deviations, and sums to 1."""
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    if size == 0:
        return np.eye(count)
    weight = np.where(distance <= 3 * size + 1e-6, np.exp(-0.5 * (distance / size) ** 2), 0)
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.mark.usefixtures("plain_functions")
class TestAnyShape:
    @given(
        st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.5])), min_size=1, max_size=3),
        st.integers(0, 2**31 - 1),
    )
    def test_smoothing_is_a_product_of_matrices(self, axes, seed):
        places, sizes = zip(*axes, strict=True)
        values = np.random.default_rng(seed).uniform(size=(2, *places))
        expected = values
        for axis, (count, size) in enumerate(axes, start=1):
            expected = np.moveaxis(np.tensordot(gaussian(count, size), expected, (1, axis)), 0, axis)
        result = smooth(tf.constant(values.astype(np.float32)), sizes)
        assert result.dtype == tf.float32
        np.testing.assert_allclose(result, expected, atol=1e-5)

    @given(
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3), st.integers(0, 2**31 - 1)
    )
    def test_pooled_values_are_means_of_blocks(self, axes, seed):
        blocks = [count for count, _ in axes]
        values = np.random.default_rng(seed).normal(size=(2, *(count * size for count, size in axes)))
        result = pooled(tf.constant(values), blocks)
        assert result.shape == (2, *blocks)
        for place in np.ndindex(*blocks):
            inside = tuple(slice(i * size, (i + 1) * size) for i, (_, size) in zip(place, axes, strict=True))
            np.testing.assert_allclose(
                result[(slice(None), *place)], values[(slice(None), *inside)].reshape(2, -1).mean(axis=1)
            )


def test_compiled_smoothing_is_the_same_for_batches_of_any_size_and_shapes_that_are_open():
    open_function = tf.function(lambda x: smooth(x, 1.5), input_signature=[tf.TensorSpec([None, None, None])])
    compiled = tf.function(lambda x: smooth(x, 1.5), jit_compile=True)
    for shape in ((3, 9, 8), (2, 9, 8), (2, 4, 7)):
        values = RNG.uniform(size=shape).astype(np.float32)
        matrices = [gaussian(count, 1.5) for count in shape[1:]]
        expected = np.einsum("ij,kl,bjl->bik", *matrices, values)
        for function in (lambda x: smooth(x, 1.5), open_function, compiled):
            np.testing.assert_allclose(function(tf.constant(values)), expected, atol=1e-5)


def test_uniform_saliency_stays_uniform():
    np.testing.assert_allclose(smooth(tf.ones([1, 7, 9]), 2.0), np.ones([1, 7, 9]), atol=1e-6)


@pytest.mark.parametrize(
    "size", [-1, float("nan"), float("inf"), "1", None, [1.0], [1.0, 2.0, 3.0], [1.0, -1.0], True]
)
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=r"smooth: size must be .* Received: size="):
        smooth(tf.ones([1, 4, 4]), size)


@pytest.mark.parametrize("blocks", [0, 3, [2], [2, 3], [2, 2.0], "2", None, True])
def test_blocks_that_do_not_divide_are_refused(blocks):
    with pytest.raises(ValueError, match=r"pooled: blocks must be .* Received: blocks="):
        pooled(tf.ones([1, 4, 4]), blocks)


def test_blocks_of_an_open_size_are_checked_on_the_batch():
    function = tf.function(lambda x: pooled(x, 2), input_signature=[tf.TensorSpec([None, None, None])])
    assert function(tf.ones([1, 4, 6])).shape == (1, 2, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="pooled: blocks must divide the axes"):
        function(tf.ones([1, 4, 5]))
