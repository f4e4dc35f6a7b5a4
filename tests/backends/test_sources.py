"""Sources that are no tf.data: the recipes of examples/ run on each back end, and draw what their seeds say."""

import ast
import os
import pathlib
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, mix
from kmix_tf._compat import IS_KERAS_3

ROOT = pathlib.Path(__file__).parents[2]
X, Y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.eye(40, dtype=np.float32)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="tests/test_examples.py or `make docs` runs it")
@pytest.mark.parametrize("name", ["torch_dataloader", "py_dataset"])
def test_a_recipe_learns(name, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    # Ten classes: what had learnt nothing, or from labels that do not belong, would stay near 0.1.
    assert float(re.search(r"'accuracy': ([\d.]+)", result.stdout).group(1)) > 0.8


def as_dataset(*args, **kwargs):
    """What examples/py_dataset.py has by this name, without running the rest."""
    tree = ast.parse((ROOT / "examples" / "py_dataset.py").read_text())
    found = [part for part in tree.body if getattr(part, "name", "") == "as_dataset"]
    names = {"tf": tf}
    exec(compile(ast.Module(found, []), "py_dataset.py", "exec"), names)
    return names["as_dataset"](*args, **kwargs)


class Batches(keras.utils.PyDataset if IS_KERAS_3 else object):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        time.sleep(0.01 * (5 - index))  # The first ones come last.
        return X[8 * index :][:8], Y[8 * index :][:8]


def test_workers_do_not_change_the_mixtures_and_epochs_do():
    specs = tf.TensorSpec([None, 5], tf.float32), tf.TensorSpec([None, 40], tf.float32)

    def epochs(workers):
        mixed = as_dataset(Batches(), *specs, workers=workers).apply(mix(KMixupLayer(4), seed=3))
        return [[np.concatenate(parts) for parts in zip(*mixed, strict=True)] for _ in range(2)]

    first, second = epochs(1)
    for ours, theirs in zip([*first, *second], [part for epoch in epochs(4) for part in epoch], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(first[0] - second[0]).max() > 0.01
    # Each mixture is of its own batch.
    shares = first[1].reshape(5, 8, 5, 8).sum(axis=3)
    np.testing.assert_allclose(shares, np.eye(5)[:, None].repeat(8, axis=1), atol=1e-6)
