import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import RescaledModel
from kmix_tf.analysis import theta_moments


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 4, 4, 1)).astype(np.float32) + 2
    return x, generator.integers(0, 3, 90)


def classifier(outputs=3, activation=None):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(8, activation="tanh")]
    return keras.Sequential([*layers, keras.layers.Dense(outputs, activation=activation)])


def equation_22(model, x, x_mean, y_mean, alpha):
    theta = theta_moments(alpha).mean
    shrunk = (theta * x + (1 - theta) * x_mean).astype(np.float32)
    return y_mean * (1 - 1 / theta) + model.predict(shrunk, verbose=0) / theta


@pytest.mark.parametrize("alpha", (0.0, 0.2, 1.0, 50.0))
def test_logits_follow_equation_22(data, alpha):
    x, y = data
    model = classifier()
    rescaled = RescaledModel(model, alpha)
    rescaled.adapt(tf.data.Dataset.from_tensor_slices((x, y)).batch(32))
    expected = equation_22(model, x, x.mean(axis=0), np.eye(3)[y].mean(axis=0), alpha)
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, atol=1e-5)


def test_balanced_classes_make_it_temperature_scaling_of_the_shrunk_input(data):
    x, _ = data
    model = classifier()
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, np.arange(90) % 3)
    theta = theta_moments(1.0).mean
    shrunk = theta * x + (1 - theta) * x.mean(axis=0)
    expected = tf.nn.softmax(model.predict(shrunk, verbose=0) / theta)
    np.testing.assert_allclose(tf.nn.softmax(rescaled.predict(x, verbose=0)), expected, atol=1e-6)


def test_one_logit_is_treated_as_the_difference_of_two(data):
    x, y = data
    two = classifier(2)
    difference = keras.Sequential([keras.layers.Input((4, 4, 1)), two, keras.layers.Dense(1, use_bias=False)])
    difference.layers[-1].set_weights([np.array([[-1.0], [1.0]])])
    labels = (y > 0).astype(int)
    pair, single = RescaledModel(two, 0.7), RescaledModel(difference, 0.7)
    pair.adapt(x, labels)
    single.adapt(x, labels)
    logits = pair.predict(x, verbose=0)
    np.testing.assert_allclose(single.predict(x, verbose=0), logits[:, 1:] - logits[:, :1], atol=1e-5)


def test_probabilities_are_projected_to_the_simplex(data):
    x, y = data
    model = classifier(activation="softmax")
    model.layers[-1].set_weights([10 * weight for weight in model.layers[-1].get_weights()])
    rescaled = RescaledModel(model, 2.0, output="probabilities")
    rescaled.adapt(x, y)
    raw = equation_22(model, x, x.mean(axis=0), np.eye(3)[y].mean(axis=0), 2.0)
    answer = rescaled.predict(x, verbose=0)
    assert raw.min() < 0, "the case must need the projection"
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    assert answer.min() >= 0
    inside = raw.min(axis=1) >= 0
    np.testing.assert_allclose(answer[inside], raw[inside], atol=1e-5)


def test_a_linear_least_squares_fit_is_left_as_it_is(data):
    # On Mixup Regularization: eq. (22) changes nothing for a linear model fitted with its intercept at the mean.
    x = data[0].reshape(90, 16)
    y = (x @ np.arange(16.0) + 3).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.arange(16.0)[:, np.newaxis], np.array([3.0])])
    rescaled = RescaledModel(model, 1.0, output="regression")
    rescaled.adapt(x, y)
    np.testing.assert_allclose(rescaled.predict(x, verbose=0)[:, 0], y, rtol=1e-4, atol=1e-3)


def test_integer_targets_of_a_regression_are_numbers(data):
    x, y = data
    rescaled = RescaledModel(classifier(1), 1.0, output="regression")
    rescaled.adapt(x, y)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean), [y.mean()], rtol=1e-6)


def test_sample_weights_weigh_the_means(data):
    x, y = data
    weights = np.linspace(0, 1, 90).astype(np.float32)
    rescaled = RescaledModel(classifier(), 1.0)
    rescaled.adapt(tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(16))
    np.testing.assert_allclose(
        np.asarray(rescaled.feature_means[0]), np.average(x, axis=0, weights=weights), rtol=1e-5
    )
    np.testing.assert_allclose(
        np.asarray(rescaled.target_mean), np.average(np.eye(3)[y], axis=0, weights=weights), rtol=1e-5
    )


def test_adapting_again_replaces_the_means(data):
    x, y = data
    rescaled = RescaledModel(classifier(), 1.0)
    rescaled.adapt(x, y)
    rescaled.adapt(x[:30] + 1, y[:30])
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), x[:30].mean(axis=0) + 1, rtol=1e-5)


def test_uint8_images_and_float16_models_answer_in_float32(data):
    _, y = data
    x = np.random.default_rng(0).integers(0, 256, (90, 4, 4, 1)).astype(np.uint8)
    keras.utils.set_random_seed(0)
    half = keras.Sequential(
        [keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, dtype="mixed_float16")]
    )
    half.layers[-1].set_weights([weight / 100 for weight in half.layers[-1].get_weights()])
    rescaled = RescaledModel(half, 1.0)
    rescaled.adapt(x, y)
    answer = rescaled(x)
    assert answer.dtype == tf.float32 and np.isfinite(answer.numpy()).all()


def test_several_inputs_and_their_export(tmp_path):
    generator = np.random.default_rng(0)
    x = {"left": generator.normal(size=(20, 3)).astype("f4"), "right": generator.normal(size=(20, 2)).astype("f4")}
    inputs = {"left": keras.Input((3,), name="left"), "right": keras.Input((2,), name="right")}
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()([inputs["left"], inputs["right"]])))
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, np.arange(20) % 2)
    rescaled.export(str(tmp_path / "served"))
    signature = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    answer = next(iter(signature(**{name: tf.constant(leaf) for name, leaf in x.items()}).values()))
    np.testing.assert_allclose(answer, rescaled.predict(x, verbose=0), atol=1e-6)


def test_keras_files_keep_model_and_means_in_another_process(data, tmp_path, elsewhere):
    x, y = data
    rescaled = RescaledModel(classifier(), 0.5)
    rescaled.adapt(x, y)
    rescaled.save(str(tmp_path / "model.keras"))
    np.savez(tmp_path / "arrays.npz", x=x[:7], answer=rescaled.predict(x[:7], verbose=0))
    code = """
import sys, numpy as np, keras, kmix_tf
model = keras.models.load_model(sys.argv[1] + "/model.keras")
arrays = np.load(sys.argv[1] + "/arrays.npz")
np.testing.assert_allclose(model.predict(arrays["x"], verbose=0), arrays["answer"], atol=1e-6)
assert (model.alpha, model.output_kind) == (0.5, "logits")
model.export(sys.argv[1] + "/served")
"""
    elsewhere(code, tmp_path)


def test_an_export_serves_any_batch_size_with_tensorflow_alone_and_calls_no_host(data, tmp_path, elsewhere):
    x, y = data
    rescaled = RescaledModel(classifier(), 0.5)
    rescaled.adapt(x, y)
    rescaled.export(str(tmp_path / "served"))
    np.savez(tmp_path / "arrays.npz", x=x, answer=rescaled.predict(x, verbose=0))
    code = """
import sys, numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/served")
arrays = np.load(sys.argv[1] + "/arrays.npz")
for size in (1, 5, 90):
    np.testing.assert_allclose(served.serve(arrays["x"][:size]), arrays["answer"][:size], atol=1e-6)
assert "kmix_tf" not in sys.modules
"""
    elsewhere(code, tmp_path)
    assert b"PyFunc" not in (tmp_path / "served" / "saved_model.pb").read_bytes()


def test_the_wrapped_model_shares_its_weights(data):
    x, y = data
    model = classifier()
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, y)
    before = rescaled.predict(x, verbose=0)
    model.layers[-1].set_weights([2 * weight for weight in model.layers[-1].get_weights()])
    assert np.abs(rescaled.predict(x, verbose=0) - before).max() > 0.01


class TestRefusals:
    def test_use_before_adapt(self, data, tmp_path):
        rescaled = RescaledModel(classifier(), 1.0)
        for use in (
            lambda: rescaled(data[0]),
            lambda: rescaled.predict(data[0], verbose=0),
            lambda: rescaled.export(str(tmp_path / "served")),
            lambda: rescaled.save(str(tmp_path / "model.keras")),
        ):
            with pytest.raises(ValueError, match=r"RescaledModel: adapt\(dataset\) must come first"):
                use()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"alpha": -1}, r"RescaledModel: alpha must be >= 0 and finite. Received: alpha=-1."),
            ({"alpha": float("nan")}, r"alpha must be >= 0"),
            ({"output": "softmax"}, r"RescaledModel: output must be one of 'logits', 'probabilities', 'regression'"),
            ({"model": "a.keras"}, r"RescaledModel: model must be a Keras model. Received: model='a.keras'."),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises((TypeError, ValueError), match=message):
            RescaledModel(**{"model": classifier(), "alpha": 1.0, **arguments})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x * np.nan, y), "finite features and targets"),
            (lambda x, y: (x, y + 1), r"labels must be in \[0, 3\).*Received: labels from 1 to 3"),
            (lambda x, y: (x, y - 1), r"labels must be in \[0, 3\)"),
            (
                lambda x, y: (x, np.eye(4)[y]),
                r"targets of shape \(90, 4\) for an output of shape \(None, 3\)",
            ),
            (lambda x, y: (x, y.astype(float)), r"targets of shape \(90,\)"),
            (lambda x, y: (x[:0], y[:0]), "at least one sample"),
        ],
    )
    def test_bad_data(self, data, change, message):
        with pytest.raises(ValueError, match=message):
            RescaledModel(classifier(), 1.0).adapt(*change(*data))

    def test_a_dataset_without_targets(self, data):
        with pytest.raises(ValueError, match=r"adapt needs a dataset of batches \(x, y\)"):
            RescaledModel(classifier(), 1.0).adapt(tf.data.Dataset.from_tensor_slices(data[0]).batch(8))
