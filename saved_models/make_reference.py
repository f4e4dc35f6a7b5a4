"""Writes the references of this version: an exported and a saved model, configurations, and mixtures of a seed."""

import json
import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from configured import LAYERS, OTHERS, SEED, batch

import kmix_tf

HERE = pathlib.Path(__file__).parent


def main() -> None:
    folder = HERE / f"{kmix_tf.__version__}-keras{keras.__version__.split('.')[0]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_model(folder)
    write_configurations(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.relative_to(HERE.parent)}: {size / 1000:.0f} kB")


def write_model(folder: pathlib.Path) -> None:
    """A small rescaled model, as an export and as `.keras`, inputs, and what it answers to them."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    generator = np.random.default_rng(0)
    x = generator.random((64, 8, 8, 1), dtype=np.float32)
    y = generator.integers(0, 3, 64)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(dataset.apply(kmix_tf.mix(kmix_tf.KMixupLayer(16, num_classes=3), seed=0)), epochs=2, verbose=0)
    rescaled = kmix_tf.RescaledModel(model, alpha=1.0)
    rescaled.adapt(dataset)
    rescaled.export(str(folder / "model"))
    rescaled.save(folder / "rescaled.keras")
    np.savez_compressed(folder / "expected.npz", x=x[:8], answer=rescaled.predict(x[:8], verbose=0))


def write_configurations(folder: pathlib.Path) -> None:
    """What Keras saves of an object of every class, and what layers make of one batch and seed."""
    layers = {name: make() for name, make in LAYERS.items()}
    every = {**layers, **{name: make() for name, make in OTHERS.items()}}
    saved = {name: keras.saving.serialize_keras_object(value) for name, value in every.items()}
    (folder / "configurations.json").write_text(json.dumps(saved, separators=(",", ":")) + "\n")
    mixtures = {name: mixture(layer) for name, layer in layers.items()}
    parts = {f"{name}/{part}": array for name, arrays in mixtures.items() for part, array in enumerate(arrays)}
    np.savez_compressed(folder / "mixtures.npz", **parts)


def mixture(layer: kmix_tf.MixLayer | kmix_tf.ChoiceLayer) -> list[np.ndarray]:
    """Features, targets and, where there are any, weights."""
    step = {} if layer.schedule is None else {"step": 3}
    return [np.asarray(part) for part in layer(*batch(), seed=SEED, **step)]


if __name__ == "__main__":
    main()
