"""Calibrated models in another process: from `.keras` files with us, from exports with TensorFlow alone."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import RescaledModel
from tests.models.test_calibrating import CLASSES, ENDINGS, drawn, passing, several
from tests.models.test_serving import adapted, every_format, on_keras_3, require_same, served_as, written

RELOADED = """
import sys
import keras, numpy as np
import kmix_tf
model = keras.models.load_model(sys.argv[1] + "/model.keras")
np.save(sys.argv[1] + "/reloaded.npy", model.predict(np.load(sys.argv[1] + "/x.npy"), verbose=0))
print(repr(model.calibration))
"""
SERVED = """
import sys
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1] + "/served")
np.save(sys.argv[1] + "/served.npy", loaded.serve(np.load(sys.argv[1] + "/x.npy")).numpy())
assert not [name for name in sys.modules if name.startswith("kmix_tf")]
"""
CASES = [
    ("logits", "temperature", CLASSES, False),
    ("logits", "temperature", CLASSES, True),
    ("logits", "vector", CLASSES, True),
    ("logits", "isotonic", 1, False),
    ("logits", "theta", CLASSES, False),
    ("logits", None, CLASSES, False),
    ("probabilities", "temperature", CLASSES, True),
    ("probabilities", "vector", CLASSES, False),
    ("probabilities", "isotonic", 1, True),
    ("multilabel_logits", "vector", CLASSES, False),
    ("multilabel_probabilities", "temperature", CLASSES, False),
    ("multilabel_probabilities", "isotonic", CLASSES, True),
    ("regression", "temperature", CLASSES, True),
    ("regression", "vector", CLASSES, False),
]


def held_out(output, units):
    if output == "regression":
        x = np.random.default_rng(0).normal(size=(300, units)).astype("f4")
        return x, 2 * x + np.random.default_rng(1).normal(size=x.shape)
    return several() if output.startswith("multilabel") else drawn(units=units)


@pytest.mark.parametrize(("output", "method", "units", "shrink"), CASES)
def test_it_predicts_the_same_elsewhere(output, method, units, shrink, tmp_path, elsewhere):
    activation = "sigmoid" if output == "probabilities" and units == 1 else ENDINGS[output]
    rescaled = passing(units, activation, output)
    x, y = held_out(output, units)
    data = () if method in (None, "theta") else (x, y)
    rescaled.calibrate(*data, method=method, shrink=shrink)
    expected = rescaled.predict(x, verbose=0)
    rescaled.save(tmp_path / "model.keras")
    rescaled.export(tmp_path / "served")
    np.save(tmp_path / "x.npy", x)
    assert elsewhere(RELOADED, tmp_path).strip() == repr(rescaled.calibration)
    elsewhere(SERVED, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "reloaded.npy"), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "served.npy"), expected, rtol=1e-4, atol=1e-5)
    if method not in (None, "theta"):
        rescaled.calibrate(method=None, shrink=shrink)
        assert not np.allclose(rescaled.predict(x, verbose=0), expected, atol=1e-3), "the case must show a difference"


def two_headed():
    """A model of two outputs, each calibrated in a way of its own, and features for it."""
    rescaled, x = adapted("dict")
    generator = np.random.default_rng(1)
    answers = rescaled.predict(x, verbose=0)
    y = {"q": answers["q"].argmax(axis=1), "p": 2 * answers["p"] + generator.normal(size=answers["p"].shape)}
    y["q"][:6] = (y["q"][:6] + 1) % 3  # a quarter of them is wrong
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of so few samples, which are those adapted to
        rescaled.calibrate(x, y, method={"q": "temperature", "p": "vector"}, shrink=True)
    return "dict", rescaled, x


def one_label():
    """A model of one probability, which an isotonic map corrects."""
    rescaled = passing(1, "sigmoid", "probabilities")
    x, y = held_out("probabilities", 1)
    rescaled.calibrate(x, y, method="isotonic")
    return "probabilities", rescaled, x


def test_several_outputs_are_the_same_elsewhere(tmp_path):
    kind, rescaled, x = two_headed()
    expected = rescaled.predict(x, verbose=0)
    rescaled.save(tmp_path / "model.keras")
    rescaled.export(tmp_path / "served")
    inputs, outputs = served_as(kind, rescaled, x)
    require_same(keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0), expected)
    signature = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    require_same(signature(**{name: tf.constant(values) for name, values in inputs.items()}), outputs, atol=1e-5)


@pytest.mark.representatives("format, made", [("onnx", two_headed), ("litert", one_label)])
@on_keras_3
@every_format
@pytest.mark.parametrize("made", (two_headed, one_label))
def test_every_format_holds_the_map(format, made, tmp_path):
    kind, rescaled, x = made()
    path, run = written(rescaled, format, tmp_path)
    inputs, outputs = served_as(kind, rescaled, x)
    require_same(run(path, inputs), outputs, atol=2e-5)


def test_files_of_before_calibration_are_read(tmp_path):
    rescaled = passing()
    config = rescaled.get_build_config()
    assert "calibration" not in config and config.pop("seen")
    older = RescaledModel.from_config(rescaled.get_config())
    older.build_from_config(json.loads(json.dumps(config)))
    older.set_weights(rescaled.get_weights())
    x, y = drawn()
    np.testing.assert_allclose(older.predict(x, verbose=0), rescaled.predict(x, verbose=0), rtol=1e-6)
    assert older.calibrate(x, y).temperature == pytest.approx(rescaled.calibrate(x, y).temperature, rel=1e-6)


def test_a_file_of_a_loaded_model_has_the_map_still(tmp_path):
    x, y = drawn()
    rescaled = passing()
    rescaled.calibrate(x, y)
    rescaled.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), rescaled.predict(x, verbose=0), rtol=1e-6)
