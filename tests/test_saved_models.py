"""Every export made by any release still serves, with TensorFlow alone."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
EXPORTS = sorted(path.parent for path in (ROOT / "saved_models").glob("*/expected.npz"))

CLIENT = """
import sys
import numpy as np
import tensorflow as tf
stored = np.load(sys.argv[1] + "/expected.npz")
served = tf.saved_model.load(sys.argv[1] + "/model")
for answer in (served.serve(stored["x"]), *served.signatures["serving_default"](x=tf.constant(stored["x"])).values()):
    np.testing.assert_allclose(answer.numpy(), stored["answer"], rtol=1e-5, atol=1e-5)
assert "kmix_tf" not in sys.modules
"""


def test_there_is_an_export_of_each_keras_generation():
    assert {path.name.rpartition("-")[2] for path in EXPORTS} >= {"keras2", "keras3"}


@pytest.mark.parametrize("folder", EXPORTS, ids=lambda path: path.name)
def test_a_committed_export_serves_the_numbers_stored_beside_it(folder, elsewhere):
    elsewhere(CLIENT, folder)


@pytest.mark.parametrize("folder", EXPORTS, ids=lambda path: path.name)
def test_what_is_committed_of_a_release_is_small(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 400_000
