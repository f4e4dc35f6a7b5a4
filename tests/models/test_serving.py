"""What is served, in every format, predicts what the model predicts; what a format cannot do is said."""

import importlib.util
import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from kmix_tf import KMixupLayer
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.models import MixModel, RescaledModel
from kmix_tf.models.rescaled.simplex import project_to_simplex

L = keras.layers
SIZE = 24
on_keras_3 = pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 writes SavedModels only")


def data(seed=0):
    generator = np.random.default_rng(seed)
    left, right = generator.normal(size=(SIZE, 3)) + 1, generator.normal(size=(SIZE, 3)) - 2
    return left.astype("f4"), right.astype("f4")


def single(activation=None, units=3, dtype="float32"):
    keras.utils.set_random_seed(0)
    head = L.Dense(units, activation=activation)
    return keras.Sequential([L.Input((3,), dtype=dtype), L.Dense(8, activation="tanh"), head])


def adapted(kind):
    """A rescaled model of some kind, and features for it."""
    left, right = data()
    labels = np.arange(SIZE) % 3
    if kind in ("logits", "probabilities", "multilabel_probabilities", "regression"):
        activation = {"probabilities": "softmax", "multilabel_probabilities": "sigmoid"}.get(kind)
        rescaled = RescaledModel(single(activation), 0.8, kind)
        # Confident probabilities leave the simplex when they are stretched.
        rescaled.model.layers[-1].set_weights([8 * weight for weight in rescaled.model.layers[-1].get_weights()])
        rescaled.adapt(left, labels if kind in ("logits", "probabilities") else np.eye(3)[labels])
        return rescaled, left
    keras.utils.set_random_seed(0)
    if kind == "nested":
        b, a = keras.Input((3,)), (keras.Input((3,)), keras.Input((3,)))
        heads = {"q": [L.Dense(3)(a[0]), L.Dense(3)(a[1])], "p": L.Dense(3)(b)}
        rescaled = RescaledModel(keras.Model({"b": b, "a": list(a)}, heads), 0.8)
        x = {"b": left, "a": [left, right]}
        rows = ({"b": left, "a": (left, right)}, {"q": (labels, labels[::-1]), "p": labels})
        rescaled.adapt(tf.data.Dataset.from_tensor_slices(rows).batch(10))
        return rescaled, x
    # Names that are not in the order of the alphabet, and inputs that are told apart by nothing else.
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    hidden = L.Concatenate()([L.Dense(4, activation="tanh")(b), L.Dense(2)(a)])
    heads = {"q": L.Dense(3, activation="softmax")(hidden), "p": L.Dense(1)(hidden)}
    rescaled = RescaledModel(keras.Model({"b": b, "a": a}, heads), 0.8, {"q": "probabilities", "p": "regression"})
    rescaled.adapt({"b": left, "a": right}, {"q": labels, "p": left[:, 0]})
    return rescaled, {"b": left, "a": right}


KINDS = ("logits", "probabilities", "multilabel_probabilities", "regression", "dict", "nested")
NAMES = {"dict": (("a", "b"), ("p", "q")), "nested": (("a_0", "a_1", "b"), ("p", "q_0", "q_1"))}
every_kind = pytest.mark.parametrize("kind", KINDS)
fewer_kinds = pytest.mark.representatives("kind", ["probabilities", "dict"])


def served_as(kind, model, x):
    """Inputs and the answers of `predict`, by the names that a served model is to have."""
    inputs, outputs = NAMES.get(kind, (("x",), ("output_0",)))
    answers = tf.nest.flatten(model.predict(x, verbose=0))
    return dict(zip(inputs, tf.nest.flatten(x), strict=True)), dict(zip(outputs, answers, strict=True))


def require_same(found, expected, atol=1e-6):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), values, atol=atol, err_msg=name)


def by_onnx(path, x):
    session = pytest.importorskip("onnxruntime").InferenceSession(str(path))
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, x), strict=True))


def by_openvino(path, x):
    openvino = pytest.importorskip("openvino")
    # Without the hint, OpenVINO computes in bfloat16 where the processor can.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(x)
    # An output has the name of an operation, too, which is longer.
    return {min(output.get_names(), key=len): answer[output] for output in compiled.outputs}


def by_litert(path, x):
    return interpreted(x, model_path=str(path))[0]


def interpreted(x, **model):
    """What a TFLite model answers, in float, and how it takes and gives numbers."""
    kind = tf.lite.Interpreter
    if importlib.util.find_spec("ai_edge_litert") is not None:  # Its successor.
        from ai_edge_litert.interpreter import Interpreter as kind
    run = kind(**model).get_signature_runner()
    inputs, outputs = run.get_input_details(), run.get_output_details()
    found = run(**{name: quantized(value, inputs[name]) for name, value in x.items()})
    return {name: dequantized(value, outputs[name]) for name, value in found.items()}, (inputs, outputs)


def quantized(values, details):
    if np.issubdtype(details["dtype"], np.floating):
        return values.astype(details["dtype"])
    scale, zero = details["quantization"]
    return np.clip(np.round(values / scale + zero), -128, 127).astype(details["dtype"])


def dequantized(values, details):
    scale, zero = details["quantization"]
    return values if np.issubdtype(values.dtype, np.floating) else (values.astype("f4") - zero) * scale


WRITERS = {
    "onnx": ("model.onnx", by_onnx, ("onnx", "tf2onnx", "onnxruntime")),
    "openvino": ("model.xml", by_openvino, ("openvino",)),
    "litert": ("model.tflite", by_litert, ()),
}
every_format = pytest.mark.parametrize("format", WRITERS)


def written(model, format, folder):
    """The path of an export, and what runs it; skips where packages are missing."""
    name, run, modules = WRITERS[format]
    for module in modules:
        pytest.importorskip(module)
    model.export(folder / name, format=format, verbose=False)
    return folder / name, run


@pytest.mark.representatives("format, kind", [("onnx", "probabilities"), ("openvino", "dict"), ("litert", "dict")])
@on_keras_3
@every_format
@every_kind
def test_every_format_predicts_the_same_by_the_same_names(format, kind, tmp_path):
    rescaled, x = adapted(kind)
    path, run = written(rescaled, format, tmp_path)
    inputs, outputs = served_as(kind, rescaled, x)
    require_same(run(path, inputs), outputs, atol=2e-6)
    require_same(
        run(path, {name: value[:5] for name, value in inputs.items()}), {k: v[:5] for k, v in outputs.items()}, 2e-6
    )


@pytest.mark.representatives("format", ["litert"])
@on_keras_3
@every_format
def test_every_format_takes_images_of_all_sizes(format, tmp_path):
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, padding="same", activation="tanh"), L.Conv2D(3, 1, activation="softmax")]
    rescaled = RescaledModel(keras.Sequential([L.Input((None, None, 3)), *layers]), 1.0, "probabilities")
    generator = np.random.default_rng(0)
    rescaled.adapt(generator.normal(size=(4, 16, 16, 3)).astype("f4"), generator.integers(0, 3, (4, 16, 16)))
    path, run = written(rescaled, format, tmp_path)
    for size in (16, 20):
        x = generator.normal(size=(2, size, size, 3)).astype("f4")
        require_same(run(path, {"x": x}), {"output_0": rescaled.predict(x, verbose=0)}, atol=2e-6)


@on_keras_3
@every_format
@pytest.mark.matrix
def test_wrappers_export_the_plain_model_in_every_format(format, tmp_path):
    rescaled, x = adapted("dict")
    mixing = MixModel(rescaled.model, KMixupLayer(4, num_classes={"q": 3}))
    path, run = written(mixing, format, tmp_path)
    require_same(run(path, x), rescaled.model.predict(x, verbose=0), atol=2e-6)


@on_keras_3
def test_the_missing_package_of_a_format_is_named(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    gone = ("tf2onnx", "openvino")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in gone else find(name, *more))
    rescaled, _ = adapted("logits")
    mixing = MixModel(rescaled.model, KMixupLayer(4, num_classes=3))
    for model in (rescaled, mixing):
        for format, module in (("onnx", "tf2onnx"), ("openvino", "openvino")):
            with pytest.raises(
                ImportError, match=rf"^{type(model).__name__}: format='{format}' needs .*{module}"
            ) as it:
                model.export(tmp_path / WRITERS[format][0], format=format)
            assert "pip install 'kmix_tf[serving]'" in str(it.value)
    assert os.listdir(tmp_path) == []


def test_formats_that_there_are_not_are_refused_with_those_that_there_are(tmp_path):
    rescaled, _ = adapted("logits")
    mixing = MixModel(rescaled.model, KMixupLayer(4, num_classes=3))
    known = "'tf_saved_model', 'litert', 'onnx', 'openvino'" if IS_KERAS_3 else "'tf_saved_model'"
    for model in (rescaled, mixing):
        for format in ("h5", "torch", None, 3):
            with pytest.raises(ValueError, match=rf"format must be one of {known}, which Keras") as caught:
                model.export(tmp_path / "model", format=format)
            assert f"Received: format={format!r}" in str(caught.value)
            assert type(model).__name__ in str(caught.value)


@on_keras_3
def test_a_name_that_does_not_end_as_the_format_wants_it_is_refused(tmp_path):
    rescaled, _ = adapted("logits")
    with pytest.raises(ValueError, match=r"filepath must be a name that ends in .tflite where format='litert'"):
        rescaled.export(tmp_path / "model", format="litert")


def looking_up():
    """A model of strings and numbers."""
    keras.utils.set_random_seed(0)
    city, number = keras.Input((1,), dtype="string", name="city"), keras.Input((3,), name="number")
    one_hot = L.Reshape((4,))(L.StringLookup(vocabulary=["a", "b", "c"], output_mode="one_hot")(city))
    model = keras.Model({"city": city, "number": number}, L.Dense(3)(L.Concatenate()([one_hot, number])))
    rescaled = RescaledModel(model, 1.0, passthrough="city")
    x = {"city": np.array([["a"], ["b"], ["z"], ["c"]] * 6), "number": data()[0]}
    rescaled.adapt(x, np.arange(SIZE) % 3)
    return rescaled, x


@on_keras_3
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_what_a_format_cannot_hold_is_refused_and_leaves_no_file(format, tmp_path):
    rescaled, _ = looking_up()
    with pytest.raises(ValueError, match=rf"(?s)format='{format}'.*LookupTableFind"):
        written(rescaled, format, tmp_path)
    assert os.listdir(tmp_path) == []


@on_keras_3
def test_a_litert_file_that_needs_more_than_litert_is_told(tmp_path):
    half = keras.Sequential(
        [L.Input((3,)), L.Dense(3, dtype="mixed_float16"), L.Activation("linear", dtype="float32")]
    )
    rescaled = RescaledModel(half, 1.0)
    rescaled.adapt(data()[0], np.arange(SIZE) % 3)
    with pytest.warns(UserWarning, match="RescaledModel: the file needs operations of TensorFlow.*FlexMatMul"):
        rescaled.export(tmp_path / "model.tflite", "litert", verbose=False)


def test_the_projection_has_no_gather():
    """The converter to ONNX writes a file of it that no runtime loads."""
    graph = tf.function(project_to_simplex).get_concrete_function(tf.TensorSpec([None, 5])).graph
    assert not [node.op for node in graph.as_graph_def().node if "Gather" in node.op]


def signatures(path):
    """What TensorFlow Serving reads of a SavedModel: for each signature, dtypes and shapes by name."""
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    found = {}
    for name, signature in saved.meta_graphs[0].signature_def.items():
        ends = [
            {
                key: (types_pb2.DataType.Name(info.dtype), tuple(each.size for each in info.tensor_shape.dim))
                for key, info in infos.items()
            }
            for infos in (signature.inputs, signature.outputs)
        ]
        found[name] = (signature.method_name, *ends)
    return found


CLIENT = """
import json, sys, numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/served")
signature = served.signatures["serving_default"]
specs = signature.structured_input_signature[1]
instances = json.load(open(sys.argv[1] + "/body.json"))["instances"]
assert len(instances) == 3
rows = instances if len(specs) > 1 else [{next(iter(specs)): row} for row in instances]
inputs = {name: tf.constant([row[name] for row in rows], spec.dtype) for name, spec in specs.items()}
answer = {name: value.numpy().tolist() for name, value in signature(**inputs).items()}
print(json.dumps(answer))
assert "kmix_tf" not in sys.modules
"""


@pytest.mark.parametrize("kind", ["probabilities", "dict", "strings", "uint8"])
def test_tensorflow_serving_finds_its_signature(kind, tmp_path, elsewhere):
    if kind == "strings":
        rescaled, x = looking_up()
    elif kind == "uint8":
        rescaled = RescaledModel(keras.Sequential([L.Input((3,)), L.Rescaling(1 / 255), L.Dense(3)]), 1.0)
        x = np.random.default_rng(0).integers(0, 256, (SIZE, 3)).astype(np.uint8)
        rescaled.adapt(x, np.arange(SIZE) % 3)
    else:
        rescaled, x = adapted(kind)
    rescaled.export(tmp_path / "served")
    named = x if isinstance(x, dict) else {"x": x}
    types = {"f": "DT_FLOAT", "U": "DT_STRING", "u": "DT_UINT8"}
    method, inputs, outputs = signatures(tmp_path / "served")["serving_default"]
    assert method == "tensorflow/serving/predict"
    assert inputs == {name: (types[value.dtype.kind], (-1, *value.shape[1:])) for name, value in named.items()}
    feed = x if kind != "strings" else {name: tf.constant(value) for name, value in x.items()}
    answer = rescaled(feed, training=False)
    expected = answer if isinstance(answer, dict) else {"output_0": answer}
    assert outputs == {name: ("DT_FLOAT", (-1, *value.shape[1:])) for name, value in expected.items()}
    rows = [{name: value[i].tolist() for name, value in named.items()} for i in range(3)]
    body = {"instances": rows if isinstance(x, dict) else [row["x"] for row in rows]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    found = json.loads(elsewhere(CLIENT, tmp_path).splitlines()[-1])
    require_same(found, {name: np.asarray(value)[:3] for name, value in expected.items()}, atol=1e-5)


def images():
    generator = np.random.default_rng(0)
    x = (generator.normal(size=(96, 8, 8, 3)) + np.arange(3)).astype("f4")
    return x, (x[:, :4].mean(axis=(1, 2, 3)) > x[:, 4:].mean(axis=(1, 2, 3))).astype(int) + 2 * (x[:, 0, 0, 0] > 0.5)


def converted(path, **options):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    for name, value in options.items():
        setattr(converter, name, value)
    return converter


# The worst error in 96 images, for answers that span 1. A step of 8 bits is 0.004 of what it quantizes, and each
# layer adds to that. Measured: 0.0009 and 0.044.
BOUNDS = {"float16": 0.002, "int8": 0.06}


@pytest.mark.parametrize("kind", ["logits", "probabilities", "regression"])
@pytest.mark.representatives("kind", ["probabilities"])
def test_models_of_float16_and_int8_are_nearly_the_same(kind, tmp_path):
    x, y = images()
    keras.utils.set_random_seed(0)
    hidden = [L.Conv2D(8, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(16, activation="relu")]
    head = L.Dense(4, activation="softmax" if kind == "probabilities" else None)
    model = keras.Sequential([L.Input((8, 8, 3)), *hidden, head])
    head.set_weights([6 * weight for weight in head.get_weights()])  # as sharp as after training
    rescaled = RescaledModel(model, 1.0, kind)
    rescaled.adapt(x, np.eye(4)[y] if kind == "regression" else y)
    rescaled.export(tmp_path / "served")
    expected = rescaled.predict(x, verbose=0)

    half = converted(tmp_path / "served", optimizations=[tf.lite.Optimize.DEFAULT])
    half.target_spec.supported_types = [tf.float16]
    eight = converted(
        tmp_path / "served",
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ({"x": x[i : i + 1]} for i in range(len(x))),
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    eight.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    for name, converter in (("float16", half), ("int8", eight)):
        found, (inputs, _) = interpreted({"x": x}, model_content=converter.convert())
        assert inputs["x"]["dtype"] == (np.int8 if name == "int8" else np.float32)
        worst = np.abs(found["output_0"] - expected).max() / np.ptp(expected)
        assert 0 < worst < BOUNDS[name], (name, worst)


def test_a_rescaled_model_needs_nothing_beyond_litert(tmp_path):
    rescaled, x = adapted("probabilities")
    rescaled.export(tmp_path / "served")
    converter = converted(tmp_path / "served")
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    found, _ = interpreted({"x": x}, model_content=converter.convert())
    require_same(found, {"output_0": rescaled.predict(x, verbose=0)}, atol=2e-6)


def test_tf2onnx_converts_the_saved_model(tmp_path):
    pytest.importorskip("onnxruntime")
    tf2onnx = pytest.importorskip("tf2onnx")
    rescaled, x = adapted("probabilities")
    rescaled.export(tmp_path / "served")
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    np.object, np.cast = object, {}  # tf2onnx has names that NumPy 2 has not.
    signature = loaded.signatures["serving_default"]
    tf2onnx.convert.from_function(
        tf.function(lambda x: signature(x=x)), [tf.TensorSpec([None, 3], name="x")], output_path=tmp_path / "it.onnx"
    )
    require_same(by_onnx(tmp_path / "it.onnx", {"x": x}), {"output_0": rescaled.predict(x, verbose=0)}, atol=2e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_integer_inputs_are_shrunk_in_floats_and_served(dtype, tmp_path):
    model = single(dtype=dtype)
    x = np.random.default_rng(0).integers(0, 9, (SIZE, 3)).astype(dtype)
    rescaled = RescaledModel(model, 0.0)  # which shrinks nothing
    rescaled.adapt(x, np.arange(SIZE) % 3)
    np.testing.assert_allclose(rescaled.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    # The same network on floating inputs, which shrunk integers are: its input would cut them off.
    shrunk = (0.75 * x + 0.25 * x.mean(axis=0)).astype("f4")
    expected = single().predict(shrunk, verbose=0) / 0.75 - 1 / 9
    for wrapped in (model, single()):
        rescaled = RescaledModel(wrapped, 1.0)
        rescaled.adapt(x, np.arange(SIZE) % 3)
        np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, atol=1e-5)
        rescaled.export(tmp_path / "served")
        loaded = tf.saved_model.load(str(tmp_path / "served"))
        np.testing.assert_allclose(loaded.serve(x).numpy(), expected, atol=1e-5)
