"""Where theta comes from: numbers, ratios, layers, and the layer that a model was trained through."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import quad
from scipy.stats import arcsine, beta

from kmix_tf import (
    BetaRatio,
    CutMixLayer,
    DistributionRatio,
    KMixupLayer,
    MixLayer,
    MixModel,
    MixSchedule,
    MultiMixLayer,
    OptimalTransportPairing,
    RescaledModel,
)
from kmix_tf.analysis import ThetaMoments, theta_moments
from kmix_tf.maths.theta import theta_moments_of


@keras.saving.register_keras_serializable("test_rescaled_theta")
def draw_arcsine(shape, seed):
    return tf.sin(tf.random.stateless_uniform(shape, seed) * np.pi / 2) ** 2


def linear(units=2):
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(units)])


def theta_bar(alpha):
    return quad(lambda u: 2 * u * beta.pdf(u, alpha, alpha), 0.5, 1)[0]


@pytest.mark.parametrize(
    "source",
    (
        0.7,
        np.float32(0.7),
        BetaRatio(0.7, scope="sample"),
        BetaRatio(0.7, interpolations=5),
        MixLayer(ratio=BetaRatio(0.7)),
        KMixupLayer(4, alpha=0.7),
        MultiMixLayer(3, alpha=0.7),
        MultiMixLayer(3, alpha=0.7, baseline="batch_augmentation"),
    ),
    ids=lambda source: type(source).__name__,
)
def test_numbers_ratios_and_layers_of_one_alpha_say_the_same(source):
    rescaled = RescaledModel(linear(), source)
    assert rescaled.alpha == pytest.approx(0.7, rel=1e-6)
    assert rescaled.theta_bar == pytest.approx(theta_bar(0.7), rel=1e-6)


def test_several_ordered_interpolations_leave_the_marginal_as_it_is():
    draws = BetaRatio(0.4, scope="sample", interpolations=3)(tf.range(40_000), seed=1).numpy()
    mean = np.maximum(draws, 1 - draws).mean()
    # Five standard errors of a standard deviation below 1/4; the three are independent but for their order.
    assert RescaledModel(linear(), BetaRatio(0.4, interpolations=3)).theta_bar == pytest.approx(mean, abs=5 / 4 / 346)


def test_the_alpha_that_a_layer_learnt_counts():
    layer = MixLayer(OptimalTransportPairing(8), BetaRatio(0.5))
    layer.adapt(np.random.default_rng(0).normal(size=(128, 3)), batch_size=64, match_alpha=True)
    learnt = layer.get_config()["adapted"]["alpha"]
    rescaled = RescaledModel(linear(), layer)
    assert learnt > 0.5 and rescaled.alpha == learnt
    assert rescaled.theta_bar == theta_moments(learnt).mean


def test_a_sampler_is_averaged():
    # Five standard errors of a million draws.
    for source in (DistributionRatio(draw_arcsine), MixLayer(ratio=DistributionRatio(draw_arcsine))):
        rescaled = RescaledModel(linear(), source)
        assert rescaled.theta_bar == pytest.approx(theta_moments_of(arcsine()).mean, abs=5 * 0.00025)
        assert rescaled.alpha is None


def test_moments_of_any_distribution_are_taken_as_they_are():
    moments = theta_moments_of(lambda u: 6 * u * (1 - u))
    assert RescaledModel(linear(), moments).theta_bar == pytest.approx(theta_bar(2.0), rel=1e-7)


def test_batches_left_unmixed_count_with_theta_one():
    rescaled = RescaledModel(linear(), KMixupLayer(4, alpha=1.0, probability=0.4))
    assert rescaled.theta_bar == pytest.approx(0.4 * 0.75 + 0.6)
    theta = np.concatenate([np.ones(60_000), 1 - np.random.default_rng(0).uniform(0, 0.5, 40_000)])
    assert rescaled._theta.variance == pytest.approx(theta.var(), abs=1e-3)


def test_passthrough_and_masks_of_the_layer_are_left_as_they_are():
    layer = KMixupLayer(4, passthrough="id", masks="there")
    kinds = {"id": "float32", "there": "bool", "x": "float32"}
    inputs = {name: keras.Input((1,), dtype=dtype, name=name) for name, dtype in kinds.items()}
    there = keras.layers.Lambda(lambda t: tf.cast(t, tf.float32))(inputs["there"])
    joined = keras.layers.Concatenate()([inputs["id"], there, inputs["x"]])
    model = keras.Model(inputs, joined)
    rescaled = RescaledModel(model, layer, output="regression")
    x = {"id": np.array([[5.0], [7.0]]), "there": np.array([[True], [False]]), "x": np.array([[2.0], [4.0]])}
    x = {name: leaf.astype(leaf.dtype if leaf.dtype == bool else "f4") for name, leaf in x.items()}
    rescaled.adapt(x, np.zeros((2, 3), "f4"))
    assert len(rescaled.feature_means) == 1
    # theta_bar = 3/4 of alpha = 1: x shrinks to 2.25 and 3.75; then all is divided by it.
    np.testing.assert_allclose(rescaled(x).numpy() * 0.75, [[5, 1, 2.25], [7, 0, 3.75]], rtol=1e-6)


def test_a_mix_model_is_unwrapped_and_tells_its_alpha(tmp_path):
    model = linear()
    rescaled = RescaledModel(MixModel(model, KMixupLayer(4, alpha=0.3)))
    assert rescaled.model is model and rescaled.alpha == 0.3


def test_an_alpha_that_the_models_own_mix_contradicts_warns():
    mixing = MixModel(linear(), KMixupLayer(1, alpha=0.3))
    with pytest.warns(UserWarning, match=r"Received: alpha=0.5 .*the model's KMixupLayer has alpha=0.3"):
        rescaled = RescaledModel(mixing, 0.5)
    assert rescaled.alpha == 0.5
    inputs = keras.Input((3,))
    within = keras.Model(inputs, keras.layers.Dense(2)(KMixupLayer(4, alpha=0.3, features_only=True)(inputs)))
    with pytest.warns(UserWarning, match="alpha=0.3"):
        RescaledModel(within, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        RescaledModel(mixing, 0.3)
        RescaledModel(mixing, mixing.layer)
        RescaledModel(linear(), 0.5)


def test_what_the_theory_does_not_cover_warns():
    with pytest.warns(UserWarning, match="derived for linear mixing; the layer's blend is a CutMixBlend"):
        RescaledModel(linear(), CutMixLayer(alpha=1.0))
    with pytest.warns(UserWarning, match="schedule is not taken into account"):
        RescaledModel(linear(), MixLayer(schedule=MixSchedule(10, off_after=3)))


@pytest.mark.parametrize(
    "source", (MixLayer(ratio=DistributionRatio(draw_arcsine)), KMixupLayer(4, probability=0.5), 0.25)
)
def test_saving_keeps_theta_without_the_layer(source, tmp_path):
    rescaled = RescaledModel(linear(), source)
    rescaled.adapt(np.random.default_rng(0).normal(size=(8, 3)), [0, 1] * 4)
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    assert (loaded.theta_bar, loaded.alpha) == (rescaled.theta_bar, rescaled.alpha)
    assert loaded._theta == rescaled._theta


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, ValueError, "RescaledModel: alpha must be a number, a mix layer, .*holds no mix layer.*alpha=None"),
        ("1", TypeError, "RescaledModel: alpha must be a number, a mix layer"),
        (lambda group, seed: 0, TypeError, r"Of other ratios, give theta_moments_of\(density\)"),
        (MixLayer(ratio=lambda group, seed: tf.ones_like(group)), TypeError, r"give theta_moments_of\(density\)"),
        (DistributionRatio(lambda shape, seed: 2 * tf.ones(shape)), ValueError, r"ratios in \[0, 1\]"),
        (ThetaMoments(0.2, 0.0, 0.64), ValueError, "alpha must be such ThetaMoments as theta_moments_of gives"),
        (ThetaMoments(0.75, 0.1, 0.3), ValueError, "alpha must be such ThetaMoments"),
        (True, ValueError, "alpha must be >= 0"),
    ],
)
def test_what_tells_no_theta_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        RescaledModel(linear(), source)
