"""One small network, trained and scored; what is trained is exported and served."""

import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from kmix_tf import _stopping
from kmix_tf._writing import replacing
from kmix_tf.analysis import fgsm
from kmix_tf.cli.demo.arms import Arm
from kmix_tf.cli.demo.data import Split
from kmix_tf.cli.terminal import UserError
from kmix_tf.models import RescaledModel
from kmix_tf.paired import Trainer, batches, probabilities, score

BATCH = 64
# Of the attack, in standard deviations of the features.
EPSILON = 0.2
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


class Scores(NamedTuple):
    """error, attacked (error under FGSM), calibration and rescaled (of the rescaled model) in percent; loss in nats.

    calibration and rescaled are expected calibration errors of 10 bins. Without mixing, rescaling changes nothing.
    """

    error: float
    attacked: float
    calibration: float
    rescaled: float
    loss: float


class Scored(NamedTuple):
    """Scores, the probabilities they are of, and the rescaled model."""

    scores: Scores
    predicted: np.ndarray
    rescaled: RescaledModel


def network(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two dense layers, after two strided convolutions for images at least 16 pixels wide; returns logits."""
    layers = [keras.layers.Input(shape)]
    if len(shape) == 3 and min(shape[:2]) >= 16:
        layers += [keras.layers.Conv2D(width, 3, strides=2, activation="relu") for width in (16, 32)]
    layers += [keras.layers.Flatten()]
    layers += [keras.layers.Dense(128, activation="relu"), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def steps_of(samples: int, epochs: int) -> int:
    """How many steps so many epochs are."""
    return epochs * math.ceil(samples / BATCH)


class Course:
    """Trains the network on split data by any arm; with the same seed from equal weights, on equal batches."""

    def __init__(self, shape: tuple[int, ...], classes: int, epochs: int):
        self._classes, self._epochs = classes, epochs
        self._trainer = Trainer(lambda: network(shape, classes))

    def score(self, arm: Arm, data: Split, seed: int, on_epoch: Callable[[int], None]) -> Scored:
        """Trains, and scores on the test data."""
        mixed = batches(data.x_train, data.y_train, BATCH, seed, arm.layer(self._classes))
        steps = steps_of(len(data.x_train), self._epochs)
        model = self._trainer.run(mixed, steps, seed, steps // self._epochs, on_epoch)
        rescaled = RescaledModel(model, arm.alpha)
        rescaled.adapt(data.x_train, data.y_train)
        attacked = fgsm(model, data.x_test, data.y_test, EPSILON, "categorical_crossentropy", batch_size=1024)
        predicted = probabilities(model, data.x_test)
        plain = score(data.y_test, predicted)
        scores = Scores(
            error=plain.error,
            attacked=score(data.y_test, probabilities(model, attacked)).error,
            calibration=plain.calibration,
            rescaled=score(data.y_test, probabilities(rescaled, data.x_test)).calibration,
            loss=plain.loss,
        )
        return Scored(scores, predicted, rescaled)


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
    with tempfile.TemporaryDirectory() as folder, _stopping.undoing(lambda: shutil.rmtree(folder)):
        arrays = pathlib.Path(folder) / "arrays.npz"
        np.savez(arrays, x=x, expected=expected)
        command = [sys.executable, "-I", "-c", _CLIENT, path, str(arrays)]
        return _stopping.run(command)
