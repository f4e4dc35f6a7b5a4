"""What one back end saves, the others load, and mix alike to the last bit; no import says a word."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, mix

ROOT = pathlib.Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("layers_conftest", ROOT / "tests" / "layers" / "conftest.py")
every = importlib.util.module_from_spec(spec)
spec.loader.exec_module(every)

RNG = np.random.default_rng(4)
X = RNG.normal(size=(8, 4, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 8).astype(np.int32)
# One of each preset; of the others, those whose functions are known elsewhere.
PRESETS = ["host k-mixup", "multi-mix", "local", "cutmix", "fmix", "saliencymix", "host puzzle mix", "packed"]
OWN_FUNCTIONS = ["any distribution", "embedded", "saliencymix by brightness", "attentivemix by brightness"]
OWN_FUNCTIONS += ["stylemix", "style cutmix"]
SETS = {"presets": PRESETS, "the others": [name for name in every.LAYERS if name not in PRESETS + OWN_FUNCTIONS]}

PROGRAM = """
import json, sys, warnings
import keras, numpy as np, tensorflow as tf
with warnings.catch_warnings():
    warnings.simplefilter("error")
    import kmix_tf
folder, back_end = sys.argv[1:]
assert keras.backend.backend() == back_end
data, parts = np.load(folder + "/data.npz"), {}

def add(name, values):
    for number, value in enumerate(values):
        parts[f"{name}/{number}"] = np.asarray(keras.ops.convert_to_numpy(value))

for name, config in json.load(open(folder + "/layers.json")).items():
    layer = keras.saving.deserialize_keras_object(config)
    assert json.dumps(keras.saving.serialize_keras_object(layer)) == json.dumps(config), name
    step = {"step": 7} if layer.schedule is not None else {}
    mixed = layer(data["x"], data["y"], seed=5, **step)
    assert all(keras.ops.is_tensor(part) for part in mixed), name
    add(name, mixed)
tf.random.set_seed(0)
batches = tf.data.Dataset.from_tensor_slices((data["x"], data["y"])).batch(5)
for number, mixed in enumerate(batches.repeat(2).apply(kmix_tf.mix(kmix_tf.KMixupLayer(2, num_classes=3), seed=1))):
    add(f"stream/{number}", mixed)
embedding = keras.models.load_model(folder + "/embedding.keras")
add("embedding", [kmix_tf.KMixupLayer(4, features_only=True, embedding=embedding)(data["x"], seed=2)])
np.savez(folder + "/" + back_end, **parts)
"""


@pytest.fixture(scope="module", params=["presets", pytest.param("the others", marks=pytest.mark.matrix)])
def here(request, tmp_path_factory):
    """A folder with what is saved here, and what was made of it here: name to parts."""
    folder, made = tmp_path_factory.mktemp("across"), {name: every.LAYERS[name]() for name in SETS[request.param]}
    configs = {name: keras.saving.serialize_keras_object(layer) for name, layer in made.items()}
    (folder / "layers.json").write_text(json.dumps(configs))
    np.savez(folder / "data.npz", x=X, y=Y)
    embedding = keras.Sequential([keras.layers.Input((4, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    embedding.save(folder / "embedding.keras")
    mixed = {
        name: layer(X, Y, seed=5, **({"step": 7} if layer.schedule is not None else {}))
        for name, layer in made.items()
    }
    tf.random.set_seed(0)  # Other tests may have set it, and TensorFlow makes a pipeline's seeds of both.
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5).repeat(2)
    stream = batches.apply(mix(KMixupLayer(2, num_classes=3), seed=1))
    mixed |= {f"stream/{number}": parts for number, parts in enumerate(stream)}
    return folder, mixed | {"embedding": [KMixupLayer(4, features_only=True, embedding=embedding)(X, seed=2)]}


# JAX is compared with TensorFlow, and torch with JAX.
ANOTHER = {"tensorflow": "tensorflow", "jax": "tensorflow", "torch": "jax"}[keras.backend.backend()]


def test_each_back_end_makes_the_same_mixtures_of_what_another_saved(here):
    (folder, mixed), another = here, ANOTHER
    environment = {**os.environ, "KERAS_BACKEND": another, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(folder), another]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(folder / f"{another}.npz") as there:
        assert len(there) == sum(map(len, mixed.values()))
        for name, parts in mixed.items():
            for number, part in enumerate(parts):
                ours, theirs = np.asarray(keras.ops.convert_to_numpy(part)), there[f"{name}/{number}"]
                assert ours.dtype == theirs.dtype, name
                np.testing.assert_array_equal(ours, theirs, err_msg=name)
