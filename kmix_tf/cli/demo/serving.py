"""The check that an exported model serves without us: a fresh process, TensorFlow alone."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from kmix_tf.models import RescaledModel

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


class ServingError(RuntimeError):
    """An export that a fresh process cannot load, or that serves other numbers."""


def export_and_serve(model: RescaledModel, path: pathlib.Path, x: np.ndarray) -> float:
    """Exports a model, serves `x` from a new process, and returns the largest difference from its own answers.

    Raises:
        ServingError: if the process fails, or the difference exceeds rounding.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    model.export(str(path))
    expected = model.predict(x, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        arrays = pathlib.Path(folder) / "arrays.npz"
        np.savez(arrays, x=x, expected=expected)
        command = [sys.executable, "-I", "-c", _CLIENT, str(path), str(arrays)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ServingError(f"The export in {path} could not be served: {result.stderr.strip().splitlines()[-1:]}")
    difference = float(result.stdout.strip().splitlines()[-1])
    if not difference <= 1e-4 * max(1.0, float(np.abs(expected).max())):
        raise ServingError(f"The export in {path} serves other numbers: they differ by {difference:g}.")
    return difference
