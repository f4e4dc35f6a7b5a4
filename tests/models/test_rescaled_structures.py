"""Several inputs and outputs, of any structure: called, saved, exported, and refused where they do not fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import RescaledModel
from kmix_tf.analysis import theta_moments

L = keras.layers
SIZE = 24
KINDS = {"classes": "probabilities", "labels": "multilabel_logits", "number": "regression"}


def structured(form, classes, labels, number):
    return {
        "dict": {"labels": labels, "classes": classes, "number": number},
        "list": [classes, labels, number],
        "nested": {"a": {"labels": labels, "classes": classes}, "number": number},
    }[form]


def build(form):
    keras.utils.set_random_seed(0)
    left, right = keras.Input((3,), name="left"), keras.Input((2, 2), name="right")
    hidden = L.Concatenate()([left, L.Flatten()(right)])
    heads = L.Dense(3, activation="softmax")(hidden), L.Dense(4)(hidden), L.Dense(1)(hidden)
    inputs = [left, right] if form == "list" else {"left": left, "right": right}
    return keras.Model(inputs, structured(form, *heads))


@pytest.fixture(scope="module")
def arrays():
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(SIZE, 3)) + 1, generator.normal(size=(SIZE, 2, 2)) - 2
    labels = generator.integers(0, 2, (SIZE, 4))
    return left.astype("f4"), right.astype("f4"), generator.integers(0, 3, SIZE), labels, generator.normal(size=SIZE)


def features(form, left, right):
    return [left, right] if form == "list" else {"left": left, "right": right}


def adapted(form, arrays, how="arrays"):
    left, right, *targets = arrays
    rescaled = RescaledModel(build(form), 0.8, output=structured(form, *KINDS.values()))
    x, y = features(form, left, right), structured(form, *targets)
    if how == "dataset":
        parts = (tuple(x), tuple(y)) if form == "list" else (x, y)
        rescaled.adapt(tf.data.Dataset.from_tensor_slices(parts).batch(10))
    else:
        rescaled.adapt(x, y, batch_size=10)
    return rescaled, x


def oracle(form, arrays, model):
    """Eq. (22), leaf by leaf, in NumPy; the projection by bisection of its one equation."""
    left, right, classes, labels, number = arrays
    theta = theta_moments(0.8).mean
    shrunk = [(theta * x + (1 - theta) * x.mean(axis=0, keepdims=True)).astype("f4") for x in (left, right)]
    answers = tf.nest.flatten(model.predict(features(form, *shrunk), verbose=0))
    order = np.argsort(structured_order(form))
    p, logits, value = (answers[i].astype("f8") for i in order)
    p = np.eye(3)[classes].mean(axis=0) * (1 - 1 / theta) + p / theta
    low, high = p.max(axis=1, keepdims=True) - 1, p.max(axis=1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        too_much = np.maximum(p - middle, 0).sum(axis=1, keepdims=True) > 1
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    logits = (2 * labels.mean(axis=0) - 1) * (1 - 1 / theta) + logits / theta
    value = number.mean() * (1 - 1 / theta) + value / theta
    return structured(form, np.maximum(p - low, 0), logits, value)


def structured_order(form):
    return tf.nest.flatten(structured(form, 0, 1, 2))


@pytest.mark.parametrize("how", ("arrays", "dataset"))
@pytest.mark.parametrize("form", ("dict", "list", "nested"))
@pytest.mark.representatives("form, how", [("dict", "dataset"), ("list", "arrays"), ("nested", "arrays")])
def test_each_leaf_follows_equation_22_in_its_kind(form, how, arrays):
    rescaled, x = adapted(form, arrays, how)
    found, expected = rescaled.predict(x, verbose=0), oracle(form, arrays, rescaled.model)
    tf.nest.assert_same_structure(found, expected, check_types=False)
    for ours, truth in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, truth, atol=1e-5)


@pytest.mark.parametrize("form", ("dict", "list", "nested"))
@pytest.mark.representatives("form", ["nested"])
def test_both_predictions_of_each_output_are_scored(form, arrays):
    rescaled, x = adapted(form, arrays)
    scores = rescaled.evaluate_both(x, structured(form, *arrays[2:]), batch_size=10)
    scores = scores if form == "list" else {**scores, **scores.get("a", {})}
    number = scores[2] if form == "list" else scores["number"]
    answer = rescaled.predict(x, verbose=0)
    answer = answer[2] if form == "list" else answer["number"]
    assert number.rescaled.error == pytest.approx(np.square(answer[:, 0] - arrays[4]).mean(), rel=1e-4)
    classes = scores[0] if form == "list" else scores["classes"]
    assert 0 <= classes.plain.error <= 1 and classes.plain.calibration_error is not None


CLIENT = """
import sys, numpy as np, tensorflow as tf
for form in ("dict", "list", "nested"):
    served = tf.saved_model.load(sys.argv[1] + "/" + form).signatures["serving_default"]
    stored = dict(np.load(sys.argv[1] + "/" + form + ".npz"))
    inputs = {name[3:]: tf.constant(value) for name, value in stored.items() if name.startswith("in_")}
    for size in (1, 7, 24):
        answer = served(**{name: value[:size] for name, value in inputs.items()})
        assert set(answer) == {name[4:] for name in stored if name.startswith("out_")}, sorted(answer)
        for name, value in answer.items():
            assert value.dtype == tf.float32
            np.testing.assert_allclose(value, stored["out_" + name][:size], atol=1e-5)
assert "kmix_tf" not in sys.modules
"""
NAMES = {
    "dict": (("left", "right"), ("classes", "labels", "number")),
    "list": (("x_0", "x_1"), ("output_0", "output_1", "output_2")),
    "nested": (("left", "right"), ("a_classes", "a_labels", "number")),
}


def test_exports_name_their_inputs_and_outputs_and_need_tensorflow_alone(arrays, tmp_path, elsewhere):
    for form, (inputs, outputs) in NAMES.items():
        rescaled, x = adapted(form, arrays)
        rescaled.export(str(tmp_path / form))
        answers = tf.nest.flatten(rescaled.predict(x, verbose=0))
        stored = {f"in_{name}": leaf for name, leaf in zip(inputs, tf.nest.flatten(x), strict=True)}
        stored |= {f"out_{name}": leaf for name, leaf in zip(outputs, answers, strict=True)}
        np.savez(tmp_path / f"{form}.npz", **stored)
    elsewhere(CLIENT, tmp_path)


@pytest.mark.parametrize("form", ("dict", "list", "nested"))
@pytest.mark.representatives("form", ["nested"])
def test_keras_files_keep_structures(form, arrays, tmp_path):
    rescaled, x = adapted(form, arrays)
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    for ours, theirs in zip(
        *(tf.nest.flatten(each.predict(x, verbose=0)) for each in (rescaled, loaded)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    loaded.adapt(x, structured(form, *arrays[2:]))
    loaded.export(str(tmp_path / "served"))


def test_half_precision_models_are_served_in_float32(arrays, tmp_path):
    dense = L.Dense(3, activation="softmax", dtype="mixed_float16")
    model = keras.Sequential([L.Input((3,)), dense])
    rescaled = RescaledModel(model, 1.0, output="probabilities")
    x = arrays[0].astype("f2")
    rescaled.adapt(x, arrays[2])
    rescaled.export(str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served"))
    signature = served.signatures["serving_default"]
    assert signature.structured_input_signature[1]["x"].dtype == tf.float16
    answer = signature(x=tf.constant(x))["output_0"]
    assert answer.dtype == tf.float32
    theta = theta_moments(1.0).mean
    shrunk = theta * x.astype("f8") + (1 - theta) * x.astype("f8").mean(axis=0)
    kernel, bias = dense.get_weights()
    logits = shrunk @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    raw = np.eye(3)[arrays[2]].mean(axis=0) * (1 - 1 / theta) + p / theta
    inside = raw.min(axis=1) > 0.01
    assert inside.any()
    np.testing.assert_allclose(answer.numpy()[inside], raw[inside], atol=5e-3)  # float16 has 11 bits
    np.testing.assert_allclose(answer.numpy().sum(axis=1), 1, atol=1e-5)


def test_a_global_policy_of_half_precision_leaves_means_in_float32(arrays):
    policy = keras.mixed_precision.global_policy() if hasattr(keras.mixed_precision, "global_policy") else None
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = keras.Sequential([L.Input((3,)), L.Dense(3)])
        rescaled = RescaledModel(model, 1.0)
        x = arrays[0] + 2000  # float16 has a spacing of 2 here: a mean in it would be wrong by up to 1
        rescaled.adapt(x, arrays[2])
        np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), x.mean(axis=0, dtype="f8"), rtol=1e-6)
        assert rescaled(x).dtype == tf.float32
    finally:
        keras.mixed_precision.set_global_policy(policy or "float32")


def test_float64_models_keep_their_precision(arrays):
    model = keras.Sequential([L.Input((3,), dtype="float64"), L.Dense(3, dtype="float64")])
    x = arrays[0].astype("f8")
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, arrays[2])
    kernel, bias = (np.asarray(weight) for weight in model.get_weights())
    shrunk = 0.75 * x + 0.25 * x.mean(axis=0)
    expected = np.eye(3)[arrays[2]].mean(axis=0) * (1 - 1 / 0.75) + (shrunk @ kernel + bias) / 0.75
    np.testing.assert_allclose(rescaled(tf.constant(x)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_half_precision_features_are_shrunk_with_one_rounding(dtype):
    model = keras.Sequential([L.Input((400,), dtype=dtype), L.Activation("linear", dtype=dtype)])
    x = tf.cast(np.random.default_rng(0).normal(size=(30, 400)) * 10 + 100, dtype)
    rescaled = RescaledModel(model, 1.0, output="regression")
    rescaled.adapt(x, np.zeros((30, 400), "f4"))
    wide = tf.cast(x, tf.float64).numpy()
    right = tf.cast(tf.constant(0.75 * wide + 0.25 * wide.mean(axis=0), tf.float32), dtype)
    shrunk = tf.cast(rescaled(x) * 0.75, dtype)
    # The oracle rounds float64 to float32 first, which may turn a tie: one in 2^13 does.
    assert np.mean(tf.cast(shrunk != right, tf.float32)) < 0.002


class TestRefusals:
    def test_an_output_structure_other_than_the_models(self, arrays):
        left, right, *targets = arrays
        rescaled = RescaledModel(build("dict"), 1.0, output={"classes": "probabilities"})
        with pytest.raises(ValueError, match=r"a structure of them like the model's outputs. Received: output="):
            rescaled.adapt(features("dict", left, right), structured("dict", *targets))

    def test_targets_structured_otherwise(self, arrays):
        left, right, *targets = arrays
        rescaled = RescaledModel(build("dict"), 1.0, output=dict(KINDS))
        with pytest.raises(ValueError, match=r"targets must be structured as the model's outputs. Received: targets"):
            rescaled.adapt(features("dict", left, right), tuple(targets))

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: {"left": x["left"]},
            lambda x: [x["left"], x["right"]],
            lambda x: {"left": x["left"][:, :1], "right": x["right"]},
            lambda x: {"left": x["left"][0], "right": x["right"][0]},
        ],
        ids=("one missing", "another structure", "would be broadcast", "unbatched"),
    )
    def test_features_other_than_adapted_to(self, arrays, change):
        rescaled, x = adapted("dict", arrays)
        with pytest.raises(ValueError, match="features must have the structure and shapes of those given to adapt"):
            rescaled(change(x))

    def test_a_rescaled_model_is_not_rescaled_again(self, arrays):
        rescaled, _ = adapted("dict", arrays)
        with pytest.raises(TypeError, match="RescaledModel: model must be a Keras model"):
            RescaledModel(rescaled, 1.0)
