"""RescaledModel under whatever back end Keras runs: eq. (22) by NumPy, from adapt to export."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, RescaledModel

pytestmark = pytest.mark.skipif(keras.__version__ < "3", reason="Keras 2 has TensorFlow alone")

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(5)
SIZE, CLASSES = 50, 3
X = RNG.normal(1, 2, size=(SIZE, 4)).astype("f4")
LABELS = RNG.integers(0, CLASSES, SIZE).astype("i4")
COUNT = RNG.integers(0, 3, SIZE).astype("f4")
KERNEL = RNG.normal(size=(4, CLASSES)).astype("f4")
THETA = 0.75  # the mean of the larger of a uniform number and its rest
KINDS = {"logits": None, "probabilities": "softmax", "multilabel_probabilities": "sigmoid"}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def linear_model(activation=None, policy="float32"):
    dense = keras.layers.Dense(CLASSES, activation, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input([4]), dense])
    model.set_weights([KERNEL])
    return model


def projected(v):
    """The nearest probabilities, by bisection for the shift that makes the positive parts sum to 1."""
    low, high = v.min(axis=1, keepdims=True) - 1, v.max(axis=1, keepdims=True)
    for _ in range(100):
        shift = (low + high) / 2
        is_low = np.maximum(v - shift, 0).sum(axis=1, keepdims=True) > 1
        low, high = np.where(is_low, shift, low), np.where(is_low, high, shift)
    return np.maximum(v - low, 0)


def by_equation(kind, x=X, weight=None):
    """Eq. (22) in float64."""
    y = np.eye(CLASSES)[LABELS]
    x_mean, y_mean = np.average(X.astype("f8"), axis=0, weights=weight), np.average(y, axis=0, weights=weight)
    u = (THETA * x + (1 - THETA) * x_mean) @ KERNEL.astype("f8")
    f = {"logits": u, "multilabel_probabilities": 1 / (1 + np.exp(-u))}.get(kind)
    if kind == "probabilities":
        f = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    v = y_mean * (1 - 1 / THETA) + f / THETA
    return {"logits": v, "probabilities": projected(v), "multilabel_probabilities": np.clip(v, 0, 1)}[kind]


def targets(kind):
    return np.eye(CLASSES, dtype="f4")[LABELS] if kind.startswith("multilabel") else LABELS


def adapted(kind="logits", **options):
    rescaled = RescaledModel(linear_model(KINDS[kind], **options), alpha=1.0, output=kind)
    rescaled.adapt(X, targets(kind))
    return rescaled


@pytest.mark.parametrize("kind", KINDS)
def test_by_hand_and_in_predict_it_is_the_equation(kind):
    rescaled = adapted(kind)
    expected = by_equation(kind)
    assert keras.ops.is_tensor(rescaled(X))
    np.testing.assert_allclose(array(rescaled(X)), expected, atol=2e-5)
    np.testing.assert_allclose(rescaled.predict(X, batch_size=16, verbose=0), expected, atol=2e-5)


@pytest.mark.parametrize("source", ["dataset", "weighted dataset", "arrays", "arrays of the back end"])
def test_means_are_learnt_from_datasets_and_arrays(source):
    rescaled = RescaledModel(linear_model(), alpha=1.0)
    weight = COUNT if source == "weighted dataset" else None
    parts = (X, LABELS) if weight is None else (X, LABELS, weight)
    if "dataset" in source:
        rescaled.adapt(tf.data.Dataset.from_tensor_slices(parts).batch(16))
    elif source == "arrays":
        rescaled.adapt(*parts)
    else:
        rescaled.adapt(*map(keras.ops.convert_to_tensor, parts))
    np.testing.assert_allclose(array(rescaled(X)), by_equation("logits", weight=weight), atol=2e-5)


def test_theta_is_measured_by_layers_that_run_in_tensorflow(tmp_path):
    rescaled = RescaledModel(linear_model(), KMixupLayer(4, num_classes=CLASSES), theta="measured")
    rescaled.adapt(X, LABELS, batch_size=16)
    theta_x, theta_y = rescaled.theta_x, rescaled.theta_y
    assert THETA < theta_x < 1 and theta_y != theta_x
    shrunk = theta_x * X + (1 - theta_x) * X.mean(axis=0)
    expected = np.bincount(LABELS) / SIZE * (1 - 1 / theta_y) + shrunk @ KERNEL / theta_y
    np.testing.assert_allclose(array(rescaled(X)), expected, atol=2e-5)
    np.testing.assert_allclose(rescaled.predict(X, verbose=0), expected, atol=2e-5)
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_allclose(array(loaded(X)), expected, atol=2e-5)


def test_images_of_bytes_are_asked_in_floats():
    image = keras.Input([4], dtype="uint8")
    dense = keras.layers.Dense(CLASSES, use_bias=False)
    model = keras.Model(image, dense(keras.layers.Rescaling(0.5)(image)))
    model.set_weights([KERNEL])
    rescaled = RescaledModel(model, alpha=1.0)
    x = np.arange(4 * SIZE).reshape(SIZE, 4).astype("u1")
    rescaled.adapt(x, LABELS)
    shrunk = THETA * x + (1 - THETA) * x.mean(axis=0)
    expected = np.bincount(LABELS) / SIZE * (1 - 1 / THETA) + shrunk / 2 @ KERNEL / THETA
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-3)


def test_integer_features_and_other_batches_of_a_dataset_are_taken():
    rescaled = RescaledModel(linear_model(), alpha=1.0)
    x = np.round(X).astype("i4")
    with pytest.warns(UserWarning, match="integer"):
        rescaled.adapt(x, LABELS)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(7)
    shrunk = THETA * x + (1 - THETA) * x.mean(axis=0)
    expected = np.bincount(LABELS) / SIZE * (1 - 1 / THETA) + shrunk @ KERNEL / THETA
    np.testing.assert_allclose(rescaled.predict(dataset, verbose=0), expected, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_in_half_precision_answers_in_float32(policy):
    rescaled = adapted("probabilities", policy=policy)
    answer = rescaled.predict(X, verbose=0)
    assert answer.dtype == "float32"
    np.testing.assert_allclose(answer, by_equation("probabilities"), atol=0.1 if "bfloat" in policy else 0.01)


def two_headed():
    inputs = {"left": keras.Input([2], name="left"), "right": keras.Input([2], name="right")}
    both = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    outputs = {
        "kind": keras.layers.Dense(CLASSES, use_bias=False, name="kind")(both),
        "size": keras.layers.Dense(1, use_bias=False, name="size")(both),
    }
    model = keras.Model(inputs, outputs)
    model.set_weights([KERNEL, KERNEL[:, :1]])
    return model


def test_dictionaries_of_inputs_and_outputs_are_rescaled_leaf_by_leaf():
    rescaled = RescaledModel(two_headed(), KMixupLayer(1) if BACKEND == "tensorflow" else 1.0, output={
        "kind": "logits", "size": "regression",
    })  # fmt: skip
    x, size = {"left": X[:, :2], "right": X[:, 2:]}, X[:, 0] - 3
    rescaled.adapt(x, {"kind": LABELS, "size": size})
    answer = rescaled.predict(x, batch_size=16, verbose=0)
    np.testing.assert_allclose(answer["kind"], by_equation("logits"), atol=2e-5)
    shrunk = THETA * X + (1 - THETA) * X.mean(axis=0)
    expected = size.mean() * (1 - 1 / THETA) + shrunk @ KERNEL[:, 0] / THETA
    np.testing.assert_allclose(answer["size"][:, 0], expected, atol=2e-5)


def test_both_predictions_are_scored_in_one_pass():
    comparison = adapted("probabilities").evaluate_both(X, LABELS, batch_size=16)
    u = X.astype("f8") @ KERNEL
    plain = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    for scores, p in ((comparison.plain, plain), (comparison.rescaled, by_equation("probabilities"))):
        assert scores.error == pytest.approx((p.argmax(axis=1) != LABELS).mean(), abs=1e-9)
        loss = -np.log(np.maximum(p[np.arange(SIZE), LABELS], 1e-7)).mean()
        # Where a probability is just above 0, its logarithm is rough.
        assert scores.loss == pytest.approx(loss, rel=1e-2)


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_it_is_calibrated(method, tmp_path):
    rescaled = adapted("logits")
    rng = np.random.default_rng(1)
    x = rng.normal(1, 2, size=(300, 4)).astype("f4")
    y = (2 * x @ KERNEL + rng.gumbel(size=(300, CLASSES))).argmax(axis=1)
    found = rescaled.calibrate(x, y, method=method)
    scale, bias = (1 / found.temperature, 0) if method == "temperature" else (found.scale, found.bias)
    assert np.mean(scale) == pytest.approx(2, rel=0.4)
    answer = rescaled.predict(x, verbose=0)
    np.testing.assert_allclose(answer, x @ KERNEL * scale + bias, atol=1e-3)
    rescaled.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), answer, atol=1e-4)


def test_isotonic_maps_rise_on_every_back_end():
    dense = keras.layers.Dense(1, "sigmoid", use_bias=False)
    model = keras.Sequential([keras.Input([4]), dense])
    rescaled = RescaledModel(model, 1.0, "probabilities")
    rescaled.adapt(X, LABELS > 0)
    rescaled.calibrate(X, LABELS > 0, method="isotonic")
    plain, mapped = (np.ravel(array(each(X, training=False))) for each in (model, rescaled))
    assert (np.diff(mapped[np.argsort(plain)]) > -1e-6).all() and np.ptp(mapped) > 0.1


def test_it_is_evaluated_and_trained_as_any_model():
    rescaled = adapted("probabilities")
    rescaled.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    p = by_equation("probabilities")
    before = rescaled.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert before["accuracy"] == pytest.approx((p.argmax(axis=1) == LABELS).mean(), rel=1e-5)
    history = rescaled.fit(X, LABELS, batch_size=SIZE, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert not np.allclose(rescaled.model.get_weights()[0], KERNEL)


ELSEWHERE = """
import sys
import keras, numpy as np
import kmix_tf
model = keras.saving.load_model(sys.argv[1] + "/model.keras")
assert keras.backend.backend() == sys.argv[2]
np.save(sys.argv[1] + "/answer.npy", model.predict(np.load(sys.argv[1] + "/x.npy"), verbose=0))
if sys.argv[2] == "tensorflow":
    model.export(sys.argv[1] + "/export")
"""


@pytest.mark.parametrize("other", dict.fromkeys([BACKEND, "tensorflow"]))
def test_a_saved_one_answers_alike_in_another_process_and_exports_under_tensorflow(other, tmp_path):
    rescaled = adapted("probabilities")
    rescaled.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    # The processes of `elsewhere` have Keras loaded, with this back end.
    environment = {**os.environ, "KERAS_BACKEND": other}
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path, other], env=environment, check=True, timeout=300)
    expected = by_equation("probabilities")
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), expected, atol=2e-5)
    if other == "tensorflow":
        served = tf.saved_model.load(str(tmp_path / "export"))
        np.testing.assert_allclose(served.serve(X), expected, atol=2e-5)


def test_a_saved_model_is_written_or_refused_by_name(tmp_path):
    rescaled = adapted("probabilities")
    if BACKEND == "torch":
        with pytest.raises(RuntimeError, match=r"RescaledModel: format='tf_saved_model'.*'torch'.*Save the model as"):
            rescaled.export(tmp_path / "export")
        assert not (tmp_path / "export").exists()
        import torch

        # Keras' own export fixes the size of batches: to one.
        rescaled.export(tmp_path / "model.pt2", format="torch", verbose=False)
        answer = torch.export.load(tmp_path / "model.pt2").module()(torch.tensor(X[:1])).detach().numpy()
        np.testing.assert_allclose(answer, by_equation("probabilities")[:1], atol=2e-5)
        return
    rescaled.export(tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export"))
    for size in (1, SIZE):
        answer = served.signatures["serving_default"](x=X[:size])["output_0"]
        np.testing.assert_allclose(answer, by_equation("probabilities")[:size], atol=2e-5)


def test_other_features_than_those_adapted_to_are_refused():
    with pytest.raises(ValueError, match=r"RescaledModel: features must have the structure and shapes"):
        adapted()(X[:, :3])
    with pytest.raises(ValueError, match=r"RescaledModel: adapt\(dataset\) must come first"):
        RescaledModel(linear_model(), alpha=1.0)(X)
