"""StyleMix against its formula in NumPy, with an encoder whose inverse is the decoder; whole samples stay whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    BetaRatio,
    ExponentialWeight,
    KMixupLayer,
    MixLayer,
    MixModel,
    RandomPairing,
    RepeatedPairing,
    StyleCutMixBlend,
    StyleMixBlend,
)

RNG = np.random.default_rng(14)
BOTH = pytest.mark.parametrize("cls", [StyleMixBlend, StyleCutMixBlend])


def images(*shape):
    return RNG.uniform(size=shape).astype(np.float32)


def ratios(*values):
    return tf.constant(values, tf.float32)


def test_mixtures_follow_the_formula(networks, in_style):
    first, second = images(4, 4, 6, 1), images(4, 4, 6, 1)
    partner, content, style, overlap = [2, 2, 0, 1], [0.3, 0.9, 0.0, 0.6], [0.5, 0.3, 1.0, 0.1], [0.2, 0.0, 0.5, 1.0]
    blend = StyleMixBlend(*networks)
    sides = [tf.constant(first)], [tf.constant(second)]
    pairs = blend._images(*sides, tf.constant(partner), ratios(*content))
    mixed = blend.stylised(pairs, ratios(*content), ratios(*style), ratios(*overlap))
    for row, (other, c, s, u) in enumerate(zip(partner, content, style, overlap, strict=True)):
        a, b = first[row], second[other]
        least, most = max(0, c + s - 1), min(c, s)
        t = least + u * (most - least)
        expected = t * a + (c - t) * in_style(a, b) + (s - t) * in_style(b, a) + (1 - c - s + t) * b
        np.testing.assert_allclose(mixed[row], expected, atol=1e-4)


def test_with_all_of_both_it_is_what_the_decoder_makes_of_the_sample(autoencoder):
    encoder, decoder = autoencoder()
    x = tf.constant(images(3, 8, 8, 1))
    one = tf.ones([3])
    blend = StyleMixBlend(encoder, decoder)
    pairs = blend._images([x], [x], tf.constant([1, 2, 0]), one)
    mixed = blend.stylised(pairs, one, one, tf.constant([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(mixed, decoder(encoder(x, training=False), training=False), atol=1e-5)
    assert not np.allclose(mixed, x, atol=1e-3)


@BOTH
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_whole_samples_are_untouched(cls, dtype, networks):
    x = tf.cast(100 * images(4, 4, 4, 1), dtype)
    encoder, decoder = networks
    blend = cls(encoder, lambda x: decoder(x) + 1)
    blended = blend([x], [x], tf.constant([1, 2, 3, 0]), ratios(1.0, 0.4, 1.0, 0.6), seed=2)
    assert blended.x[0].dtype == (dtype if x.dtype.is_floating else tf.float32)
    whole = tf.cast(blended.x[0], tf.float64).numpy() == tf.cast(x, tf.float64).numpy()
    assert whole[[0, 2]].all()
    assert not whole[[1, 3]].all()
    label = blended.label_ratio.numpy()
    assert (label[[0, 2]] == 1).all()
    assert (label[[1, 3]] < 1).all()


@BOTH
def test_batches_that_are_not_mixed_ask_no_network(cls):
    def broken(x):
        with tf.control_dependencies([tf.debugging.Assert(False, ["asked"])]):
            return tf.identity(x)

    x, y = images(4, 4, 4, 1), np.eye(4, dtype=np.float32)
    layer = MixLayer(blend=cls(broken, broken), probability=0.5)
    mixed = tf.function(lambda seed: layer(x, y, seed=seed))
    chance = np.zeros(2, int)
    for seed in range(12):
        try:
            same, label = mixed(tf.constant([0, seed]))
        except tf.errors.InvalidArgumentError:
            chance[1] += 1
            continue
        chance[0] += 1
        assert (same.numpy() == x).all() and (label.numpy() == y).all()
    assert chance.min() > 0


def test_labels_follow_content_and_style(networks):
    x, y = images(5, 4, 4, 1), np.eye(5, dtype=np.float32)
    ratio = 0.35
    partner = tf.constant([1, 2, 3, 4, 0])
    blend = StyleMixBlend(*networks, content_share=0.6, scope="sample")
    blended = blend([tf.constant(x)], [tf.constant(x)], partner, tf.fill([5], ratio), seed=3)
    style = (blended.label_ratio.numpy() - 0.6 * ratio) / 0.4
    assert ((style >= 0) & (style <= 1)).all()
    assert len(set(style.round(5))) == 5
    np.testing.assert_array_equal(blended.ratio, np.full(5, ratio, np.float32))
    layer = MixLayer(RandomPairing(), lambda group, seed: tf.fill(tf.shape(group), ratio), blend)
    _, label = layer(x, y, seed=3)
    np.testing.assert_allclose(tf.reduce_sum(label, axis=1), 1, atol=1e-6)
    assert (np.diag(label) > 0.6 * ratio - 1e-6).all()
    x = [tf.constant(x)]
    all_content = StyleMixBlend(*networks, content_share=1.0)(x, x, partner, tf.fill([5], ratio), seed=3)
    np.testing.assert_allclose(all_content.label_ratio, ratio, atol=1e-6)


def test_style_ratios_are_beta_and_one_for_the_batch_or_each_sample(networks):
    ratio, count = tf.fill([3000], 0.5), 3000
    by_sample = StyleMixBlend(*networks, style_alpha=0.5, scope="sample")._drawn(0.5, ratio, tf.constant([1, 2]))
    assert stats.kstest(by_sample.numpy(), stats.beta(0.5, 0.5).cdf).pvalue > 1e-5
    by_batch = StyleMixBlend(*networks)._drawn(0.5, tf.fill([2, count], 0.5), tf.constant([1, 2])).numpy()
    assert [len(set(row)) for row in by_batch] == [1, 1]
    assert by_batch[0, 0] != by_batch[1, 0]
    assert (StyleMixBlend(*networks)._drawn(0.0, ratio, tf.constant([1, 2])).numpy() == 1).all()


@BOTH
def test_several_interpolations_and_partners_are_as_many_mixtures(cls, networks):
    x = tf.constant(images(4, 4, 4, 1))
    partner = tf.constant([[1, 2, 3, 0], [2, 3, 0, 1]])
    ratio = tf.constant(np.sort(images(2, 4), axis=0)[::-1].copy())
    blend = cls(*networks)
    one, two = blend([x], [x], partner[0], ratio, 5), blend([x], [x], tf.stack([partner[0]] * 2), ratio, 5)
    assert one.x[0].shape == (8, 4, 4, 1)
    assert one.label_ratio.shape == (2, 4)
    np.testing.assert_allclose(one.x[0], two.x[0], atol=1e-5)
    other = blend([x], [x], partner, ratio, 5)
    np.testing.assert_allclose(other.x[0][:4], one.x[0][:4], atol=1e-5)
    assert not np.allclose(other.x[0][4:], one.x[0][4:], atol=1e-3)


@BOTH
@pytest.mark.parametrize(
    "options",
    [{"k": 2, "solver": "graph"}, {"interpolations": 2}, {"weight": ExponentialWeight(0.1)}, {"targets": "packed"}],
    ids=lambda options: next(iter(options)),
)
def test_they_combine_with_the_other_decisions(cls, options, networks):
    layer = KMixupLayer(alpha=0.5, blend=cls(*networks), num_classes=3, **{"k": 1, **options})
    made = layer(images(6, 4, 4, 1), np.arange(6) % 3, seed=1)
    assert len(made[0]) == 6 * options.get("interpolations", 1)
    assert all(np.isfinite(leaf).all() for leaf in made)


@BOTH
def test_two_loaders_and_several_pairings(cls, networks):
    first, second, y = images(4, 4, 4, 1), images(4, 4, 4, 1), np.eye(4, dtype=np.float32)
    assert MixLayer(blend=cls(*networks)).between((first, y), (second, y), seed=1)[0].shape == first.shape
    layer = MixLayer(RepeatedPairing(RandomPairing(), 2), BetaRatio(1.0), cls(*networks))
    assert layer(first, y, seed=1)[0].shape == (8, 4, 4, 1)


@BOTH
def test_other_leaves_are_averaged_with_the_share_in_the_label(cls, networks):
    x, table = images(3, 4, 4, 1), images(3, 2)
    leaves = [tf.constant(leaf) for leaf in (table, x)]
    blended = cls(*networks, scope="sample")(leaves, leaves, tf.constant([1, 2, 0]), tf.fill([3], 0.6), seed=4)
    share = blended.label_ratio.numpy()[:, np.newaxis]
    np.testing.assert_allclose(blended.x[0], share * table + (1 - share) * table[[1, 2, 0]], atol=1e-6)
    assert blended.x[1].shape == x.shape


@BOTH
def test_a_seed_gives_the_same_mixture_compiled_and_not(cls, autoencoder):
    blend, x = cls(*autoencoder()), tf.constant(images(4, 8, 8, 1))

    def mixed(x, seed):
        return blend([x], [x], tf.constant([1, 2, 3, 0]), tf.fill([4], 0.6), seed).x[0]

    ours, *others = (
        function(x, tf.constant([3, 1])).numpy()
        for function in (mixed, tf.function(mixed), tf.function(mixed, jit_compile=True))
    )
    for other in others:
        np.testing.assert_allclose(other, ours, atol=1e-4)
    assert not np.allclose(mixed(x, tf.constant([3, 2])), ours, atol=1e-3)


@BOTH
def test_signals_and_open_sizes(cls):
    x = tf.constant(images(3, 6, 2))
    blend = cls(lambda x: tf.reshape(x, [tf.shape(x)[0], -1, 4]), lambda x: tf.reshape(x, [tf.shape(x)[0], -1, 2]), 1)

    def eager(x):
        return blend([x], [x], tf.constant([1, 2, 0]), tf.fill([3], 0.5), 1).x[0]

    mixed = tf.function(eager, input_signature=[tf.TensorSpec([None, None, 2])])
    np.testing.assert_allclose(mixed(x), eager(x), atol=1e-5)
    longer = cls(lambda x: x, lambda x: tf.concat([x, x], axis=1), 1)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 2])])
    def wrong(x):
        return longer([x], [x], tf.constant([1, 2, 0]), tf.fill([3], 0.5), 1).x[0]

    with pytest.raises(tf.errors.InvalidArgumentError, match="decoder must give images of the shape"):
        wrong(x)


@BOTH
def test_batches_of_a_map_are_mixed_whatever_their_size(cls, autoencoder):
    x, y = images(7, 8, 8, 1), np.eye(7, dtype=np.float32)
    layer = MixLayer(ratio=BetaRatio(0.5), blend=cls(*autoencoder()))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    sizes = [len(mixed) for mixed, _ in data.map(layer)]
    assert sizes == [3, 3, 1]
    alone, label = list(data.map(layer))[-1]
    assert (alone.numpy() == x[6:]).all() and (label.numpy() == y[6:]).all()


@BOTH
def test_networks_are_not_trained_and_saved_with_their_weights(cls, autoencoder, tmp_path, same):
    encoder, decoder = autoencoder()
    layer = MixLayer(blend=cls(encoder, decoder), num_classes=2, name="mix", seed=1)
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    mixing = MixModel(model, layer, seed=0)
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    before = [weight.copy() for network in (encoder, decoder) for weight in network.get_weights()]
    x, y = images(8, 8, 8, 1), np.arange(8) % 2
    mixing.fit(x, y, verbose=0)
    after = [weight for network in (encoder, decoder) for weight in network.get_weights()]
    assert all((one == other).all() for one, other in zip(before, after, strict=True))
    assert len(mixing.trainable_weights) == 2
    mixing.save(tmp_path / "mixing.keras")
    back = keras.saving.load_model(tmp_path / "mixing.keras")
    same(tuple(back.layer(x, y, seed=3)), tuple(layer(x, y, seed=3)))
    # A configuration has no weights: those of its networks are new.
    anew = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert not np.allclose(anew(x, y, seed=3)[0], layer(x, y, seed=3)[0])


@BOTH
def test_no_gradient_flows_through_the_networks(cls, autoencoder):
    networks = autoencoder()
    x = tf.constant(images(3, 8, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        mixed = cls(*networks)([x], [x], tf.constant([1, 2, 0]), tf.fill([3], 0.5), 1).x[0]
    weights = [weight for network in networks for weight in network.trainable_variables]
    *of_weights, of_x = tape.gradient(mixed, [*weights, x])
    assert len(weights) == 4 and of_weights == [None] * 4
    # Pasted pixels have theirs; decoded ones, none.
    assert np.any(tf.convert_to_tensor(of_x)) == (cls is StyleCutMixBlend)


@BOTH
def test_the_configuration_makes_an_equal_blend(cls, networks):
    options = {"axes": 2, "style_alpha": 0.3, "content_share": 0.4, "scope": "sample"}
    blend = cls(*networks, **options)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert type(back) is cls
    assert back.get_config() == blend.get_config()
    x = [tf.constant(images(3, 4, 4, 1))]
    arguments = tf.constant([1, 2, 0]), tf.fill([3], 0.5), 6
    np.testing.assert_array_equal(back(x, x, *arguments).x[0], blend(x, x, *arguments).x[0])
