"""What the tests of back ends share: they run under each of them, with the same asserts."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf._compat import IS_KERAS_3


def installed(name):
    return importlib.util.find_spec(name) is not None


def pytest_collection_modifyitems(items):
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents and not IS_KERAS_3:
            item.add_marker(pytest.mark.skip(reason="Keras 2 has no other back end than TensorFlow"))


@pytest.fixture
def not_tensorflow():
    """The name of the back end, for what TensorFlow's own does otherwise."""
    if keras.backend.backend() == "tensorflow":
        pytest.skip("Keras runs on TensorFlow here; see `make test-backends`")
    return keras.backend.backend()


@pytest.fixture(params=["numpy", "tensorflow", "of Keras", "jax", "torch"])
def as_kind(request):
    """What makes arrays of one library or another of NumPy's."""
    if request.param in ("jax", "torch") and not installed(request.param):
        pytest.skip(f"{request.param} is not installed here; see `make test-backends`")
    if request.param == "jax":
        import jax

        return jax.numpy.asarray
    if request.param == "torch":
        import torch

        return torch.as_tensor
    return {"numpy": np.asarray, "tensorflow": tf.convert_to_tensor, "of Keras": keras.ops.convert_to_tensor}[
        request.param
    ]
