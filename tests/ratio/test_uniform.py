"""Ratios uniform in an interval, and fixed ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import MixLayer, UniformRatio

# The chance that one statistical assertion fails for a right strategy, were its seeds chosen anew.
FALSE_ALARM = 1e-5
GROUP = tf.constant([0, 0, 1, 2, 2, 2, 1, 0])


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.2, 0.9)])
def test_ratios_are_uniform_between_the_bounds(low, high, compiled):
    ratio = UniformRatio(low, high, "sample")
    drawn = tf.function(lambda seed: ratio(tf.range(3000), seed), jit_compile=compiled)(tf.constant([0, 3])).numpy()
    assert drawn.dtype == np.float32 and drawn.shape == (3000,)
    assert np.float32(low) <= drawn.min() and drawn.max() <= np.float32(high)
    assert stats.kstest(drawn, stats.uniform(low, high - low).cdf).pvalue > FALSE_ALARM
    assert (ratio(tf.range(3000), [0, 3]).numpy() == drawn).all()
    assert (ratio(tf.range(3000), [0, 4]).numpy() != drawn).any()


@pytest.mark.parametrize("value", [0.0, 43 / 49, 1.0])
def test_equal_bounds_are_the_ratio(value):
    assert (UniformRatio(value, value, "sample")(GROUP, 1).numpy() == np.float32(value)).all()
    assert (UniformRatio(value, value, interpolations=2)(GROUP, 1).numpy() == np.float32(value)).all()


def test_scopes_share_ratios_and_interpolations_descend():
    assert len(set(UniformRatio()(GROUP, 1).numpy())) == 1
    grouped = UniformRatio(scope="group")(GROUP, 1).numpy()
    assert len(set(zip(GROUP.numpy(), grouped, strict=True))) == len(set(grouped)) == 3
    assert len(set(UniformRatio(scope="sample")(GROUP, 1).numpy())) == 8
    several = UniformRatio(0.3, 0.6, "sample", 4)(GROUP, 1).numpy()
    assert several.shape == (4, 8) and (np.diff(several, axis=0) < 0).all()
    assert UniformRatio(interpolations=4).mixtures == 4 and UniformRatio().mixtures is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": -0.1}, r"low must be in \[0, 1\]. Received: low=-0.1"),
        ({"high": 1.5}, r"high must be in \[0, 1\]. Received: high=1.5"),
        ({"high": float("nan")}, r"high must be in \[0, 1\]. Received: high=nan"),
        ({"low": True}, r"low must be in \[0, 1\]. Received: low=True"),
        ({"low": 0.7, "high": 0.6}, "low must be at most high=0.6. Received: low=0.7"),
        ({"scope": "box"}, "scope must be one of"),
        ({"interpolations": 0}, "interpolations must be"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"UniformRatio: {message}"):
        UniformRatio(**arguments)


def test_the_configuration_makes_an_equal_one_and_a_layer_mixes_by_it():
    ratio = UniformRatio(0.25, 0.75, "pair", 2)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ratio))
    assert type(back) is UniformRatio
    expected = {"low": 0.25, "high": 0.75, "scope": "pair", "interpolations": 2}
    assert back.get_config() == ratio.get_config() == expected
    _, y = MixLayer(ratio=UniformRatio(0.75, 0.75))(tf.eye(4), tf.eye(4), seed=1)
    partner = MixLayer().plan([tf.eye(4)], 1).partner.numpy()
    own = np.where(partner == np.arange(4), 1, 0.75)
    np.testing.assert_allclose(np.diag(y), own)
