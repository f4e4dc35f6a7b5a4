"""CoMixupLayer is MixLayer with the blend of that name; labels follow what is seen, and pairs are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ChoiceLayer,
    CoMixupBlend,
    CoMixupLayer,
    CutMixLayer,
    ExponentialWeight,
    GradientSaliency,
    KMixupLayer,
    MixLayer,
    MixModel,
    mix,
)

RNG = np.random.default_rng(22)
X = RNG.exponential(size=(7, 8, 8, 1)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2, 1], np.int32)


def constants(number):
    return np.broadcast_to(np.arange(number).reshape(-1, 1, 1, 1), (number, 8, 8, 1)).astype(np.float32)


def network():
    return keras.Sequential(
        [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    )


def test_labels_and_weights_follow_what_is_shown():
    weight = RNG.uniform(0.5, 2, 7).astype(np.float32)
    layer = CoMixupLayer(part=4, blocks=2)
    shares = np.asarray(layer(constants(7), np.eye(7, dtype=np.float32), seed=3)[1])
    x, y, counts = layer(constants(7), np.eye(7, dtype=np.float32), weight, seed=3)
    np.testing.assert_allclose(x[:, ..., 0].numpy().mean(axis=(1, 2)), shares @ np.arange(7), rtol=1e-5)
    np.testing.assert_allclose(counts, shares @ weight, rtol=1e-5)
    np.testing.assert_allclose(y, shares * weight / (shares @ weight)[:, np.newaxis], rtol=1e-5, atol=1e-6)


def test_maps_are_laid_as_the_image_is():
    x = RNG.normal(size=(7, 8, 8, 2)).astype(np.float32)
    mixed, (maps, label) = CoMixupLayer(part=4)(x, (x, np.eye(7, dtype=np.float32)), seed=1)
    np.testing.assert_allclose(maps, mixed, rtol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(label, axis=1), 1, rtol=1e-6)


def test_it_is_its_blend(same):
    options = {"part": 3, "blocks": 2, "alpha": 1.0, "beta": 0.5, "threshold": 0.7, "omega": 0.1, "sweeps": 2}
    layer, parts = (
        CoMixupLayer(num_classes=3, **options),
        MixLayer(blend=CoMixupBlend(**options), num_classes=3),
    )
    same(layer(X, Y, seed=1), parts(X, Y, seed=1))


def test_the_configuration_makes_an_equal_layer(same):
    layer = CoMixupLayer(4, blocks=2, gamma=0.5, eta=0.0, probability=0.9, num_classes=3, seed=4)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(back) is CoMixupLayer
    assert back.get_config() == layer.get_config()
    same(back(X, Y, seed=3), layer(X, Y, seed=3))


def test_pipelines_take_the_last_partial_batch_and_go_on_where_they_were_saved(tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3).apply(mix(CoMixupLayer(2, num_classes=3), seed=0))
    batches = list(dataset)
    assert [len(x) for x, _ in batches] == [3, 3, 1]
    np.testing.assert_array_equal(batches[-1][0], X[-1:])  # one sample has nobody to be mixed with
    iterator, resumed = iter(dataset), iter(dataset)
    next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    tf.train.Checkpoint(iterator=resumed).restore(path)
    for ours, theirs in zip(iterator, resumed, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_seldom_means_that_other_batches_are_left_as_they_are():
    layer = CoMixupLayer(probability=0.5, num_classes=3)
    left = [np.array_equal(layer(X, Y, seed=seed)[0], X) for seed in range(40)]
    assert 8 < sum(left) < 32


def test_a_source_or_the_model_in_training_says_what_is_salient(same):
    model = network()
    source = GradientSaliency(model, keras.losses.CategoricalCrossentropy(reduction="none"))
    by_source = CoMixupLayer(saliency=source, num_classes=3)(X, Y, seed=2)
    given = source([tf.constant(X)], [tf.one_hot(Y, 3)])
    same(by_source, CoMixupLayer(num_classes=3)(X, Y, seed=2, saliency=given))
    training = MixModel(model, CoMixupLayer(4, num_classes=3), clean_weight=1.0, seed=0)
    training.compile("sgd", "categorical_crossentropy")
    history = training.fit(X, Y, batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()


def test_it_is_one_of_a_choice():
    choice = ChoiceLayer([CoMixupLayer(num_classes=3), CutMixLayer(num_classes=3), None])
    seen = {tuple(np.asarray(choice(X, Y, seed=seed)[1]).ravel()) for seed in range(12)}
    assert len(seen) > 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 16}, "no pairs to match. Received: k=16"),
        ({"interpolations": 5}, "own shares of each.*interpolations=5"),
        ({"weight": ExponentialWeight(0.1)}, "no distance of a pair.*weight=ExponentialWeight"),
        ({"targets": "packed"}, "no two targets to pack"),
        ({"solver": "graph"}, "a solver of its own on the host"),
        ({"bounding_box_format": "xyxy"}, "no boxes"),
    ],
)
def test_what_is_of_pairs_is_refused_in_one_sentence(options, said):
    with pytest.raises(ValueError, match=rf"CoMixupLayer: a blend that gathers samples itself mixes .*{said}"):
        CoMixupLayer(**options)


def test_other_refusals_name_the_layer():
    with pytest.raises(ValueError, match=r"CoMixupLayer: part must be an integer >= 2. Received: part=1"):
        CoMixupLayer(part=1)
    with pytest.raises(ValueError, match=r"CoMixupLayer: .* two loaders"):
        CoMixupLayer().between((X, Y), (X, Y))
    with pytest.raises(TypeError, match=r"CoMixupLayer: there is no such option. .* Is threshold meant"):
        CoMixupLayer(treshold=0.8)
    with pytest.raises(ValueError, match=r"CoMixupLayer: images must have at least 4 places"):
        CoMixupLayer(num_classes=3)(X[:, :3], Y)
    with pytest.raises(ValueError, match=r"KMixupLayer: a blend that gathers"):
        KMixupLayer(4, blend=CoMixupBlend())


def test_xla_cannot_compile_it():
    training = MixModel(network(), CoMixupLayer(num_classes=3))
    with pytest.raises(ValueError, match=r"MixModel: jit_compile=True needs a mix that XLA .* leave jit_compile out"):
        training.compile("sgd", "categorical_crossentropy", jit_compile=True)
