"""Decisions say what they need and are told it; callables are checked when a layer is made of them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    Blended,
    BlendStrategy,
    KMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    Pairing,
    PairingStrategy,
    RatioStrategy,
    SaliencyMixLayer,
    WeightStrategy,
    mix,
)
from kmix_tf.seeding import mix_seeds, random_uniform

RNG = np.random.default_rng(2)
X = RNG.normal(size=(6, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 6)]
IMAGES = RNG.normal(size=(6, 4, 4, 1)).astype(np.float32)


def shifted(features, seed):
    rows = tf.range(tf.shape(features[0])[0])
    return Pairing(tf.roll(rows, 1, axis=0), rows)


PARTNER = np.roll(np.arange(6), 1)


def small_model(outputs=3):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs)(hidden))


def compiled(model, **options):
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), **options)
    return model


class TestRoomForMore:
    """Kinds of methods that no layer here has, each by a few lines of a user's own."""

    def test_a_ratio_is_told_the_distances_of_the_pairs(self):
        class Nearer(RatioStrategy):
            needs_distances = True

            def __call__(self, group, seed, distances=None):
                return 1 - 0.5 * tf.exp(-distances)

        mixed, y = MixLayer(shifted, Nearer())(X, Y, seed=1)
        apart = np.linalg.norm((X - X[PARTNER]).astype(np.float64), axis=1)
        ratio = (1 - 0.5 * np.exp(-apart))[:, np.newaxis]
        np.testing.assert_allclose(mixed, ratio * X + (1 - ratio) * X[PARTNER], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(y, ratio * Y + (1 - ratio) * Y[PARTNER], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("in_map", [False, True])
    def test_mixtures_of_more_than_two_samples_have_labels_of_the_same_shares(self, in_map):
        shares = RNG.dirichlet(np.ones(6), size=6).astype(np.float32)
        shares[0] = np.eye(6)[3]
        there = np.array([[1, 0], [0, 0], [1, 1], [1, 0], [0, 0], [0, 1]], bool)

        class Crowd(BlendStrategy):
            def __call__(self, first, second, partner, ratio, seed):
                mixed = [tf.tensordot(tf.constant(shares), leaf, 1) for leaf in first]
                return Blended(mixed, ratio, shares=tf.constant(shares))

        layer = MixLayer(blend=Crowd(), masks="there")
        x, weight = {"x": X, "there": there}, np.arange(1, 7, dtype=np.float32)
        if in_map:
            data = tf.data.Dataset.from_tensor_slices((x, Y, weight)).batch(6)
            mixed, y, counts = next(iter(data.apply(mix(layer, seed=0))))
        else:
            mixed, y, counts = layer(x, Y, weight)
        np.testing.assert_allclose(mixed["x"], shares @ X, rtol=1e-5, atol=1e-6)
        total = shares @ weight
        np.testing.assert_allclose(y, (shares * weight) @ Y / total[:, np.newaxis], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(counts, total, rtol=1e-5)
        assert (mixed["there"].numpy() == ((shares > 0) @ there > 0)).all()

    def test_more_than_two_samples_cannot_be_packed(self):
        def crowd(first, second, partner, ratio, seed):
            return Blended(first, ratio, shares=tf.eye(6))

        with pytest.raises(ValueError, match=r"MixLayer: mixtures of more than two samples have no two targets"):
            MixLayer(blend=crowd, targets="packed")(X, Y)

    def test_a_label_may_have_another_share_than_the_image(self):
        def styled(first, second, partner, ratio, seed):
            mixed = [0.5 * leaf + 0.5 * tf.gather(leaf, partner) for leaf in first]
            return Blended(mixed, tf.fill([6], 0.5), label_ratio=tf.fill([6], 0.9))

        mixed, y = MixLayer(shifted, blend=styled)(X, Y)
        np.testing.assert_allclose(mixed, (X + X[PARTNER]) / 2, rtol=1e-6)
        np.testing.assert_allclose(y, 0.9 * Y + 0.1 * Y[PARTNER], rtol=1e-6)

    def test_a_blend_that_is_told_targets_may_rebalance_labels(self):
        class Remix(BlendStrategy):
            """Gives the label of class 0, where it meets another, to that class whole."""

            needs_targets = True

            def __call__(self, first, second, partner, ratio, seed, targets):
                (ours,), (theirs,) = targets
                ours, theirs = tf.argmax(ours, 1), tf.gather(tf.argmax(theirs, 1), partner)
                label = tf.where((ours == 0) & (theirs != 0), 1.0, tf.where((ours != 0) & (theirs == 0), 0.0, ratio))
                mixed = [0.5 * leaf + 0.5 * tf.gather(leaf, partner) for leaf in first]
                return Blended(mixed, tf.fill([6], 0.5), label_ratio=label)

        _, y = MixLayer(shifted, lambda group, seed: tf.fill(tf.shape(group), 0.25), Remix())(X, Y)
        classes = Y.argmax(1)
        label = np.where(
            (classes == 0) & (classes[PARTNER] != 0), 1, np.where((classes != 0) & (classes[PARTNER] == 0), 0, 0.25)
        )[:, np.newaxis]
        np.testing.assert_allclose(y, label * Y + (1 - label) * Y[PARTNER], rtol=1e-6)

    def test_one_of_several_mixes_may_be_chosen_for_each_batch(self):
        class Choice(MixLayer):
            def __init__(self, layers, **options):
                super().__init__(**options)
                self.layers = layers

            def mixed(self, x, y, sample_weight, training, seed, *others, **more):
                if training is False:
                    return self.layers[0].mixed(x, y, sample_weight, training)
                drawn = tf.cast(random_uniform([], mix_seeds(seed).choice) * len(self.layers), tf.int32)
                make = [lambda layer=layer: layer.mixed(x, y, sample_weight, training, seed) for layer in self.layers]
                return tf.cond(drawn < 1, *make)

        halves, thirds = (MixLayer(shifted, lambda g, s, r=r: tf.fill(tf.shape(g), r)) for r in (1 / 2, 1 / 3))
        data = tf.data.Dataset.from_tensors((X, Y)).repeat(200).apply(mix(Choice([halves, thirds]), seed=0))
        shares = [float(y.numpy().max(axis=1).min()) for _, y in data]
        batches = {round(share, 4) for share in shares}
        assert batches == {0.5, round(2 / 3, 4)}
        # Binomial(200, 1/2) leaves [60, 140] once in 10^8.
        assert 60 <= sum(share < 0.6 for share in shares) <= 140

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_each_place_of_a_hidden_mix_may_have_a_mix_of_its_own(self, jit_compile):
        seen = []

        def noting(name):
            def ratio(group, seed):
                seen.append(name)
                return tf.fill(tf.shape(group), 0.5)

            return MixLayer(ratio=ratio)

        # The order of names is not that of the layers.
        mixing = ManifoldMixModel(
            small_model(), ["hidden", "input"], {"input": noting("input"), "hidden": noting("hidden")}, seed=0
        )
        compiled(mixing, jit_compile=jit_compile).fit(X, Y, epochs=2, verbose=0)
        assert set(seen) == {"input", "hidden"}
        assert [part.end for part in mixing._parts.value] == ["input", "hidden", None]

    def test_places_with_and_without_weights_go_together(self):
        class Half(WeightStrategy):
            def __call__(self, first, second, partner):
                return tf.where(partner % 2 == 0, 2.0, 0.0)

        for weights in ((None, Half()), (Half(), None)):
            mixes = dict(zip(("input", "hidden"), (MixLayer(weight=weight) for weight in weights), strict=True))
            for jit_compile in (False, True):
                mixing = ManifoldMixModel(small_model(), ["input", "hidden"], mixes, seed=1)
                history = compiled(mixing, jit_compile=jit_compile).fit(X, Y, epochs=3, verbose=0)
                assert np.isfinite(history.history["loss"]).all()

    def test_mixes_at_places_come_back_from_a_configuration(self):
        mixes = {"input": KMixupLayer(2, seed=3), "hidden": MixLayer()}
        mixing = ManifoldMixModel(small_model(), ["input", "hidden"], mixes, seed=0)
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(mixing)))
        back = keras.saving.deserialize_keras_object(config)
        assert {name: type(each) for name, each in back.mix.items()} == {"input": KMixupLayer, "hidden": MixLayer}
        assert back.mix["input"].k == 2

    def test_mixes_at_places_that_do_not_fit_are_refused(self):
        model = small_model()
        with pytest.raises(ValueError, match=r"ManifoldMixModel: mix must be a MixLayer, or a dictionary of one for"):
            ManifoldMixModel(model, ["input", "hidden"], {"input": MixLayer()})
        with pytest.raises(ValueError, match=r"ManifoldMixModel: the mixes at all places must agree in num_classes"):
            ManifoldMixModel(model, ["input", "hidden"], {"input": MixLayer(), "hidden": MixLayer(num_classes=3)})


class Typo:
    use_targets = True

    def __call__(self, features, seed):
        return shifted(features, seed)


class NoSource:
    needs_saliency = True

    def __call__(self, first, second, partner, ratio, seed, saliency):
        return Blended(first, ratio)


class BadFlag:
    needs_targets = 1

    def __call__(self, features, seed, targets):
        return shifted(features, seed)


class TestCheckedWhenMade:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"pairing": Typo()}, ValueError, r"pairing must declare .*Typo.use_targets. Is needs_targets meant\?"),
            ({"pairing": BadFlag()}, ValueError, r"pairing.needs_targets must be True or False"),
            ({"blend": NoSource()}, TypeError, r"blend must have a method saliency_of.*NoSource, which has none"),
            ({"pairing": KMixupLayer}, TypeError, r"pairing must be an object: with brackets, KMixupLayer\(...\)"),
            ({"ratio": lambda group: group}, TypeError, r"ratio must be a callable \(group, seed\) -> ratios"),
            ({"weight": lambda: None}, TypeError, r"weight must be a callable \(first, second, partner\) -> weights"),
            ({"blend": lambda x: x}, TypeError, r"blend must be a callable \(first, second, partner, ratio, seed\)"),
            ({"pairing": 3}, TypeError, r"pairing must be callable. Received: pairing=3. Give a PairingStrategy"),
            ({"pairing": KMixupLayer(2).ratio}, TypeError, r"pairing must be callable.*Give a PairingStrategy"),
        ],
        ids=["typo", "flag", "no source", "class", "ratio", "weight", "blend", "number", "another decision"],
    )
    def test_what_cannot_work_is_refused_when_the_layer_is_made(self, options, error, message):
        with pytest.raises(error, match=f"MixLayer: {message}"):
            MixLayer(**options)

    def test_a_source_that_takes_other_arguments_is_refused(self):
        with pytest.raises(TypeError, match=r"SaliencyMixLayer: saliency must be a callable \(features, targets\)"):
            SaliencyMixLayer(saliency=lambda image: image)

    def test_names_of_before_are_understood_and_warned_of(self):
        class Old:
            uses_targets = True

            def __call__(self, features, seed, targets):
                assert targets is not None
                return shifted(features, seed)

        class Several:
            interpolations = 2

            def __call__(self, group, seed):
                return tf.fill([2, 6], 0.5)

        with pytest.warns(FutureWarning, match=r"uses_targets.* gone in 0\.4\.0\. Write needs_targets") as told:
            assert MixLayer(Old()).pairing.needs_targets
        assert told[0].filename == __file__
        with pytest.warns(FutureWarning, match="Write mixtures instead"):
            layer = MixLayer(ratio=Several(), probability=0.5)
        x, _ = layer(X, Y, seed=3)
        assert len(x) == 12

    def test_attributes_that_are_none_of_our_business_are_left_alone(self):
        def pairing(features, seed):
            return shifted(features, seed)

        pairing.author, pairing.temperature = "me", 0.5
        MixLayer(pairing)(X, Y)


class TestCheckedWhenCalled:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (tf.range(6), "must return Pairing"),
            ((tf.range(6),), "must return Pairing"),
            ((tf.zeros([6]), tf.range(6)), "float32 of shape"),
            (None, "Received: None"),
        ],
        ids=["partners alone", "one of two", "floats", "nothing"],
    )
    def test_a_pairing_that_gives_something_else(self, given, message):
        def mine(features, seed):
            return given

        with pytest.raises((TypeError, ValueError), match=rf"MixLayer: mine must return Pairing.*|{message}"):
            MixLayer(mine)(X, Y)

    @pytest.mark.parametrize("given", [None, X, (X, 1.0)], ids=["nothing", "tensor", "no list"])
    def test_a_blend_that_gives_something_else(self, given):
        def mine(first, second, partner, ratio, seed):
            return given

        with pytest.raises(TypeError, match=r"MixLayer: mine must return Blended\(x, ratio\)"):
            MixLayer(blend=mine)(X, Y)

    def test_a_blend_that_loses_a_feature(self):
        def mine(first, second, partner, ratio, seed):
            return Blended(first[:1], ratio)

        with pytest.raises(ValueError, match=r"MixLayer: mine must give as many features.*1 of 2"):
            MixLayer(blend=mine)((X, X), Y)

    @pytest.mark.parametrize("part", ["pairing", "ratio", "weight"])
    def test_what_calls_the_host_is_refused_under_xla_by_name(self, part):
        def host(values):
            return tf.numpy_function(lambda x: x, [values], values.dtype, stateful=False)

        def pairs(features, seed):
            rows = tf.range(6)
            return Pairing(tf.ensure_shape(host(rows), [6]), rows)

        def shares(group, seed):
            return tf.ensure_shape(host(tf.fill([6], 0.5)), [6])

        def counts(first, second, partner):
            return tf.ensure_shape(host(tf.ones([6])), [6])

        function = {"pairing": pairs, "ratio": shares, "weight": counts}[part]
        layer = MixLayer(**{part: function})
        layer(X, Y)  # Elsewhere it works.
        mixing = compiled(MixModel(small_model(), layer), jit_compile=True)
        with pytest.raises(
            ValueError, match=rf"XLA cannot compile what calls back to the host. .*{function.__name__}"
        ):
            mixing.fit(X, Y, batch_size=6, verbose=0)

    def test_what_declares_the_host_is_refused_when_compiled(self):
        class Mine(PairingStrategy):
            runs_on_host = True

            def __call__(self, features, seed, targets=None):
                return shifted(features, seed)

        with pytest.raises(ValueError, match="MixModel: jit_compile=True needs a mix that XLA can compile"):
            compiled(MixModel(small_model(), MixLayer(Mine())), jit_compile=True)


class Plain:
    """A callable without a configuration."""

    def __call__(self, features, seed):
        return shifted(features, seed)


class TestWithoutConfiguration:
    @pytest.mark.parametrize("kind", ["map", "MixModel", "ManifoldMixModel"])
    def test_it_works_wherever_a_layer_does(self, kind):
        layer = MixLayer(Plain())
        if kind == "map":
            data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(6).map(layer)
            assert next(iter(data))[0].shape == (6, 4)
            return
        model = small_model()
        mixing = MixModel(model, layer) if kind == "MixModel" else ManifoldMixModel(model, ["hidden"], layer)
        assert np.isfinite(compiled(mixing).fit(X, Y, verbose=0).history["loss"]).all()
        assert mixing.predict(X, verbose=0).shape == (6, 3)

    def test_only_saving_is_refused_by_name(self, tmp_path):
        layer = MixLayer(Plain())
        with pytest.raises(TypeError, match=r"MixLayer: pairing cannot be saved: Plain has no get_config. Give it"):
            layer.get_config()
        mixing = MixModel(small_model(), layer)
        with pytest.raises(TypeError, match=r"pairing cannot be saved: Plain has no get_config"):
            mixing.save(tmp_path / "model.keras")
        mixing.save_weights(tmp_path / "model.weights.h5")
