"""Models that mix take a choice of mixes: in the step, in hidden layers, rescaled."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    ChoiceLayer,
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    MixSchedule,
    PuzzleMixLayer,
    RescaledModel,
    SaliencyMixLayer,
)
from kmix_tf.maths.theta import theta_moments
from kmix_tf.models.rescaled.theta import mixed_as

RNG = np.random.default_rng(6)
X = RNG.normal(size=(20, 4, 4, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 20)
LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)
layers = keras.layers


def small_model():
    inputs = layers.Input((4, 4, 1))
    hidden = layers.Conv2D(4, 3, padding="same", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))


def choice(per="batch", **options):
    parts = [
        KMixupLayer(2, num_classes=3, solver="graph"),
        CutMixLayer(num_classes=3),
        LocalMixupLayer(num_classes=3),  # One solver: XLA compiles all layers, at each place, for each size.
        None,
    ]
    return ChoiceLayer(parts, per=per, **options)


WRAPPERS = {
    "step": lambda layer, **options: MixModel(small_model(), layer, **options),
    "hidden": lambda layer, **options: ManifoldMixModel(small_model(), ["input", "hidden"], layer, **options),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.representatives("name, per, jit_compile", [("hidden", "batch", True), ("step", "sample", False)])
def test_models_train_evaluate_and_come_back_from_a_file(name, per, jit_compile, tmp_path):
    layer = choice(per, probability=0.9, schedule=MixSchedule(2, warmup=1))
    mixing = WRAPPERS[name](layer, seed=1)
    mixing.compile("adam", LOSS, metrics=["accuracy"], jit_compile=jit_compile)
    history = mixing.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_data=(X, Y))  # The last batch has 4.
    assert np.isfinite(history.history["loss"] + history.history["val_loss"]).all()
    plain = mixing.model(X)
    assert mixing.evaluate(X, Y, verbose=0)[0] == pytest.approx(float(LOSS(np.eye(3)[Y], plain)), rel=1e-4)
    mixing.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(back.mixers[0], ChoiceLayer)
    assert back.mixers[0].per == per
    assert back.fit(X, Y, batch_size=20, shuffle=False, verbose=0).history["loss"] == pytest.approx(
        mixing.fit(X, Y, batch_size=20, shuffle=False, verbose=0).history["loss"], rel=1e-4
    )


def test_compiled_hidden_steps_learn_what_plain_ones_do():
    # XLA computes all layers and takes one; without it, one branch runs. The same draws, so the same losses.
    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        mixing = ManifoldMixModel(small_model(), ["input", "hidden"], choice(), seed=1)
        mixing.compile("sgd", LOSS, jit_compile=jit_compile)
        losses.append(mixing.fit(X, Y, batch_size=10, epochs=6, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_the_place_says_nothing_of_the_layer_chosen():
    # With the seeds of places for the choice, place 0 would always have layer 0.
    seen = []

    def noting(name):
        def ratio(group, seed):
            tf.numpy_function(lambda size: seen.append((name, int(size))) or size, [tf.size(group)], tf.int32)
            return tf.fill(tf.shape(group), 0.5)

        return MixLayer(ratio=ratio)

    at = {place: ChoiceLayer([noting(f"{place} 0"), noting(f"{place} 1")]) for place in ("input", "hidden")}
    mixing = ManifoldMixModel(small_model(), ["input", "hidden"], at, seed=0)
    mixing.compile("sgd", LOSS, run_eagerly=True)
    mixing.fit(np.repeat(X, 2, 0), np.eye(3, dtype=np.float32)[np.repeat(Y, 2)], batch_size=1, verbose=0)
    names = {name for name, _ in seen}
    # Of 40 steps, a quarter each: one of the four is missing once in 25,000 seeds.
    assert names == {"input 0", "input 1", "hidden 0", "hidden 1"}


class TestSaliency:
    def test_the_steps_own_goes_to_layers_without_a_source(self):
        told = []

        def noting(own):
            class Noting(type(SaliencyMixLayer().blend)):
                def __call__(self, first, second, partner, ratio, seed, saliency):
                    told.append((own, saliency[0]))
                    return super().__call__(first, second, partner, ratio, seed, saliency)

            source = (lambda features, targets: tf.ones(tf.shape(features[0])[:3])) if own else None
            return MixLayer(blend=Noting(2, source), num_classes=3)

        layer = ChoiceLayer([noting(True), noting(False), KMixupLayer(1, num_classes=3)])
        mixing = MixModel(small_model(), layer, seed=0)
        mixing.compile("sgd", LOSS, run_eagerly=True)
        mixing.fit(X, Y, batch_size=1, verbose=0)
        for own, saliency in told:
            assert np.allclose(saliency, 1) == own
        assert {own for own, _ in told} == {True, False}

    def test_axes_that_differ_are_refused(self):
        layer = ChoiceLayer([SaliencyMixLayer(num_classes=3), PuzzleMixLayer(axes=1, num_classes=3)])
        with pytest.raises(ValueError, match=r"MixModel: layers that take saliency .* agree in axes. .*\[1, 2\]"):
            MixModel(small_model(), layer)

    def test_smoothing_is_refused_where_no_layer_takes_it(self):
        with pytest.raises(ValueError, match=r"MixModel: smoothing must be None for LinearBlend or CutMixBlend"):
            MixModel(small_model(), ChoiceLayer([KMixupLayer(), CutMixLayer()]), smoothing=1.0)


def test_a_layer_of_several_that_averages_token_ids_is_refused():
    inputs = layers.Input((6,))
    table = layers.Embedding(9, 4)(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(table)))
    pasting = CutMixLayer(axes=1, num_classes=2)
    MixModel(model, ChoiceLayer([pasting, None]))
    with pytest.raises(ValueError, match=r"MixModel: token ids and categories, .* cannot be mixed"):
        MixModel(model, ChoiceLayer([pasting, KMixupLayer(1, num_classes=2)]))


def test_hosts_are_refused_for_xla():
    layer = ChoiceLayer([KMixupLayer(1, num_classes=3), KMixupLayer(2, num_classes=3)])
    assert layer.runs_on_host
    assert not layer.supports_jit
    with pytest.raises(ValueError, match=r"jit_compile=True needs a mix that XLA can compile"):
        MixModel(small_model(), layer).compile("sgd", LOSS, jit_compile=True)


class TestRescaled:
    def theta(self, layer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mixed_as(layer, small_model())

    def test_theta_has_the_mixture_of_the_laws(self):
        layer = ChoiceLayer([KMixupLayer(1, 0.2), KMixupLayer(1, 2.0), None], [0.5, 0.3, 0.2], probability=0.9)
        # By quadrature-free means: E over what is chosen of E of max(l, 1 - l), and of min(l, 1 - l)^2.
        parts = [(0.45, theta_moments(0.2)), (0.27, theta_moments(2.0))]
        mean = sum(share * part.mean for share, part in parts) + 0.28
        gamma_squared = sum(share * part.gamma_squared for share, part in parts)
        found = self.theta(layer).theta
        assert found.mean == pytest.approx(mean, abs=1e-12)
        assert found.gamma_squared == pytest.approx(gamma_squared, abs=1e-12)
        assert found.variance == pytest.approx(gamma_squared - (1 - mean) ** 2, abs=1e-12)

    def test_theta_is_that_of_what_is_mixed(self):
        layer = ChoiceLayer([MixLayer(ratio=BetaRatio(0.5)), None], [0.6, 0.4], per="sample")
        eye = tf.eye(64)
        run = tf.function(lambda seed: tf.linalg.diag_part(layer(eye, eye, seed=seed)[1]))
        shares = np.concatenate([run(tf.constant([0, seed])) for seed in range(300)])
        # The ratio is one for the batch: of 300 batches, the mean of max(l, 1 - l) has a standard error of .005.
        theta = np.maximum(shares, 1 - shares).mean()
        assert self.theta(layer).theta.mean == pytest.approx(theta, abs=0.025)

    def test_equal_alphas_are_that_alpha(self):
        found = self.theta(ChoiceLayer([KMixupLayer(1, 0.4), KMixupLayer(16, 0.4)]))
        assert found.alpha == 0.4

    def test_what_the_equation_does_not_hold_for_is_said_of_each_layer(self):
        with pytest.warns(UserWarning, match=r"the layer's blend is a CutMixBlend"):
            mixed_as(ChoiceLayer([KMixupLayer(1), CutMixLayer()]), small_model())

    def test_a_model_trained_through_a_choice_tells_its_theta(self):
        mixing = MixModel(small_model(), ChoiceLayer([KMixupLayer(1, 0.3, num_classes=3), None]), seed=0)
        rescaled = RescaledModel(mixing)
        rescaled.adapt(X, np.eye(3)[Y])
        assert rescaled.theta_bar == pytest.approx(1 - 0.5 * (1 - theta_moments(0.3).mean))
