"""Writes the reference export of this version: a small rescaled model, inputs, and what it answers to them."""

import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import kmix_tf

HERE = pathlib.Path(__file__).parent


def main() -> None:
    folder = HERE / f"{kmix_tf.__version__}-keras{keras.__version__.split('.')[0]}"
    shutil.rmtree(folder, ignore_errors=True)
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
    np.savez_compressed(folder / "expected.npz", x=x[:8], answer=rescaled.predict(x[:8], verbose=0))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.relative_to(HERE.parent)}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
