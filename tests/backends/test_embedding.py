"""A Keras model as embedding, asked from within TensorFlow whatever back end it has."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, mix

RNG = np.random.default_rng(3)
X = RNG.normal(size=(13, 5)).astype(np.float32)
Y = np.eye(13, dtype=np.float32)


def a_model(*outputs):
    keras.utils.set_random_seed(1)
    x = keras.Input((5,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    answers = [keras.layers.Dense(size)(hidden) for size in outputs]
    return keras.Model(x, answers[0] if len(answers) == 1 else answers)


def predicted(model, x):
    return [np.asarray(part) for part in tf.nest.flatten(model.predict(x, verbose=0))]


def partners(x_mixed, y_mixed):
    """With whom each row was mixed: targets are one class for each sample."""
    y = np.array(keras.ops.convert_to_numpy(y_mixed))
    own = y[np.arange(len(y)), np.arange(len(y))].copy()
    y[np.arange(len(y)), np.arange(len(y))] = 0
    return np.where(own > 0.999, np.arange(len(y)), y.argmax(axis=1))


@pytest.mark.parametrize("outputs", [(2,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_distances_are_those_that_the_model_sees(outputs, dtype):
    model = a_model(*outputs)
    layer = KMixupLayer(4, 5.0, embedding=model)
    expected = np.asarray(
        keras.ops.convert_to_numpy(KMixupLayer(4).plan(predicted(model, X.astype(dtype)), 9).partner)
    )
    x = X.astype(dtype)
    assert (partners(*layer(x, Y, seed=9)) == expected).all()
    (mixed,) = tf.data.Dataset.from_tensors((x, Y)).map(lambda x, y: layer(x, y, seed=9))
    assert (partners(*mixed) == expected).all()
    # Else the test would pass without an embedding.
    assert (np.asarray(keras.ops.convert_to_numpy(KMixupLayer(4).plan([X], 9).partner)) != expected).any()


def test_of_several_features_the_model_is_given_what_it_takes():
    ins = {name: keras.Input((5,), name=name) for name in "ab"}
    model = keras.Model(ins, keras.layers.Dense(2)(keras.layers.Add()(list(ins.values()))))
    x = {"a": X, "b": X[:, ::-1] * 2}
    layer = KMixupLayer(4, 5.0, embedding=model)
    expected = np.asarray(keras.ops.convert_to_numpy(KMixupLayer(4).plan(predicted(model, x), 2).partner))
    assert (partners(*layer(x, Y, seed=2)) == expected).all()
    (mixed,) = tf.data.Dataset.from_tensors((x, Y)).map(lambda x, y: layer(x, y, seed=2))
    assert (partners(*mixed) == expected).all()


def test_a_model_that_was_never_called_is_made_with_the_first_batch():
    model = keras.Sequential([keras.layers.Dense(2)])
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    layer = KMixupLayer(4, embedding=model)
    if keras.backend.backend() == "tensorflow":
        layer(X, Y)  # Variables cannot be made within a map there.
    assert [len(x) for x, _ in data.map(layer)] == [8, 5]


def test_new_weights_count_from_the_next_batch_on():
    model = a_model(2)
    layer = KMixupLayer(13, 5.0, embedding=model)
    mapped = tf.data.Dataset.from_tensors((X, Y)).repeat(2).map(lambda x, y: layer(x, y, seed=6))
    before = partners(*next(iter(mapped)))
    model.set_weights([RNG.normal(size=weight.shape) ** 2 + 0.1 for weight in model.get_weights()])
    after = partners(*next(iter(mapped)))
    assert (before != after).any()
    assert (after == partners(*layer(X, Y, seed=6))).all()


def test_batches_of_many_threads_while_another_model_trains():
    model, embedding = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(13)]), a_model(2)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((X, Y)).repeat(20).batch(8)
    stage = mix(KMixupLayer(4, embedding=embedding), seed=0, num_parallel_calls=4)
    first, second = ([x.numpy() for x, _ in data.apply(stage)] for _ in range(2))
    assert len(first) == 33 and all(map(np.array_equal, first, second))
    losses = model.fit(data.apply(stage), epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_a_layer_and_its_model_can_be_forgotten():
    model = a_model(2)
    layer = KMixupLayer(4, embedding=model)
    layer(X, Y)
    gone = weakref.ref(model)
    del model, layer
    gc.collect()
    assert gone() is None


def test_adapt_measures_by_the_model():
    model = a_model(2)
    layer = KMixupLayer(4, embedding=model)
    layer.adapt(X)
    deviation = predicted(model, X)[0].astype(np.float64).std(axis=0)
    np.testing.assert_allclose(layer.adapted["scales"], [1 / deviation], rtol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="other back ends leave weights where they are")
def test_the_model_that_jax_trains_is_refused_as_embedding():
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(13)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat(20)
    # Keras would give weights made anew for those that fit has taken.
    with pytest.raises(tf.errors.OpError, match=r"as embedding.* must be another than the one in fit.*clone_model"):
        model.fit(data.apply(mix(KMixupLayer(4, embedding=model), seed=0)), epochs=1, shuffle=False, verbose=0)


@pytest.mark.parametrize("function", ["keras.ops", "a model"])
def test_other_callables_must_be_of_tensorflow(not_tensorflow, function):
    model = a_model(2)
    embedding = (lambda x: keras.ops.cumsum(x, axis=1)) if function == "keras.ops" else (lambda x: model(x))
    layer = KMixupLayer(4, 5.0, embedding=embedding)
    data = tf.data.Dataset.from_tensors((X, Y))
    with pytest.raises(ValueError, match=r"KMixupLayer: callables that a mix asks must be made of TensorFlow ops"):
        data.map(layer)
    if function == "keras.ops":  # By hand it may be anything that gives arrays.
        expected = KMixupLayer(4, 5.0, embedding=lambda x: tf.cumsum(x, axis=1))
        assert (partners(*layer(X, Y, seed=2)) == partners(*expected(X, Y, seed=2))).all()
        (mixed,) = data.map(lambda x, y: expected(x, y, seed=2))
        assert (partners(*mixed) == partners(*layer(X, Y, seed=2))).all()


def test_xla_is_told_that_the_model_is_elsewhere(not_tensorflow):
    layer = KMixupLayer(4, solver="graph", embedding=a_model(2))
    assert layer.runs_on_host and not KMixupLayer(4, solver="graph").runs_on_host
    function = tf.function(lambda x, y: layer(x, y, seed=1), jit_compile=True, autograph=False)
    with pytest.raises(ValueError, match=r"KMixupLayer: XLA cannot compile.*embedding="):
        function(X, Y)
