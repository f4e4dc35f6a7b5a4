"""Rescaled models of open sizes, and of padded sequences: means per channel, of what is there."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, RescaledModel
from kmix_tf.analysis import theta_moments

L = keras.layers
THETA = theta_moments(1.0).mean


def images(sizes=(16, 20, 16), count=4, seed=0, channels=3):
    generator = np.random.default_rng(seed)
    shift = np.arange(1, channels + 1)
    return [(generator.normal(size=(count, n, n, channels)) + shift).astype("f4") for n in sizes]


def of_batches(*batches):
    """A dataset of batches whose shapes differ."""
    first = batches[0]
    spec = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec([None] * max(np.ndim(leaf) - 1, 1) + list(np.shape(leaf))[1:][-1:], leaf.dtype),
        first,
    )
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)


def pooled(classes=2, size=None):
    keras.utils.set_random_seed(0)
    head = [L.Conv2D(4, 3, activation="tanh"), L.GlobalAveragePooling2D(), L.Dense(classes)]
    return keras.Sequential([L.Input((size, size, 3)), *head])


def eq_22(model, x, x_mean, y_mean):
    shrunk = (THETA * x + (1 - THETA) * x_mean).astype("f4")
    return y_mean * (1 - 1 / THETA) + model.predict(shrunk, verbose=0) / THETA


def channel_mean(batches, weights=None):
    """Element by element: every pixel counts as much as its image."""
    weights = [np.ones(len(batch)) for batch in batches] if weights is None else weights
    flat = [batch.astype("f8").reshape(-1, batch.shape[-1]) for batch in batches]
    each = [np.repeat(w, batch[0, ..., 0].size) for w, batch in zip(weights, batches, strict=True)]
    return np.average(np.concatenate(flat), axis=0, weights=np.concatenate(each))


def test_images_of_several_sizes_have_a_mean_per_channel_and_any_size_is_served():
    batches, labels = images(), [np.array([0, 1, 1, 1])] * 3
    weights = [np.array([0.5, 1, 2, 0]) * n for n in (1, 2, 3)]
    rescaled = RescaledModel(pooled(), 1.0)
    rescaled.adapt(of_batches(*zip(batches, labels, weights, strict=True)))
    mean = channel_mean(batches, weights)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]).reshape(3), mean, rtol=1e-6)
    y_mean = np.average(np.eye(2)[np.concatenate(labels)], axis=0, weights=np.concatenate(weights))
    np.testing.assert_allclose(np.asarray(rescaled.target_mean), y_mean, rtol=1e-6)
    for size in (16, 20, 24):
        (x,) = images((size,), seed=1)
        np.testing.assert_allclose(rescaled.predict(x, verbose=0), eq_22(rescaled.model, x, mean, y_mean), atol=1e-5)


def test_open_sizes_are_open_though_all_data_have_one():
    (x,) = images((16,))
    rescaled = RescaledModel(pooled(), 1.0)
    rescaled.adapt(x, [0, 1, 0, 1])
    (larger,) = images((20,), seed=1)
    expected = eq_22(rescaled.model, larger, channel_mean([x]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(rescaled.predict(larger, verbose=0), expected, atol=1e-5)


def test_closed_sizes_keep_a_mean_for_each_place():
    (x,) = images((16,))
    rescaled = RescaledModel(pooled(size=16), 1.0)
    rescaled.adapt(x, [0, 1, 0, 1])
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), x.mean(axis=0), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="features must have the structure and shapes of those given to adapt"):
        rescaled(images((20,))[0])


def test_only_the_open_one_of_two_axes_is_averaged_over():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([L.Input((5, None, 2)), L.Conv2D(3, 1), L.GlobalMaxPooling2D(), L.Dense(2)])
    generator = np.random.default_rng(0)
    batches = [generator.normal(size=(3, 5, n, 2)).astype("f4") for n in (4, 7)]
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(
        tf.data.Dataset.from_generator(
            lambda: ((batch, np.array([0, 1, 1])) for batch in batches),
            output_signature=(tf.TensorSpec([None, 5, None, 2]), tf.TensorSpec([None], tf.int64)),
        )
    )
    expected = np.concatenate([np.swapaxes(batch, 1, 2).reshape(-1, 5, 2) for batch in batches]).mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0])[:, 0], expected, atol=1e-6)


class Subclassed(keras.Model):
    """Says nothing of its inputs."""

    def __init__(self):
        super().__init__()
        self.pool, self.dense = L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, x, training=None):
        return self.dense(self.pool(x))


def test_a_model_that_says_nothing_of_its_inputs_is_open_where_batches_differ():
    keras.utils.set_random_seed(0)
    batches = images()
    rescaled = RescaledModel(Subclassed(), 1.0)
    rescaled.adapt(of_batches(*((batch, np.array([0, 1, 1, 1])) for batch in batches)))
    (x,) = images((9,), seed=1)
    expected = eq_22(rescaled.model, x, channel_mean(batches), np.array([0.25, 0.75]))
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, atol=1e-5)


def test_shards_of_which_only_one_knows_that_sizes_differ_are_joined():
    keras.utils.set_random_seed(0)
    rescaled, labels = RescaledModel(Subclassed(), 1.0), np.array([0, 1, 1, 1])
    batches = images((16, 16, 20))
    closed = rescaled.measure(batches[0], labels)
    some = rescaled.measure(of_batches((batches[1], labels), (batches[2], labels)))
    for joined in (closed.merge(some), some.merge(closed)):
        np.testing.assert_allclose(joined.features.reshape(3), channel_mean(batches), rtol=1e-6)
        assert joined.weight == 12
    assert closed.features.shape == (16, 16, 3)
    rescaled.adapt(some)
    rescaled.adapt(closed)  # One size is one of all.
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]).reshape(3), channel_mean(batches[:1]), rtol=1e-5)
    with pytest.raises(ValueError, match="merge needs means of data of one structure and shape"):
        closed.merge(rescaled.measure(images((20,))[0], labels))


@pytest.mark.parametrize("shape", [(None,), (None, 8)], ids=["waveform", "series"])
def test_sequences_of_several_lengths(shape):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    hidden = inputs if len(shape) == 2 else L.Reshape((-1, 1))(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.LSTM(3)(hidden)))
    generator = np.random.default_rng(0)
    batches = [generator.normal(size=(4, n, *shape[1:])).astype("f4") + 1 for n in (3, 6)]
    rescaled = RescaledModel(model, 1.0)
    spec = (tf.TensorSpec([None, *shape]), tf.TensorSpec([None], tf.int64))
    rescaled.adapt(
        tf.data.Dataset.from_generator(lambda: ((each, [0, 1, 1, 0]) for each in batches), output_signature=spec)
    )
    mean = np.concatenate([batch.reshape(-1, *shape[1:]) for batch in batches]).mean(axis=0)
    x = generator.normal(size=(5, 9, *shape[1:])).astype("f4")
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), eq_22(model, x, mean, np.array([0.5, 0.5])), atol=1e-5)


def segmenter(classes=3, activation="softmax"):
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, padding="same", activation="tanh"), L.Conv2D(classes, 1, activation=activation)]
    return keras.Sequential([L.Input((None, None, 3)), *layers])


def labelled(batches, classes=3, seed=2):
    generator = np.random.default_rng(seed)
    return [(batch, generator.choice(classes, batch.shape[:3], p=[0.7, 0.2, 0.1])) for batch in batches]


def maps(pairs, *others):
    spec = (tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, None, None], tf.int64))
    return tf.data.Dataset.from_generator(lambda: iter(pairs), output_signature=(*spec, *others))


def test_outputs_per_place_have_a_mean_per_class():
    pairs = labelled(images())
    rescaled = RescaledModel(segmenter(activation=None), 1.0)
    rescaled.adapt(maps(pairs))
    y_mean = channel_mean([np.eye(3)[y] for _, y in pairs])
    np.testing.assert_allclose(np.asarray(rescaled.target_mean).reshape(3), y_mean, rtol=1e-6)
    (x,) = images((20,), seed=1)
    expected = eq_22(rescaled.model, x, channel_mean([x for x, _ in pairs]), y_mean)
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"targets of shape \(4, 16, 15\) for an output of shape \(None, 16, 16, 3\)"
    ):
        rescaled.adapt(maps([(pairs[0][0], pairs[0][1][:, :, 1:])]))


def test_weights_of_places_weigh_the_places():
    """As those that leave out the pixels nobody has labelled."""
    pairs = labelled(images())
    weights = [np.random.default_rng(3).integers(0, 2, y.shape).astype("f4") for _, y in pairs]
    rescaled = RescaledModel(segmenter(), 1.0, "probabilities")
    data = [(*pair, weight) for pair, weight in zip(pairs, weights, strict=True)]
    rescaled.adapt(maps(data, tf.TensorSpec([None, None, None])))
    every = np.concatenate([weight.ravel() for weight in weights])
    classes = np.concatenate([np.eye(3)[y].reshape(-1, 3) for _, y in pairs])
    pixels = np.concatenate([x.reshape(-1, 3) for x, _ in pairs])
    np.testing.assert_allclose(
        np.asarray(rescaled.target_mean).reshape(3), np.average(classes, axis=0, weights=every), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.asarray(rescaled.feature_means[0]).reshape(3), np.average(pixels, axis=0, weights=every), rtol=1e-5
    )
    x, y, weight = data[0]
    # Of closed sizes, each place has its own weights; one that nobody has seen has the mean of the others.
    weight[:, 3, 4] = 0
    closed = RescaledModel(keras.Sequential([L.Input((16, 16, 3)), L.Conv2D(3, 1)]), 1.0)
    closed.adapt(x, y, sample_weight=weight)
    found = np.asarray(closed.target_mean)
    everywhere = np.average(np.eye(3)[y].reshape(-1, 3), axis=0, weights=weight.ravel())
    np.testing.assert_allclose(found[3, 4], everywhere, rtol=1e-5)
    for row, column in np.argwhere(weight.sum(axis=0) > 0)[::20]:
        expected = np.average(np.eye(3)[y[:, row, column]], axis=0, weights=weight[:, row, column])
        np.testing.assert_allclose(found[row, column], expected, rtol=1e-5)


def test_both_predictions_are_scored_on_several_sizes():
    pairs = labelled(images())
    rescaled = RescaledModel(segmenter(), 1.0, "probabilities")
    rescaled.adapt(maps(pairs))
    scores = rescaled.evaluate_both(maps(pairs))
    wrong = [rescaled.predict(x, verbose=0).argmax(axis=-1) != y for x, y in pairs]
    assert scores.rescaled.error == pytest.approx(np.concatenate([each.ravel() for each in wrong]).mean())


LENGTHS = np.array([2, 5, 3, 1, 4, 5])


def padded(features=4, seed=0):
    """Sequences of unequal lengths, padded with zeros, and classes of their steps."""
    generator = np.random.default_rng(seed)
    x = (generator.normal(size=(6, 5, features)) + np.arange(2, 2 + features)).astype("f4")
    there = np.arange(5) < LENGTHS[:, np.newaxis]
    return x * there[..., np.newaxis], generator.integers(1, 3, (6, 5)) * there, there


def tagger(length=None, nested=False, per_step=True):
    keras.utils.set_random_seed(0)
    layers = [L.Masking(), L.LSTM(3, return_sequences=per_step), L.Dense(3)]
    inputs = keras.Input((length, 4))
    body = keras.Sequential([keras.Input((length, 4)), *layers]) if nested else None
    if nested:
        return keras.Model(inputs, body(inputs))
    return keras.Sequential([inputs, *layers])


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_padding_that_is_masked_counts_for_no_mean_and_is_masked_still(nested):
    x, steps, there = padded()
    model = tagger(nested=nested, per_step=False)
    rescaled = RescaledModel(model, 1.0)
    labels = steps[:, 0]
    rescaled.adapt(x, labels)
    mean = x[there].mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]).reshape(4), mean, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean), np.eye(3)[labels].mean(axis=0), rtol=1e-6)
    answer = rescaled.predict(x, verbose=0)
    for row, length in enumerate(LENGTHS):
        alone = eq_22(model, x[row : row + 1, :length], mean, np.eye(3)[labels].mean(axis=0))
        np.testing.assert_allclose(answer[row : row + 1], alone, atol=1e-5)


def test_of_closed_lengths_each_step_has_the_mean_of_those_that_are_there():
    x, steps, there = padded()
    rescaled = RescaledModel(tagger(5), 1.0)
    rescaled.adapt(x[:, :], steps)
    for step in range(5):
        rows = there[:, step]
        np.testing.assert_allclose(np.asarray(rescaled.feature_means[0])[step], x[rows, step].mean(axis=0), rtol=1e-5)
        expected = np.eye(3)[steps[rows, step]].mean(axis=0)
        np.testing.assert_allclose(np.asarray(rescaled.target_mean)[step], expected, rtol=1e-6)


def test_masked_steps_count_for_neither_scores_nor_losses_as_in_keras():
    x, steps, there = padded()
    model = tagger()
    rescaled = RescaledModel(model, 0.0)
    rescaled.adapt(x, steps)
    expected = np.eye(3)[steps[there]].mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean).reshape(3), expected, rtol=1e-6)
    scores = rescaled.evaluate_both(x, steps)
    answer = model.predict(x, verbose=0)
    wrong = (answer.argmax(axis=-1) != steps)[there].mean()
    assert scores.plain.error == pytest.approx(wrong) and scores.rescaled.error == pytest.approx(wrong)
    losses = []
    for each in (model, rescaled):
        each.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        losses.append(each.evaluate(x, steps, verbose=0))
    # With alpha=0 both are the same model.
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[0][1] == pytest.approx(1 - wrong)


def attended():
    keras.utils.set_random_seed(0)
    values, mask = keras.Input((None, 4), name="values"), keras.Input((None,), dtype="bool", name="there")
    weights = L.Lambda(lambda each: tf.cast(each, tf.float32)[..., tf.newaxis], output_shape=(None, 1))(mask)
    summed = L.GlobalAveragePooling1D()(L.Multiply()([L.Dense(3, activation="tanh")(values), weights]))
    return keras.Model({"values": values, "there": mask}, L.Dense(3)(summed))


@pytest.mark.parametrize("how", ["named", "of the layer"])
def test_masks_that_come_along_say_what_is_there(how):
    x, steps, there = padded()
    x = np.where(there[..., np.newaxis], x, 99).astype("f4")  # padding that no layer knows of
    if how == "named":
        rescaled = RescaledModel(attended(), 1.0, masks="there")
    else:
        rescaled = RescaledModel(attended(), KMixupLayer(1, alpha=1.0, masks="there"))
    assert tuple(rescaled.masks) == ("there",)
    rescaled.adapt({"values": x, "there": there}, steps[:, 0])
    mean = x[there].mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]).reshape(4), mean, rtol=1e-5)
    y_mean = np.eye(3)[steps[:, 0]].mean(axis=0)
    shrunk = np.where(there[..., np.newaxis], THETA * x + (1 - THETA) * mean, x).astype("f4")
    raw = rescaled.model.predict({"values": shrunk, "there": there}, verbose=0)
    expected = y_mean * (1 - 1 / THETA) + raw / THETA
    np.testing.assert_allclose(rescaled.predict({"values": x, "there": there}, verbose=0), expected, atol=1e-5)
    config = rescaled.get_config()
    assert config["masks"] == ["there"] and config["passthrough"] == []


def test_means_of_batches_of_one_are_those_of_unpadded_data():
    """The way round padding that nobody marks."""
    x, steps, _ = padded()
    keras.utils.set_random_seed(0)
    model = keras.Sequential([L.Input((None, 4)), L.GlobalMaxPooling1D(), L.Dense(3)])
    rows = [(x[row : row + 1, :length], steps[row : row + 1, 0]) for row, length in enumerate(LENGTHS)]
    spec = (tf.TensorSpec([None, None, 4]), tf.TensorSpec([None], tf.int64))
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=spec))
    expected = np.concatenate([row[0] for row, _ in rows]).mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]).reshape(4), expected, rtol=1e-5)


CLIENT = """
import sys, numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/served")
arrays = np.load(sys.argv[1] + "/arrays.npz")
assert served.signatures["serving_default"].structured_input_signature[1]["x"].shape.as_list() == [None] * 3 + [3]
for size in (16, 20):
    np.testing.assert_allclose(served.serve(arrays[f"x{size}"]), arrays[f"y{size}"], atol=1e-5)
assert "kmix_tf" not in sys.modules
"""


def test_saved_and_exported_they_take_all_sizes_elsewhere(tmp_path, elsewhere):
    pairs = labelled(images((16,)))
    rescaled = RescaledModel(segmenter(), 1.0, "probabilities")
    rescaled.adapt(maps(pairs))
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    arrays = {}
    for size in (16, 20):
        (x,) = images((size,), seed=1)
        arrays |= {f"x{size}": x, f"y{size}": rescaled.predict(x, verbose=0)}
        np.testing.assert_allclose(loaded.predict(x, verbose=0), arrays[f"y{size}"], atol=1e-6)
    loaded.adapt(maps(labelled(images((20, 24)))))
    rescaled.export(tmp_path / "served")
    np.savez(tmp_path / "arrays.npz", **arrays)
    elsewhere(CLIENT, tmp_path)


def test_masks_are_saved_and_configurations_of_before_them_are_read(tmp_path):
    x, steps, _ = padded()
    rescaled = RescaledModel(tagger(), 1.0)
    rescaled.adapt(x, steps)
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_allclose(loaded.predict(x, verbose=0), rescaled.predict(x, verbose=0), atol=1e-6)
    config = rescaled.get_config()
    del config["masks"]
    assert RescaledModel.from_config(config).masks == ()


def test_masks_that_come_along_say_it_of_outputs_too():
    x, steps, there = padded()
    x, steps = np.where(there[..., np.newaxis], x, 99).astype("f4"), np.where(there, steps, 0)
    keras.utils.set_random_seed(0)
    values, mask = keras.Input((None, 4), name="values"), keras.Input((None,), dtype="bool", name="there")
    as_number = L.Lambda(lambda each: tf.cast(each, tf.float32)[..., tf.newaxis], output_shape=(None, 1))(mask)
    model = keras.Model({"values": values, "there": mask}, L.Dense(3)(L.Concatenate()([values, as_number])))
    rescaled = RescaledModel(model, 1.0, masks="there")
    features = {"values": x, "there": there}
    rescaled.adapt(features, steps)
    expected = np.eye(3)[steps[there]].mean(axis=0)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean).reshape(3), expected, rtol=1e-6)
    wrong = (model.predict(features, verbose=0).argmax(axis=-1) != steps)[there].mean()
    assert rescaled.evaluate_both(features, steps).plain.error == pytest.approx(wrong)


def test_a_mask_of_nothing_is_told():
    class First(keras.Model):
        def call(self, x):
            return x["x"][:, :3]

    x = {"x": np.ones((6, 4), "f4"), "there": np.ones((6, 5), bool)}
    with pytest.warns(UserWarning, match=r"features\['there'\] of shape \(6, 5\), by which nothing is taken"):
        RescaledModel(First(), 1.0, masks="there").adapt(x, np.arange(6) % 3)


class TestRefusals:
    def test_closed_sizes_and_batches_of_several(self):
        with pytest.raises(ValueError, match=r"Received: \(4, 20, 20, 3\) in batch 1, after \(None, 16, 16, 3\)"):
            RescaledModel(pooled(size=16), 1.0).adapt(of_batches(*((x, np.arange(4) % 2) for x in images())))

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda there: there.astype("f4"), TypeError, r"masks must be boolean.*features\['there'\].*float32"),
            (lambda there: there[:, :4], ValueError, r"masks must have the places of a feature, .*\(6, 4\)"),
            (lambda there: there & False, ValueError, r"elements that are there. Received: features\['values'\] all"),
        ],
        ids=("floats", "other places", "nothing there"),
    )
    def test_masks_that_say_nothing(self, change, error, message):
        x, steps, there = padded()
        keras.utils.set_random_seed(0)
        values, mask = keras.Input((None, 4), name="values"), keras.Input((None,), name="there")
        out = L.Dense(3)(
            L.Concatenate()([L.GlobalMaxPooling1D()(values), L.GlobalMaxPooling1D()(L.Reshape((-1, 1))(mask))])
        )
        model = keras.Model({"values": values, "there": mask}, out)
        with pytest.raises(error, match=message):
            RescaledModel(model, 1.0, masks="there").adapt({"values": x, "there": change(there)}, steps[:, 0])

    def test_two_masks_for_one_feature(self):
        x, steps, there = padded()

        class Mean(keras.Model):
            def call(self, x):
                return tf.reduce_mean(x["x"], axis=1)

        with pytest.raises(ValueError, match=r"told apart by their shapes. Received: 2 masks .*features\['x'\]"):
            RescaledModel(Mean(), 1.0, masks=("a", "b")).adapt({"x": x, "a": there, "b": there}, steps[:, 0])

    def test_a_name_of_no_mask(self):
        x, steps, _ = padded()
        with pytest.raises(ValueError, match=r"masks must name leaves of the batch. Received: 'nonsense'"):
            RescaledModel(tagger(), 1.0, masks="nonsense").adapt(x, steps)

    def test_weights_of_other_places(self):
        x, steps, there = padded()
        with pytest.raises(ValueError, match=r"or that of the places of an output. Received: shape \(6, 4\)"):
            RescaledModel(tagger(), 1.0).adapt(x, steps, sample_weight=there[:, 1:].astype("f4"))
