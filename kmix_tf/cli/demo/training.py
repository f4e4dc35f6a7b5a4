"""One small network, trained in one of three ways that differ in the mix alone, scored, exported and served."""

import math
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kmix_tf._writing import replacing
from kmix_tf.analysis import expected_calibration_error
from kmix_tf.cli.demo.data import Split
from kmix_tf.cli.terminal import UserError
from kmix_tf.layers import KMixupLayer
from kmix_tf.models import RescaledModel
from kmix_tf.pipeline import mix

ALPHA = 1.0
BATCH = 64
# Groups of samples matched with one another; 0 stands for no mixing.
METHODS = {"no mixup": 0, "mixup": 1, "k-mixup, k = 16": 16}
# Of which the rescaled model is exported: one of those that mix.
EXPORTED = "k-mixup, k = 16"
# Runs with -I, so that the folder it starts in lends it no package. Prints one number.
_CLIENT = """
import sys
import numpy as np
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
arrays = np.load(sys.argv[2])
answer = served.signatures["serving_default"](x=tf.constant(arrays["x"]))
difference = np.abs(next(iter(answer.values())).numpy() - arrays["expected"]).max()
assert "kmix_tf" not in sys.modules
print(difference)
"""


class Trained(NamedTuple):
    """A model trained with mixing and its rescaled twin; None for a model trained without mixing."""

    model: keras.Model
    rescaled: RescaledModel | None


class Scores(NamedTuple):
    """error and calibration (expected calibration error, 10 bins) in percent; loss, cross-entropy in nats."""

    error: float
    calibration: float
    loss: float


def network(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two dense layers, after two strided convolutions for images at least 16 pixels wide; returns logits."""
    layers = [keras.layers.Input(shape)]
    if len(shape) == 3 and min(shape[:2]) >= 16:
        layers += [keras.layers.Conv2D(width, 3, strides=2, activation="relu") for width in (16, 32)]
    layers += [keras.layers.Flatten()]
    layers += [keras.layers.Dense(128, activation="relu"), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def pipeline(x: np.ndarray, y: np.ndarray, classes: int, k: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches with soft labels, mixed if k >= 1, without end: each start of an iterator costs time."""
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed).batch(BATCH).repeat()
    if k:
        return dataset.apply(mix(KMixupLayer(k, ALPHA, num_classes=classes), seed=seed))
    return dataset.map(lambda x, y: (x, tf.one_hot(y, classes)))


def fit(
    model: keras.Model, dataset: tf.data.Dataset, rate: float, epochs: int, steps: int, on_epoch: Callable[[], None]
) -> None:
    """Trains a model that returns logits, with a rate of learning, by Adam."""
    model.compile(keras.optimizers.Adam(rate), keras.losses.CategoricalCrossentropy(from_logits=True))
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch())
    model.fit(dataset, epochs=epochs, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[progress])


def train(data: Split, classes: int, k: int, seed: int, epochs: int, on_epoch: Callable[[], None]) -> Trained:
    """Trains the network. Everything random in it follows from the seed."""
    keras.utils.set_random_seed(seed)
    model = network(data.x_train.shape[1:], classes)
    dataset = pipeline(data.x_train, data.y_train, classes, k, seed).prefetch(tf.data.AUTOTUNE)
    fit(model, dataset, 1e-3, epochs, math.ceil(len(data.x_train) / BATCH), on_epoch)
    if not k:
        return Trained(model, None)
    rescaled = RescaledModel(model, ALPHA)
    rescaled.adapt(data.x_train, data.y_train)
    return Trained(model, rescaled)


def probabilities(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Class probabilities `(n, classes)` of a model that returns logits."""
    return tf.nn.softmax(tf.cast(model.predict(x, batch_size=1024, verbose=0), tf.float64)).numpy()


def score(y: np.ndarray, predicted: np.ndarray) -> Scores:
    """Scores of predicted probabilities against integer classes."""
    of_truth = predicted[np.arange(len(y)), y]
    return Scores(
        error=100 * float(np.mean(predicted.argmax(axis=1) != y)),
        calibration=100 * expected_calibration_error(y, predicted),
        loss=float(-np.log(np.maximum(of_truth, np.finfo(float).tiny)).mean()),
    )


def export_and_serve(model: RescaledModel, path: pathlib.Path, x: np.ndarray) -> float:
    """Exports a model, serves `x` from a new process that has TensorFlow alone; returns how far answers differ.

    Raises:
        UserError: if it is not served, or other numbers are. What was at `path` is then as it was.
    """
    expected = model.predict(x, verbose=0)
    with replacing(path) as place:
        model.export(place)
        result = _served(place, x, expected)
        if result.returncode != 0:
            raise UserError(f"The export for {path} could not be served: {result.stderr.strip().splitlines()[-1:]}")
        difference = float(result.stdout.strip().splitlines()[-1])
        if not difference <= 1e-4 * max(1.0, float(np.abs(expected).max())):
            raise UserError(f"The export for {path} serves other numbers: they differ by {difference:g}.")
    return difference


def _served(path: str, x: np.ndarray, expected: np.ndarray) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        arrays = pathlib.Path(folder) / "arrays.npz"
        np.savez(arrays, x=x, expected=expected)
        command = [sys.executable, "-I", "-c", _CLIENT, path, str(arrays)]
        return subprocess.run(command, capture_output=True, text=True, check=False)
