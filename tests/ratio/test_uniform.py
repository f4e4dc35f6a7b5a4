"""Uniform ratios and those of uniform scales, against their distribution functions."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import BetaRatio, MixLayer, ScaleRatio, UniformRatio

# The chance that one statistical assertion fails for a right ratio, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def drawn(ratio, count=4000, seed=5):
    return np.asarray(ratio(tf.range(count), seed=seed), np.float64)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.5, 1.0), (0.2, 0.3)])
def test_ratios_are_uniform_between_the_bounds(bounds):
    low, high = bounds
    ratios = drawn(UniformRatio(low, high, "sample"))
    assert ((ratios >= np.float32(low)) & (ratios <= np.float32(high))).all()
    assert stats.kstest(ratios, stats.uniform(low, high - low).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_scales_of_boxes_are_uniform(axes):
    ratios = drawn(ScaleRatio(axes=axes, scope="sample"))
    scales = (1 - ratios) ** (1 / axes)
    assert ((scales >= 0.1 - 1e-3) & (scales <= 0.8 + 1e-6)).all()
    assert stats.kstest(scales, stats.uniform(0.1, 0.7).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("make", [UniformRatio, ScaleRatio])
def test_scopes_and_interpolations_are_those_of_beta_ratios(make):
    group = tf.constant([0, 0, 1, 1, 2])
    assert len({*make(scope="batch")(group, seed=1).numpy()}) == 1
    by_group = make(scope="group")(group, seed=1).numpy()
    assert by_group[0] == by_group[1] != by_group[2] == by_group[3] != by_group[4]
    assert len({*make(scope="sample")(group, seed=1).numpy()}) == 5
    several = make(scope="sample", interpolations=3)(group, seed=1).numpy()
    assert several.shape == (3, 5)
    assert (np.diff(several, axis=0) < 0).all()
    assert make(interpolations=3).mixtures == 3
    assert make(scope="pair").by_pair
    assert np.array_equal(drawn(make()), drawn(make()))
    assert not np.array_equal(drawn(make()), drawn(make(), seed=6))


def test_bounds_that_are_equal_fix_the_ratio():
    assert (drawn(UniformRatio(0.3, 0.3)) == np.float32(0.3)).all()
    assert (drawn(ScaleRatio(0.0, 0.0)) == 1).all()
    assert (drawn(ScaleRatio(1.0, 1.0)) == 0).all()
    x = tf.random.stateless_uniform([4, 3], [0, 1])
    mixed, y = MixLayer(ratio=UniformRatio(1.0, 1.0))(x, tf.eye(4))
    assert (mixed.numpy() == x.numpy()).all()
    assert (y.numpy() == np.eye(4)).all()


def test_the_default_is_plain_mixups_ratio():
    ours, theirs = drawn(UniformRatio(scope="sample")), drawn(BetaRatio(1.0, "sample"))
    assert stats.ks_2samp(ours, theirs).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    "ratio", [UniformRatio(0.25, 0.75, "group", 2), ScaleRatio(0.2, 0.5, 1, "sample", 3)], ids=["uniform", "scale"]
)
def test_they_are_saved_and_compiled(ratio):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(ratio)))
    back = keras.saving.deserialize_keras_object(config)
    assert type(back) is type(ratio)
    assert back.get_config() == ratio.get_config()
    compiled = tf.function(lambda seed: back(tf.range(6), seed), jit_compile=True)
    np.testing.assert_allclose(compiled(tf.constant([0, 3])), ratio(tf.range(6), 3), rtol=1e-6)


def test_an_interval_has_the_same_ratios_under_xla():
    ratio = UniformRatio(0.2, 0.9, "sample")
    compiled = tf.function(lambda seed: ratio(tf.range(3000), seed), jit_compile=True)
    assert (compiled(tf.constant([0, 5])).numpy() == drawn(ratio, 3000)).all()


@pytest.mark.parametrize("make", [UniformRatio, ScaleRatio])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "1", None])
def test_other_bounds_are_refused(make, value):
    with pytest.raises(ValueError, match=rf"{make.__name__}: low must be in \[0, 1\]. Received: low="):
        make(value, 0.5)
    with pytest.raises(ValueError, match=rf"{make.__name__}: high must be in \[0, 1\]. Received: high="):
        make(0.5, value)


@pytest.mark.parametrize("make", [UniformRatio, ScaleRatio])
def test_bounds_in_the_wrong_order_are_refused(make):
    with pytest.raises(ValueError, match=rf"{make.__name__}: low must be at most high=0.25. Received: low=0.5"):
        make(0.5, 0.25)
    with pytest.raises(ValueError, match=r"interpolations must be an integer >= 1"):
        make(interpolations=0)
    with pytest.raises(ValueError, match=r"scope must be one of"):
        make(scope="pixel")


def test_axes_are_1_to_3():
    with pytest.raises(ValueError, match=r"ScaleRatio: axes must be 1, 2 or 3. Received: axes=4"):
        ScaleRatio(axes=4)
