"""Keras' own test of layers, and what it means to us where Keras has none to offer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    OtherClassPairing,
    SameClassPairing,
)

IS_KERAS_3 = keras.__version__.startswith("3")
X = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)

each_class = pytest.mark.parametrize(
    ("layer_class", "arguments"),
    [
        (MixLayer, {"features_only": True, "seed": 1}),
        (KMixupLayer, {"k": 1, "features_only": True, "seed": 1}),
        (KMixupLayer, {"k": 2, "alpha": 0.3, "scope": "group", "features_only": True, "seed": 1}),
    ],
    ids=["mix", "mixup", "kmixup"],
)


only_keras_3 = pytest.mark.skipif(
    not IS_KERAS_3, reason="Keras 2 does not ship its test case; the tests below stand in for it"
)


def run_layer_test(layer_class, arguments, **options):
    from keras.src.testing import TestCase

    TestCase().run_layer_test(
        layer_class,
        init_kwargs=arguments,
        expected_num_trainable_weights=0,
        expected_num_non_trainable_weights=0,
        expected_num_seed_generators=0,
        expected_num_losses=0,
        supports_masking=False,
        # Under a policy of half precision Keras expects halves; this layer keeps the features' dtype.
        run_mixed_precision_check=False,
        **options,
    )


@only_keras_3
@each_class
def test_keras_finds_no_fault_with_features_alone(layer_class, arguments):
    run_layer_test(layer_class, arguments, input_shape=(4, 3), expected_output_shape=(4, 3))


@only_keras_3
@pytest.mark.parametrize(
    ("layer_class", "arguments", "times"),
    [
        (KMixupLayer, {"k": 2, "solver": "graph", "num_classes": 3}, 1),
        (MultiMixLayer, {"interpolations": 3}, 3),
        (MultiMixLayer, {"interpolations": 2, "baseline": "batch_augmentation"}, 2),
        (CutMixLayer, {"alpha": 0.5}, 1),
        (MixLayer, {"pairing": SameClassPairing()}, 1),
        (MixLayer, {"pairing": OtherClassPairing(), "probability": 0.5}, 1),
    ],
    ids=["kmixup", "multimix", "batch augmentation", "cutmix", "same class", "other class"],
)
@pytest.mark.representatives("times", [2])
def test_keras_finds_no_fault_with_targets(layer_class, arguments, times):
    run_layer_test(
        layer_class,
        {**arguments, "seed": 1},
        input_data={
            "x": np.ones((4, 5, 6, 1), np.float32),
            "y": np.eye(3, dtype=np.float32)[[0, 1, 2, 1]],
        },
        expected_output_shape=((4 * times, 5, 6, 1), (4 * times, 3)),
        # Keras' training step calls the layer with all inputs as one; test_every_layer trains with each.
        run_training_check=False,
    )


@only_keras_3
def test_keras_finds_no_fault_with_weights():
    run_layer_test(
        LocalMixupLayer,
        {"seed": 1},
        input_data={"x": np.ones((4, 5), np.float32), "y": np.ones((4, 2), np.float32)},
        expected_output_shape=((4, 5), (4, 2), (4,)),
        run_training_check=False,
    )


def in_model(layer, dtype="float32"):
    inputs = keras.Input((3,), dtype=dtype)
    return keras.Model(inputs, layer(inputs))


@each_class
def test_a_layer_is_made_anew_by_its_configuration(layer_class, arguments):
    layer = layer_class(**arguments)
    back = layer_class.from_config(layer.get_config())
    assert back.get_config() == layer.get_config()
    assert back.built
    assert not back.weights


@each_class
def test_a_model_mixes_in_training_only(layer_class, arguments):
    model = in_model(layer_class(**arguments))
    assert model.output_shape == (None, 3)
    assert (model.predict(X, verbose=0) == X).all()
    assert (model(X, training=False).numpy() == X).all()
    assert (model(X).numpy() == X).all()
    mixed = model(X, training=True).numpy()
    assert mixed.shape == X.shape
    assert not np.allclose(mixed, X)


@each_class
def test_a_model_of_ones_own_mixes_in_training_only(layer_class, arguments):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.mix = layer_class(**arguments)

        def call(self, x, training=None):
            return self.mix(x)

    model = Own()
    assert (model(X).numpy() == X).all()
    assert (model(X, training=False).numpy() == X).all()
    assert (model.predict(X, verbose=0) == X).all()
    assert not np.allclose(model(X, training=True), X)


@each_class
def test_a_model_with_the_layer_is_trained(layer_class, arguments):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer_class(**arguments)(inputs)))
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    history = model.fit(X, X[:, :1], epochs=1, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert not np.allclose(model.get_weights()[0], before)


def test_a_saved_model_is_loaded_with_the_layer(tmp_path):
    model = in_model(KMixupLayer(2, features_only=True, seed=3))
    model.save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    layer = next(layer for layer in back.layers if isinstance(layer, KMixupLayer))
    assert layer.get_config() == model.layers[-1].get_config()
    assert (back.predict(X, verbose=0) == X).all()


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float32", "float32"),
        ("uint8", "float32"),
        pytest.param("float64", "float64"),
        pytest.param("float16", "float16"),
    ],
)
def test_a_symbol_has_the_dtype_of_the_values(dtype, result):
    model = in_model(MixLayer(features_only=True), dtype)
    output = model.outputs[0]
    assert tf.as_dtype(output.dtype).name == result
    assert model(tf.ones([4, 3], dtype), training=True).dtype.name == result


def test_a_model_is_exported_without_the_mix(tmp_path, elsewhere):
    inputs = keras.Input((3,))
    mixed = KMixupLayer(2, solver="graph", features_only=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(mixed))
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(X, X[:, :2], epochs=1, batch_size=4, verbose=0)
    model.export(str(tmp_path / "model"))
    program = """
import sys, numpy as np, tensorflow as tf
sys.modules["kmix_tf"] = None  # importing it would fail
served = tf.saved_model.load(sys.argv[1] + "/model")
nodes = served.signatures["serving_default"].graph.as_graph_def()
ops = {node.op for part in [nodes, *nodes.library.function] for node in getattr(part, "node", None) or part.node_def}
assert not any("PyFunc" in op for op in ops), ops
np.save(sys.argv[1] + "/answer.npy", served.serve(np.load(sys.argv[1] + "/x.npy")))
"""
    np.save(tmp_path / "x.npy", X)
    elsewhere(program, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_functional_model_mixes_targets_too():
    x, y = keras.Input((3,)), keras.Input((2,))
    model = keras.Model([x, y], MixLayer(seed=1)(x, y))
    assert [tuple(part.shape) for part in model([X, X[:, :2]], training=True)] == [(8, 3), (8, 2)]
