"""Ratios from distributions of the user's own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import BetaRatio, DistributionRatio, MixLayer

# The chance that one statistical assertion fails for a right strategy, were its seeds chosen anew.
FALSE_ALARM = 1e-5
GROUP = tf.constant([0, 0, 1, 2, 2, 2, 1, 0])


@keras.saving.register_keras_serializable(package="kmix_tf_tests_distribution")
def uniform(shape, seed):
    return tf.random.stateless_uniform(shape, seed, alg="philox")


@keras.saving.register_keras_serializable(package="kmix_tf_tests_distribution")
def arcsine(shape, seed):
    return tf.sin(uniform(shape, seed) * np.float32(np.pi / 2)) ** 2


@keras.saving.register_keras_serializable(package="kmix_tf_tests_distribution")
class Mixture:
    """Nothing or half: a callable object with a configuration of its own."""

    def __init__(self, share):
        self.share = share

    def __call__(self, shape, seed):
        return tf.where(uniform(shape, seed) < self.share, 0.5, 1.0)

    def get_config(self):
        return {"share": self.share}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


CDFS = {"uniform": (uniform, stats.uniform.cdf), "arcsine": (arcsine, stats.beta(0.5, 0.5).cdf)}
each_distribution = pytest.mark.parametrize(("sample", "cdf"), CDFS.values(), ids=CDFS)


def ratios(sample, scope="sample", interpolations=1, seed=1, group=GROUP):
    return DistributionRatio(sample, scope, interpolations)(group, seed).numpy()


@each_distribution
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
def test_ratios_follow_the_distribution(sample, cdf, compiled):
    draw = tf.function(lambda seed: DistributionRatio(sample, "sample")(tf.range(3000), seed), jit_compile=compiled)
    drawn = draw(tf.constant([0, 3])).numpy()
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn, cdf).pvalue > FALSE_ALARM


@each_distribution
def test_ratios_of_whole_batches_follow_the_distribution(sample, cdf):
    draw = tf.function(lambda seed: DistributionRatio(sample, "batch")(GROUP, seed)[0])
    drawn = tf.map_fn(draw, tf.range(400), fn_output_signature=tf.float32).numpy()
    assert stats.kstest(drawn, cdf).pvalue > FALSE_ALARM


@each_distribution
def test_several_ratios_descend_and_are_draws_of_the_distribution(sample, cdf):
    drawn = ratios(sample, interpolations=4, group=tf.range(1000))
    assert drawn.shape == (4, 1000)
    assert (np.diff(drawn, axis=0) <= 0).all()
    assert stats.kstest(drawn.ravel(), cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("interpolations", [1, 3])
def test_scopes_say_who_shares_a_ratio(interpolations):
    drawn = {scope: ratios(uniform, scope, interpolations) for scope in ("batch", "group", "sample")}
    columns = {scope: np.atleast_2d(values).T for scope, values in drawn.items()}
    assert all(values.shape == (8, interpolations) for values in columns.values())
    same = {scope: (values[:, np.newaxis] == values[np.newaxis]).all(axis=2) for scope, values in columns.items()}
    group = GROUP.numpy()
    assert same["batch"].all()
    assert (same["group"] == (group[:, np.newaxis] == group)).all()
    assert (same["sample"] == np.eye(8, dtype=bool)).all()


def test_the_sample_function_gets_the_shape_and_the_seed():
    asked = []

    def spy(shape, seed):
        asked.append((shape.numpy().tolist(), seed.numpy().tolist()))
        assert shape.dtype == seed.dtype == tf.int32
        return tf.fill(shape, 0.25)

    for scope, interpolations in (("batch", 1), ("batch", 3), ("group", 2), ("sample", 1)):
        assert (ratios(spy, scope, interpolations, seed=(5, 6)) == 0.25).all()
    assert [shape for shape, _ in asked] == [[1], [3, 1], [2, 8], [8]]
    assert {tuple(seed) for _, seed in asked} == {(5, 6)}


def test_the_seed_decides():
    assert (ratios(arcsine) == ratios(arcsine)).all()
    assert (ratios(arcsine) != ratios(arcsine, seed=2)).any()


@pytest.mark.parametrize("dtype", [tf.float16, tf.float64, tf.int32])
def test_ratios_become_float32(dtype):
    drawn = ratios(lambda shape, seed: tf.ones(shape, dtype))
    assert drawn.dtype == np.float32
    assert (drawn == 1).all()


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_ratios_outside_the_unit_interval_are_refused(value):
    def sample(shape, seed):
        # One bad ratio among good ones must be found.
        return tf.where(tf.range(tf.size(tf.zeros(shape))) == 2, value, 0.5)

    message = r"DistributionRatio: sample must give ratios in \[0, 1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ratios(sample)
    layer = MixLayer(ratio=DistributionRatio(sample, "sample"))
    dataset = tf.data.Dataset.from_tensors((tf.zeros([8, 2]), tf.zeros([8]))).map(layer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(dataset))


@pytest.mark.parametrize(
    "sample",
    [
        lambda shape, seed: tf.constant(0.5),
        lambda shape, seed: tf.fill(tf.concat([shape, [1]], 0), 0.5),
        lambda shape, seed: tf.fill(shape + 1, 0.5),
        lambda shape, seed: tf.fill([1], 0.5),
    ],
    ids=["scalar", "another axis", "too many", "one for all"],
)
def test_other_shapes_are_refused(sample):
    message = "DistributionRatio: sample must give a tensor of the shape asked for"
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        ratios(sample)
    graph = tf.function(lambda seed: DistributionRatio(sample, "sample")(GROUP, seed))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        graph(tf.constant([0, 1]))


@pytest.mark.parametrize("sample", [uniform, arcsine, Mixture(0.3)], ids=["uniform", "arcsine", "an object"])
def test_registered_callables_are_saved_with_the_layer(sample, same):
    layer = MixLayer(ratio=DistributionRatio(sample, "sample", 2))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert type(back.ratio.sample) is type(sample)
    assert (back.ratio.scope, back.ratio.interpolations) == ("sample", 2)
    x = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    same(back(x, x, seed=3), layer(x, x, seed=3))


def test_a_layer_mixes_with_the_ratios_given():
    layer = MixLayer(ratio=DistributionRatio(Mixture(0.5), "sample"))
    _, y = layer(np.zeros((40, 1), np.float32), np.eye(40, dtype=np.float32), seed=2)
    assert set(np.diag(y)) == {0.5, 1.0}


def test_a_uniform_sample_is_a_beta_ratio_in_distribution():
    ours = ratios(uniform, group=tf.range(2000))
    theirs = BetaRatio(1.0, "sample")(tf.range(2000), 8).numpy()
    assert stats.ks_2samp(ours, theirs).pvalue > FALSE_ALARM


@pytest.mark.parametrize("sample", [None, 0.5, "uniform"])
def test_what_cannot_be_called_is_refused(sample):
    with pytest.raises(TypeError, match=r"DistributionRatio: sample must be callable. Received: sample="):
        DistributionRatio(sample)


@pytest.mark.parametrize(("argument", "value"), [("scope", "pairs"), ("scope", None), ("interpolations", 0)])
def test_other_scopes_and_numbers_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"DistributionRatio: {argument} must be .*Received: {argument}="):
        DistributionRatio(uniform, **{argument: value})
