"""Statistics against NumPy's, and mixtures at the corners, where they are one of the four."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.blend.style.adain import in_style_of, mix_content_and_style, style_of

RNG = np.random.default_rng(12)


def maps(*shape):
    return tf.constant(RNG.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("shape", [(3, 5, 2), (2, 4, 3, 3), (2, 2, 3, 2, 1)])
def test_a_style_is_the_mean_and_deviation_of_each_channel(shape):
    features = maps(*shape)
    rows = features.numpy().reshape(shape[0], -1, shape[-1]).astype(np.float64)
    style = style_of(features)
    np.testing.assert_allclose(np.ravel(style.mean), rows.mean(axis=1).ravel(), atol=1e-6)
    np.testing.assert_allclose(np.ravel(style.deviation), np.sqrt(rows.var(axis=1) + 1e-5).ravel(), rtol=1e-5)
    assert style.mean.shape == (shape[0], *[1] * (len(shape) - 2), shape[-1])


def test_content_in_another_style_has_its_statistics_and_the_order_of_its_own_places():
    content, other = maps(3, 4, 5, 2), 3 + 10 * maps(3, 6, 2, 2)
    made = in_style_of(content, other)
    np.testing.assert_allclose(style_of(made).mean, style_of(other).mean, atol=1e-4)
    np.testing.assert_allclose(style_of(made).deviation, style_of(other).deviation, rtol=1e-3)
    for channel in range(2):
        ours, theirs = (side.numpy()[0, ..., channel].ravel() for side in (content, made))
        assert (np.argsort(ours) == np.argsort(theirs)).all()


def test_a_channel_without_any_variance_takes_the_others_mean():
    flat, other = tf.fill([1, 4, 1], 7.0), maps(1, 4, 1)
    np.testing.assert_allclose(in_style_of(flat, other), np.full((1, 4, 1), other.numpy().mean()), atol=1e-3)
    assert np.isfinite(in_style_of(other, flat)).all()


def test_at_the_corners_one_of_the_four_is_seen():
    first, second = maps(1, 3, 3, 2), maps(1, 3, 3, 2)
    corners = {
        (1, 1): first,
        (1, 0): in_style_of(first, second),
        (0, 1): in_style_of(second, first),
        (0, 0): second,
    }
    for (content, style), expected in corners.items():
        for overlap in (0.0, 0.4, 1.0):
            shares = [tf.constant([share], tf.float32) for share in (content, style, overlap)]
            mixed = mix_content_and_style(first, second, *shares).numpy()
            np.testing.assert_array_equal(mixed, expected)


@pytest.mark.usefixtures("plain_functions")
class TestAnyRatios:
    @given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
    def test_so_much_is_the_firsts_content_and_so_much_its_style(self, content, style, overlap):
        # Each part is known by one number: content by differences between places, style by the mean.
        first, second = (np.array(side, np.float32).reshape(1, 2, 1) for side in ([-1, 1], [7, 9]))
        shares = [tf.constant([share], tf.float32) for share in (content, style, overlap)]
        mixed = mix_content_and_style(tf.constant(first), tf.constant(second), *shares).numpy().ravel()
        # Here both contents differ alike between places, so the mean alone tells: 0 in one style, 8 in the other.
        np.testing.assert_allclose(mixed.mean(), 8 * (1 - style), atol=1e-4)
        turned = mix_content_and_style(tf.constant(first), tf.constant(second[:, ::-1]), *shares).numpy().ravel()
        np.testing.assert_allclose((turned[1] - turned[0]) / 2, 2 * content - 1, atol=1e-4)
