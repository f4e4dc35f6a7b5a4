"""Models that need TensorFlow say so on other back ends, and what serves instead."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kmix_tf import ApproximateMixupModel, ManifoldMixModel, MixModel, RescaledModel

pytestmark = [
    pytest.mark.skipif(keras.__version__ < "3", reason="Keras 2 has TensorFlow alone"),
    pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow runs them all"),
]
NAME = keras.backend.backend()


def model():
    return keras.Sequential([keras.Input([3]), keras.layers.Dense(2, name="dense")])


MODELS = {
    # The layers that they mix with are not looked at: the back end is asked first.
    "MixModel": (lambda: MixModel(model(), None), "which mixes each batch", "which mixes as well"),
    "ManifoldMixModel": (lambda: ManifoldMixModel(model(), ["dense"], None), "hidden features", "mixes its inputs"),
    "ApproximateMixupModel": (lambda: ApproximateMixupModel(model(), 1.0), "derivatives", r"KMixupLayer\(1, alpha="),
}


@pytest.mark.parametrize("name", MODELS)
def test_they_are_refused_by_name_with_what_to_do(name):
    make, why, instead = MODELS[name]
    told = rf"{name}: Keras must run on TensorFlow, .*{why}.*KERAS_BACKEND='{NAME}'.*kmix_tf\.mix\(.*{instead}"
    with pytest.raises(RuntimeError, match=told):
        make()


SAVING = """
import sys
import keras, numpy as np
from kmix_tf import KMixupLayer, MixModel
model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2, name="dense")])
mixing = MixModel(model, KMixupLayer(1, num_classes=2), seed=0)
mixing.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
x = np.load(sys.argv[1] + "/x.npy")
mixing.fit(x, np.arange(len(x)) % 2, verbose=0)
model.save(sys.argv[1] + "/model.keras")
np.save(sys.argv[1] + "/answer.npy", model.predict(x, verbose=0))
"""


def test_the_model_within_is_trained_under_tensorflow_and_loaded_here_as_they_say(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3)).astype("f4")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", SAVING, tmp_path], env=environment, check=True, timeout=300)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), np.load(tmp_path / "answer.npy"), atol=1e-5)
    rescaled = RescaledModel(loaded, alpha=1.0)
    rescaled.adapt(x, np.arange(12) % 2)
    assert rescaled.predict(x, verbose=0).shape == (12, 2)
